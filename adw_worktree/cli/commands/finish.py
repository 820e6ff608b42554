"""`adw-worktree finish`."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.cli.commands.remove import as_text, notes_of
from adw_worktree.cli.output import Outcome
from adw_worktree.cli.whereabouts import lead_away
from adw_worktree.errors import UsageError
from adw_worktree.worktrees import results
from adw_worktree.worktrees.finish.finish import Finished, Terms, finish
from adw_worktree.worktrees.finish.result import finished
from adw_worktree.worktrees.lookup import find_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from adw_worktree.project import Project

EPILOG = """\
examples:
  adw-worktree finish fix-login                # into what base names, or the main worktree's
  adw-worktree finish fix-login --squash -m 'Fix the login'
  adw-worktree finish --rebase --into develop  # the worktree you are in
  adw-worktree finish fix-login --keep         # and leave the worktree

Without --merge, --squash or --rebase it is what `git merge` would do: a fast-forward, or else a
merge commit. The pre-finish hooks, say the tests, run first. At a conflict or a failing hook
everything stays as it was."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")
    parser.add_argument("--into", metavar="BRANCH", help="default: the one that base names")
    way = parser.add_mutually_exclusive_group()
    for name, what in (
        ("merge", "with a merge commit in any case"),
        ("squash", "as one commit"),
        ("rebase", "as commits on top of the target"),
    ):
        way.add_argument(f"--{name}", dest="way", action="store_const", const=name, help=what)
    parser.add_argument(
        "-m", "--message", metavar="TEXT", help="message of the squash or merge commit"
    )
    parser.add_argument("--keep", action="store_true", help="leave the worktree and its branch")
    parser.add_argument("--stop", action="store_true", help="end servers that run inside it")
    parser.add_argument("--no-hooks", action="store_true", help="run no hooks")


def run(args: Namespace) -> Outcome:
    if args.message is not None and args.way == "rebase":
        raise UsageError(
            "--message is for --squash and --merge; a rebase keeps the messages",
            hint="leave it out",
        )
    if args.message is not None and not args.message.strip():
        raise UsageError("--message is empty", hint="say what was done, or leave it out")
    terms = Terms(
        into=args.into,
        way=args.way,
        message=args.message,
        keep=args.keep,
        stop=args.stop,
        hooks=not args.no_hooks,
    )
    stood_in = Path.cwd()
    project, lease = find_lease(args.directory, args.adw_id)
    done = finish(project, lease, terms, output=2)
    outcome = outcome_of(project, done, lease.adw_id)
    return outcome._replace(notes=[*outcome.notes, *lead_away(stood_in, project.repo.home)])


def outcome_of(project: Project, done: Finished, adw_id: str) -> Outcome:
    """Return what there is to say of a finish."""
    gone = done.removed
    days = project.settings.trash_days
    lines = [_text(done), *([as_text(gone)] if gone else [])]
    notes = [*project.notices, *done.notes]
    notes += notes_of(gone, results.kept_until(gone, days)) if gone else []
    return Outcome(finished(done, adw_id, days), "\n".join(lines), notes)


def _text(done: Finished) -> str:
    at = done.commit[:12]
    commits = "1 commit" if done.commits == 1 else f"{done.commits} commits"
    if done.way is None:
        return f"nothing to merge: {done.into} has all of {done.branch}"
    if done.way == "fast-forward":
        return f"fast-forwarded {done.into} to {done.branch}, by {commits} ({at})"
    if done.way == "rebase":
        return f"rebased {commits} of {done.branch} onto {done.into} ({at})"
    verb = "squashed" if done.way == "squash" else "merged"
    return f"{verb} {commits} of {done.branch} into {done.into} ({at})"

"""`adw-worktree create`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shlex import quote

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import UsageError
from adw_worktree.project import Project, open_project
from adw_worktree.repo.refs import upstream_distance
from adw_worktree.worktrees import results
from adw_worktree.worktrees.create import Created, create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.files.variables import variables
from adw_worktree.worktrees.last_used import lead_shell, note_visit, shell_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn

EPILOG = """\
examples:
  adw-worktree create fix-login
  adw-worktree create fix-login --from origin/main
  adw-worktree create fix-login --from HEAD     # of the worktree you are in
  adw-worktree create review-12 --pr 12
  adw-worktree create fix-login --run claude
  adw-worktree create fix-login --run 'tmux new-window "adw-worktree run -- claude"'
  cd "$(adw-worktree create fix-login --json | jq -r .path)" """


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", metavar="ADW_ID", help="the workflow's name")
    parser.add_argument(
        "--branch", metavar="B", help="branch to make or check out (default: ADW_ID)"
    )
    parser.add_argument(
        "--from",
        dest="base",
        metavar="REF",
        help="what a new branch starts from (default: the main worktree's branch)",
    )
    parser.add_argument("--pr", type=int, metavar="N", help="start from pull or merge request N")
    parser.add_argument("--detach", action="store_true", help="check out a commit, no branch")
    parser.add_argument("--path", metavar="P", help="where the worktree goes")
    parser.add_argument("--slot", type=int, metavar="N", help="ask for one slot")
    parser.add_argument("--no-hooks", action="store_true", help="run no hooks")
    parser.add_argument(
        "--run", metavar="CMD", help="then run a shell command in it, with its variables"
    )
    parser.add_argument("--cd", action="store_true", help="go there: adw create, see shell-init")
    parser.add_argument(
        "--keep", action="store_true", help="keep it if a prepare or post-create hook fails"
    )


def run(args: Namespace) -> Outcome:
    follow = shell_file(f"adw create {quote(args.adw_id)} --cd") if args.cd else None
    if args.pr is not None and args.pr < 1:
        raise UsageError(
            f"no pull or merge request has the number {args.pr}", hint="give the one after its #"
        )
    if "/" in args.adw_id and args.branch is None:
        from adw_worktree.cli.mistyped import branch_as_id

        raise branch_as_id(args.adw_id)
    project = open_project(args.directory)
    wish = Wish(
        branch=args.branch,
        base=args.base,
        pr=args.pr,
        detach=args.detach,
        path=args.directory / args.path if args.path else None,
        slot=args.slot,
        hooks=not args.no_hooks,
        keep=args.keep,
    )
    made = create(project, args.adw_id, wish, output=2)
    if follow is not None:
        lead_shell(follow, str(made.lease.path))
    if made.created or follow is not None:
        note_visit(project, made.lease)
    if made.created and project.settings.spares:
        from adw_worktree.cli.commands.spares import fill_in_background

        fill_in_background(project)
    then = partial(_run_in, project, made, args.run) if args.run else None
    notes = [*project.notices, *made.notes]
    if made.created:
        from adw_worktree.worktrees.nested_tests import nested_tests_notes

        notes += nested_tests_notes(project, Path(str(made.lease.path)))
    text = "" if args.json else _text(made, _distance(project, made))
    return Outcome(results.created(made), text, notes, then=then)


def _run_in(project: Project, made: Created, command: str) -> NoReturn:
    from adw_worktree.system.exec_command import become

    become(["sh", "-c", command], Path(str(made.lease.path)), variables(project, made.lease))


def _distance(project: Project, made: Created) -> str:
    """Return how far the base of the branch is from its upstream, as what follows its name."""
    upstream = upstream_distance(project.repo.common_dir, made.base) if made.base else None
    if upstream is None or not (upstream.ahead or upstream.behind):
        return ""
    first, *further = [
        (number, word)
        for number, word in ((upstream.ahead, "ahead of"), (upstream.behind, "behind"))
        if number
    ]
    commits = "1 commit" if first[0] == 1 else f"{first[0]} commits"
    also = "".join(f" and {number} {word}" for number, word in further)
    return f", {commits} {first[1]} {upstream.name}{also}"


def _text(made: Created, distance: str) -> str:
    lease = made.lease
    ports = ", ".join(f"{name} {port}" for name, port in lease.ports.items())
    verb = "created" if made.created else "already there:"
    branch = f"branch {lease.branch}" if lease.branch else "detached"
    if made.created and lease.branch and made.base is None:
        branch = f"existing {branch}"
    elif made.base is not None:
        branch += f" {'from' if lease.branch else 'at'} {made.base}{distance}"
    lines = [
        f"{verb} {lease.adw_id} at {Path(lease.path or '')} ({branch})",
        f"slot {lease.slot}: {ports}",
    ]
    lines += [f"database {lease.database}"] if lease.database else []
    return "\n".join(lines)

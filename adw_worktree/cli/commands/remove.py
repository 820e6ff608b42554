"""`adw-worktree remove`."""

from __future__ import annotations

import os
from pathlib import Path

from adw_worktree.adw_id import LAST
from adw_worktree.cli.output import Outcome, ask, can_ask
from adw_worktree.cli.whereabouts import lead_away
from adw_worktree.errors import UsageError
from adw_worktree.project import Project, open_project
from adw_worktree.system.ports import Listener
from adw_worktree.system.progress import progress
from adw_worktree.system.servers import way_to_end
from adw_worktree.worktrees import results
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.remove import Removed, merged, remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.remove_several import RemovalPlan, plan_removals, remove_several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree remove fix-login
  adw-worktree remove fix-login -d        # and its branch, if its work is elsewhere
  adw-worktree remove fix-login --stop    # and end the servers that run in it
  adw-worktree remove                     # the worktree you are in
  adw-worktree remove -                   # the one you were in last
  adw-worktree remove a b c               # shows what would go, and asks
  adw-worktree remove --merged -d         # those that are merged; asks only on a terminal"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs="*", metavar="ADW_ID|PATH", help="default: the current one"
    )
    parser.add_argument(
        "--merged", action="store_true", help="those whose branches are integrated elsewhere"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="several: do not ask")
    parser.add_argument(
        "-f", "--force", action="store_true", help="remove it with uncommitted work"
    )
    branch = parser.add_mutually_exclusive_group()
    branch.add_argument(
        "-d",
        "--delete-branch",
        dest="branch",
        action="store_const",
        const="integrated",
        help="delete the branch too, if its work is integrated elsewhere",
    )
    branch.add_argument(
        "-D",
        "--force-delete-branch",
        dest="branch",
        action="store_const",
        const="always",
        help="delete the branch too, with commits that are nowhere else",
    )
    parser.add_argument("--unlock", action="store_true", help="remove it although it is locked")
    parser.add_argument("--stop", action="store_true", help="end servers that run inside it")
    parser.add_argument("--no-hooks", action="store_true", help="run no hooks")


def run(args: Namespace) -> Outcome:
    stood_in = Path.cwd()
    project = open_project(args.directory)
    consent = Consent(
        force=args.force,
        delete_branch=args.branch or "never",
        unlock=args.unlock,
        stop=args.stop,
        hooks=not args.no_hooks,
    )
    if args.merged or len(args.targets) > 1:
        outcome = _remove_several(project, args, consent)
    else:
        outcome = _remove_one(project, args, consent)
    return outcome._replace(notes=[*outcome.notes, *lead_away(stood_in, project.repo.home)])


def _remove_one(project: Project, args: Namespace, consent: Consent) -> Outcome:
    named = _named(project, args.targets)
    target = _meant(named[0], args.directory) if named else args.directory
    gone = remove(project, target, consent, output=2)
    days = project.settings.trash_days
    notes = [*project.notices, *notes_of(gone, results.kept_until(gone, days))]
    return Outcome(results.removed(gone, days), as_text(gone), notes)


def _named(project: Project, targets: list[str]) -> list[str]:
    """Return what was named, each once, with the last worktree's id in place of `-`."""
    if LAST in targets:
        from adw_worktree.worktrees.last_used import last_visited

        last = last_visited(project, project.pool.leases()).adw_id
        targets = [last if target == LAST else target for target in targets]
    return list(dict.fromkeys(targets))


def _meant(target: str, directory: Path) -> str | Path:
    return directory / os.path.expanduser(target) if "/" in target else target


def _remove_several(project: Project, args: Namespace, consent: Consent) -> Outcome:
    """Show which would go and which would not, ask, and remove."""
    healed = heal(project)
    if args.merged and args.targets:
        raise UsageError(
            f"--merged says which, and goes without {' '.join(args.targets)}",
            hint="adw-worktree remove --merged",
        )
    named = merged(project, output=2) if args.merged else _named(project, args.targets)
    targets = {name: _meant(name, args.directory) for name in named}
    plan = plan_removals(project, targets, consent, healed=healed, output=2)
    can_answer = not args.json and can_ask()
    # What is merged and clean is lost to nobody: a script need not say so.
    harmless = args.merged and not args.force
    if plan.going and not args.yes and (can_answer or not harmless):
        _confirm(plan, asked=can_answer)
    # Hooks say themselves what they do, on the same terminal.
    quiet = consent.hooks and {"pre-remove", "post-remove"} & project.settings.hooks.keys()
    with progress(None if quiet else 2) as tell:
        done = remove_several(project, plan, consent, output=2, tell=tell)
    days = project.settings.trash_days
    notes = list(project.notices)
    for gone in done.removed:
        notes += notes_of(gone, results.kept_until(gone, days))
    for name, exc in done.refused.items():
        hint = f"; {exc.hint}" if exc.hint else ""
        notes.append(f"{name} was not removed: {exc.message}{hint}")
    code = next((exc.exit_code for exc in done.refused.values()), 0)
    nothing = "nothing was removed" if done.refused else "nothing to remove"
    text = "\n".join(as_text(gone) for gone in done.removed) or nothing
    return Outcome(results.removed_several(done, days), text, notes, code)


def _confirm(plan: RemovalPlan, *, asked: bool) -> None:
    """Raise UsageError unless a person says yes."""
    lines = [f"to be removed: {', '.join(plan.going)}"]
    lines += [f"not to be: {name}: {exc.message}" for name, exc in plan.refused.items()]
    if not asked:
        raise UsageError("\n".join(lines), hint="repeat it with --yes, and nobody is asked")
    if not ask("\n".join(lines), "remove them?"):
        raise UsageError("you did not say yes, and nothing was removed")


def notes_of(gone: Removed, until: str | None) -> list[str]:
    """Return what else a person should know; `until` is when what was kept goes."""
    notes = list(gone.notes)
    notes += [
        f"{_who(one)} still listens on port {one.port}; {way_to_end(one)}" for one in gone.listening
    ]
    if until is not None and gone.kept is not None:
        name = gone.kept.adw_id or f"{gone.kept.name} --as ADW_ID"
        notes.append(f"its work is kept until {until[:10]}: adw-worktree restore {name}")
    return notes


def as_text(gone: Removed) -> str:
    """Return what a person is told of a removal."""
    stays = f"; what is at {gone.path} stays" if gone.path else ""
    none = f"{gone.adw_id} had no worktree any more{stays}"
    lines = [f"removed {gone.path}" if gone.removed else none]
    if gone.released:
        lines.append(f"released slot {gone.released.slot} of {gone.released.adw_id}")
    if gone.branch_deleted:
        lines.append(f"deleted branch {gone.branch_deleted}")
    if gone.database_dropped:
        lines.append(f"dropped database {gone.database_dropped}")
    lines += [f"ended {_who(one)} on port {one.port}" for one in gone.stopped]
    return "\n".join(lines)


def _who(one: Listener) -> str:
    return f"{one.command} (pid {one.pid})" if one.pid else one.command

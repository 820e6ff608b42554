"""`adw-worktree reconcile`."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from adw_worktree.cli.output import Outcome, table
from adw_worktree.cli.plain import HIDDEN
from adw_worktree.errors import AdwError, UsageError
from adw_worktree.project import machine_pool, open_project, project_of_command
from adw_worktree.settings.places import state_directory
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees.reconcile_pass import background_pass, full_pass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from adw_worktree.worktrees.reconcile_plan import Action, Reconciled

EPILOG = """\
examples:
  adw-worktree reconcile
  adw-worktree reconcile --dry-run
  adw-worktree reconcile --check            # exit 10 if there is something to do
  adw-worktree reconcile --all              # every repository, from anywhere
  adw-worktree reconcile --max-age 24       # and release old reservations"""

_MAX_HOURS = 24 * 36500


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="change nothing; say what would be")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 10 if there is something to do"
    )
    parser.add_argument(
        "--max-age",
        type=float,
        metavar="HOURS",
        help="also release leases without a worktree that are older",
    )
    parser.add_argument("--all", action="store_true", help="every repository on the machine")
    # What managed hooks call: quiet, and never a failure.
    parser.add_argument("--background", action="store_true", help=HIDDEN)
    parser.add_argument("--wait-gone", metavar="ADMIN", help=HIDDEN)


def run(args: Namespace) -> Outcome:
    if args.background:
        return _in_background(args)
    if args.max_age is not None and not 0 <= args.max_age <= _MAX_HOURS:
        raise UsageError(
            f"--max-age {args.max_age:g} is no number of hours from 0 to {_MAX_HOURS}",
            hint="adw-worktree reconcile --max-age 24",
        )
    from adw_worktree.worktrees import results
    from adw_worktree.worktrees.lookup import other_projects

    project = project_of_command(args.directory, "reconcile", every=args.all)
    notes: list[str] = []
    projects = [project] if project else []
    projects += other_projects(project, notes) if args.all else []
    max_age = timedelta(hours=args.max_age) if args.max_age is not None else None
    dry_run = args.dry_run or args.check
    passes = [(one, full_pass(one, dry_run=dry_run, max_age=max_age)) for one in projects]
    if not projects and not dry_run:
        machine_pool().forget_lost()
    for one, _ in passes:
        notes += one.notices
    failures = [failure for _, done in passes for failure in done.failed]
    for action, exc in failures:
        if not any(exc.message in note for note in notes):  # `heal` may have said it
            notes.append(f"{action.adw_id}: {exc.message}{f'; {exc.hint}' if exc.hint else ''}")
    phases = _see_to_phases(dry_run=dry_run)
    notes += phases
    found = bool(phases) or any(done.found_something for _, done in passes)
    exit_code = 10 if args.check and found else failures[0][1].exit_code if failures else 0
    data = results.reconciled(passes, dry_run=dry_run)
    if exit_code == 10:  # something to do is no failure
        data |= {"ok": True, "error": None}
    return Outcome(data, _text([done for _, done in passes], dry_run), notes, exit_code)


def _see_to_phases(*, dry_run: bool) -> list[str]:
    """Have attempts ended that died, if any ever ran here; return what is to be said of them."""
    state_dir = state_directory()
    if not is_dir(state_dir / "phases"):
        return []
    from adw_worktree.orchestration.examination import see_to_phases

    return see_to_phases(state_dir, dry_run=dry_run)


def _in_background(args: Namespace) -> Outcome:
    """Make the pass that a managed hook asked for; whatever goes wrong, the next one sees it."""
    reached("background.begun")
    with suppress(AdwError, OSError):
        background_pass(open_project(args.directory), until_gone=args.wait_gone)
    return Outcome({})


def _text(passes: list[Reconciled], dry_run: bool) -> str:
    rows = []
    for done in passes:
        for word, actions in (
            ("release", done.released),
            ("repair", done.repaired),
            ("adopt", done.adopted),
            ("keep", done.kept),
        ):
            rows += [[word, one.adw_id, _slot(one), _reason(one)] for one in actions]
    if not rows:
        return "nothing to reconcile: no leases, no worktrees of ours"
    title = "would do:\n" if dry_run else ""
    return title + table(["ACTION", "ADW", "SLOT", "REASON"], rows)


def _slot(action: Action) -> str:
    return "-" if action.slot is None else str(action.slot)


def _reason(action: Action) -> str:
    return (
        action.reason
        if action.kind in ("release", "keep", "adopt")
        else f"{action.kind}: {action.reason}"
    )

"""`adw-worktree reconcile`."""

from __future__ import annotations

import time
from argparse import SUPPRESS, ArgumentParser, Namespace
from datetime import timedelta

from adw_worktree.cli.output import Outcome, as_error, table
from adw_worktree.errors import AdwError, UsageError
from adw_worktree.integrations.stamp import observe, stamp_file, write_stamp
from adw_worktree.project import Project, open_project
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.worktrees.heal import heal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.worktrees.reconcile_plan import Action, Reconciled

EPILOG = """\
examples:
  adw-worktree reconcile
  adw-worktree reconcile --dry-run
  adw-worktree reconcile --check            # exit 10 if there is something to do
  adw-worktree reconcile --max-age 24       # and release old reservations"""

_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.05
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
    parser.add_argument("--background", action="store_true", help=SUPPRESS)
    parser.add_argument("--wait-gone", metavar="ADMIN", help=SUPPRESS)


def run(args: Namespace) -> Outcome:
    if args.background:
        return _in_background(args)
    if args.max_age is not None and not 0 <= args.max_age <= _MAX_HOURS:
        raise UsageError(
            f"--max-age {args.max_age:g} is no number of hours from 0 to {_MAX_HOURS}",
            hint="adw-worktree reconcile --max-age 24",
        )
    from adw_worktree.cli.commands.list import other_projects

    project = open_project(args.directory)
    notes: list[str] = []
    projects = [project, *(other_projects(project, notes) if args.all else [])]
    max_age = timedelta(hours=args.max_age) if args.max_age is not None else None
    dry_run = args.dry_run or args.check
    passes = [(one, _pass(one, dry_run, max_age)) for one in projects]
    for one, _ in passes:
        notes += one.notices
    failures = [failure for _, done in passes for failure in done.failed]
    for action, exc in failures:
        if not any(exc.message in note for note in notes):  # `heal` may have said it
            notes.append(f"{action.adw_id}: {exc.message}{f'; {exc.hint}' if exc.hint else ''}")
    found = any(done.found_something for _, done in passes)
    exit_code = 10 if args.check and found else failures[0][1].exit_code if failures else 0
    failed = bool(failures) and exit_code != 10
    data = {
        "ok": not failed,
        "error": as_error(failures[0][1]) if failed else None,
        "dry_run": dry_run,
        **{
            heading: [
                _as_json(one, action) for one, done in passes for action in getattr(done, heading)
            ]
            for heading in ("released", "kept", "repaired", "adopted")
        },
        "failed": [
            {**_as_json(project, action), "error": as_error(exc)} for action, exc in failures
        ],
    }
    return Outcome(data, _text([done for _, done in passes], dry_run), notes, exit_code)


def _pass(project: Project, dry_run: bool, max_age: timedelta | None) -> Reconciled:
    from adw_worktree.worktrees.reconcile import reconcile

    observed = observe(project.repo, project.trees)
    done = reconcile(project, dry_run=dry_run, max_age=max_age)
    if not dry_run:
        _stamp(project, observed)
    return done


def _stamp(project: Project, observed: int) -> None:
    """Tell the managed hooks, if there are any, that all is seen up to `observed`."""
    if exists(stamp_file(project.repo)):
        write_stamp(project.repo, list(project.pool.leases().values()), observed)


def _in_background(args: Namespace) -> Outcome:
    """Make the pass that a managed hook asked for; whatever goes wrong, the next one sees it."""
    reached("background.begun")
    try:
        project = open_project(args.directory)
        if args.wait_gone:
            _wait_until_gone(project, args.wait_gone)
        observed = observe(project.repo, project.trees)
        if project.settings.adopt:
            from adw_worktree.worktrees.reconcile import reconcile

            reconcile(project)
        else:
            heal(project)
        _stamp(project, observed)
    except (AdwError, OSError):
        pass
    return Outcome({})


def _wait_until_gone(project: Project, admin_id: str) -> None:
    """Wait for `git worktree remove`, which is under way, to delete its admin directory."""
    admin = project.repo.admin_root / admin_id
    deadline = time.monotonic() + _WAIT_SECONDS
    while admin.parent == project.repo.admin_root and is_dir(admin):
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)


def _as_json(project: Project, action: Action) -> dict[str, object]:
    return {
        "adw_id": action.adw_id,
        "slot": action.slot,
        "action": action.kind,
        "verdict": _verdict(action),
        "reason": action.reason,
        "path": str(action.path) if action.path else None,
        "repository": str(project.repo.home),
    }


def _verdict(action: Action) -> str:
    """Return the verdict behind an action."""
    if action.kind in ("release", "prune"):
        return "gone" if action.lease is not None and action.lease.has_worktree else "unknown"
    if action.kind in ("move", "undo"):
        return "unknown"
    return "alive" if action.seen is not None else "unknown"


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

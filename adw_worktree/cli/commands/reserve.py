"""`adw-worktree reserve`."""

from __future__ import annotations

from adw_worktree.adw_id import check_adw_id
from adw_worktree.cli.output import Outcome
from adw_worktree.pool.wanted_slot import require_slot
from adw_worktree.project import open_project
from adw_worktree.worktrees import results
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.heal import heal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree reserve nightly-tests
  adw-worktree reserve nightly-tests --slot 7"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", metavar="ADW_ID", help="the workflow's name")
    parser.add_argument("--slot", type=int, metavar="N", help="ask for one slot")


def run(args: Namespace) -> Outcome:
    check_adw_id(args.adw_id)
    project = open_project(args.directory)
    heal(project)
    ensure_excluded(project, None)
    before = project.pool.leases().get(args.adw_id)
    if before is not None:
        require_slot(project.pool, before, args.slot, making=False)
    lease = project.pool.reserve(args.adw_id, wanted=args.slot)
    ports = ", ".join(f"{name} {port}" for name, port in lease.ports.items())
    text = f"{lease.adw_id} has slot {lease.slot}: {ports}"
    return Outcome(results.reserved(lease, created=before is None), text, project.notices)

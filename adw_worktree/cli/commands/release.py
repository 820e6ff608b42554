"""`adw-worktree release`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import WorktreeUnavailable
from adw_worktree.project import open_project
from adw_worktree.worktrees import results
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.lookup import require_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree release nightly-tests"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", metavar="ADW_ID", help="the workflow's name")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    healed = heal(project)
    gone = [lease for lease, _ in healed.released if lease.adw_id == args.adw_id]
    lease = gone[0] if gone else require_lease(project, args.adw_id, args.directory)
    if not gone and lease.has_worktree:
        raise WorktreeUnavailable(
            f"{lease.adw_id} has a worktree at {lease.path}, whose ports would be given away",
            hint=f"adw-worktree remove {lease.adw_id}",
        )
    if not gone:
        project.pool.release(lease)
    text = f"released slot {lease.slot} of {lease.adw_id}"
    return Outcome(results.released(lease), text, project.notices)

"""`adw-worktree path`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome
from adw_worktree.worktrees.lookup import find_lease, require_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  cd "$(adw-worktree path fix-login)"
  adw-worktree path -      # of the worktree that you made, or went into with adw cd, last"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", metavar="ADW_ID", help="the workflow's name")


def run(args: Namespace) -> Outcome:
    project, lease = find_lease(args.directory, args.adw_id)
    path = str(require_path(project, lease))
    return Outcome({"adw_id": lease.adw_id, "path": path}, path, project.notices, exact=True)

"""`adw-worktree unlock`."""

from __future__ import annotations

from adw_worktree.cli.commands.lock import outcome
from adw_worktree.cli.output import Outcome
from adw_worktree.worktrees.lock import unlock
from adw_worktree.worktrees.lookup import find_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree unlock fix-login"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")


def run(args: Namespace) -> Outcome:
    project, lease = find_lease(args.directory, args.adw_id)
    return outcome(project, unlock(project, lease))

"""`adw-worktree lock`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome
from adw_worktree.project import Project
from adw_worktree.worktrees import results
from adw_worktree.worktrees.lock import Locked, lock
from adw_worktree.worktrees.lookup import find_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree lock fix-login --reason 'the demo runs from here'"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")
    parser.add_argument("--reason", default="", help="shown to whoever wants to remove it")


def run(args: Namespace) -> Outcome:
    project, lease = find_lease(args.directory, args.adw_id)
    return outcome(project, lock(project, lease, args.reason))


def outcome(project: Project, done: Locked) -> Outcome:
    """Return what `lock` and `unlock` print."""
    verb = "locked" if done.locked else "unlocked"
    if not done.changed:
        verb = f"already {verb}{f' ({done.reason})' if done.reason else ''}:"
    return Outcome(results.locked(done), f"{verb} {done.path}", project.notices)

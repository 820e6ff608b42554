"""`adw-worktree lock`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..gitrepo import run_git
from ..output import Outcome
from ..overview import find_lease, require_path

EPILOG = """\
examples:
  adw-worktree lock fix-login --reason 'the demo runs from here'"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")
    parser.add_argument("--reason", default="", help="shown to whoever wants to remove it")


def run(args: Namespace) -> Outcome:
    reason = ["--reason", args.reason] if args.reason else []
    return set_lock(args, ["lock", *reason], locked=True)


def set_lock(args: Namespace, words: list[str], *, locked: bool) -> Outcome:
    """Have git lock the ADW's worktree, or unlock it, as `words` say."""
    project, lease = find_lease(args.directory, args.adw_id)
    path = require_path(project, lease)
    run_git(["worktree", *words, "--", str(path)], project.repo.home)
    data = {"adw_id": lease.adw_id, "path": str(path), "locked": locked}
    return Outcome(data, f"{'locked' if locked else 'unlocked'} {path}", project.notices)

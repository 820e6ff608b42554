"""`adw-worktree lock`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..gitrepo import run_git
from ..healing import heal
from ..output import Outcome
from ..overview import require_lease, require_path
from ..project import open_project

EPILOG = """\
examples:
  adw-worktree lock fix-login --reason 'the demo runs from here'"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")
    parser.add_argument("--reason", default="", help="shown to whoever wants to remove it")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    heal(project)
    lease = require_lease(project, args.adw_id, args.directory)
    path = require_path(project, lease)
    reason = ["--reason", args.reason] if args.reason else []
    run_git(["worktree", "lock", *reason, "--", str(path)], project.repo.home)
    data = {"adw_id": lease.adw_id, "path": str(path), "locked": True}
    return Outcome(data, f"locked {path}", project.notices)

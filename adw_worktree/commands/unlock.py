"""`adw-worktree unlock`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..gitrepo import run_git
from ..healing import heal
from ..output import Outcome
from ..overview import require_lease, require_path
from ..project import open_project

EPILOG = """\
examples:
  adw-worktree unlock fix-login"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    heal(project)
    lease = require_lease(project, args.adw_id, args.directory)
    path = require_path(project, lease)
    run_git(["worktree", "unlock", "--", str(path)], project.repo.home)
    data = {"adw_id": lease.adw_id, "path": str(path), "locked": False}
    return Outcome(data, f"unlocked {path}", project.notices)

"""`adw-worktree path`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..healing import heal
from ..output import Outcome
from ..overview import require_lease, require_path
from ..project import open_project

EPILOG = """\
examples:
  cd "$(adw-worktree path fix-login)" """


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", metavar="ADW_ID", help="the workflow's name")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    heal(project)
    lease = require_lease(project, args.adw_id, args.directory)
    path = str(require_path(project, lease))
    return Outcome({"adw_id": lease.adw_id, "path": path}, path, project.notices, exact=True)

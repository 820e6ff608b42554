"""`adw-worktree hooks`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from ..githooks import HookState, install, status, uninstall
from ..output import Outcome, table
from ..project import Project, open_project
from ..stamp import observe, remove_stamp, write_stamp

EPILOG = """\
examples:
  adw-worktree hooks install
  adw-worktree hooks status
  adw-worktree hooks uninstall    # leaves every file as it was"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=["install", "uninstall", "status"])


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    states = {"install": _install, "uninstall": _uninstall, "status": _status}[args.action](project)
    rows = [[one.event, one.state, one.how or "-", one.note or one.path] for one in states]
    data = {
        "action": args.action,
        "hooks": [
            {
                "event": one.event,
                "state": one.state,
                "how": one.how,
                "path": one.path,
                "note": one.note,
            }
            for one in states
        ],
    }
    return Outcome(data, table(["EVENT", "STATE", "HOW", "WHERE"], rows), project.notices)


def _install(project: Project) -> list[HookState]:
    observed = observe(project.repo, project.trees)
    command = [sys.executable, "-m", __package__.partition(".")[0]]
    states = install(project.repo, command=command, watched=project.trees)
    write_stamp(project.repo, list(project.pool.leases().values()), observed)
    return states


def _uninstall(project: Project) -> list[HookState]:
    states = uninstall(project.repo)
    remove_stamp(project.repo)
    return states


def _status(project: Project) -> list[HookState]:
    return status(project.repo)

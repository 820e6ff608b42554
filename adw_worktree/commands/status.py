"""`adw-worktree status`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from ..healing import heal
from ..output import Outcome, table
from ..overview import pool_status
from ..project import open_project

EPILOG = """\
examples:
  adw-worktree status
  adw-worktree status --json | jq .available"""


def add_arguments(parser: ArgumentParser) -> None:
    """`status` takes no arguments of its own."""


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    heal(project)
    status = pool_status(project.pool)
    return Outcome(status, _text(status), project.notices)


def _text(status: dict[str, Any]) -> str:
    lines = [
        f"{status['allocated']} of {status['total']} slots allocated "
        f"({status['utilization_percent']} %), {status['available']} available"
    ]
    held = [
        [adw_id, *_cells(one), "this repository"] for adw_id, one in status["allocations"].items()
    ]
    for repository, leases in status["elsewhere"].items():
        held += [[adw_id, *_cells(one), repository] for adw_id, one in leases.items()]
    if held:
        lines += ["", table(["ADW", "SLOT", "BACKEND", "FRONTEND", "STATE", "REPOSITORY"], held)]
    if status["blocked"]:
        blocked = [[str(one["slot"]), str(one["port"]), _who(one)] for one in status["blocked"]]
        lines += ["", table(["BLOCKED", "PORT", "HELD BY"], blocked)]
    return "\n".join(lines)


def _cells(one: dict[str, Any]) -> list[str]:
    return [str(one["slot"]), str(one["backend"]), str(one["frontend"]), one["state"]]


def _who(one: dict[str, Any]) -> str:
    return f"{one['command']} (pid {one['pid']})" if one["pid"] else str(one["command"])

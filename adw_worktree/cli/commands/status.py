"""`adw-worktree status`."""

from __future__ import annotations

import gc
from functools import partial

from adw_worktree.cli.output import Outcome, Terminal, can_draw, table
from adw_worktree.errors import UsageError
from adw_worktree.pool.doubts import doubtful_slots
from adw_worktree.pool.pool import Pool
from adw_worktree.pool.status import PoolState, machine_state, pool_state, status_of
from adw_worktree.project import machine_pool, project_around
from adw_worktree.system.ports import listeners
from adw_worktree.worktrees.heal import heal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

EPILOG = """\
examples:
  adw-worktree status
  adw-worktree status --watch             # until q
  adw-worktree status --json | jq .available"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--watch", action="store_true", help="on a terminal: keep it up to date, until q"
    )


def run(args: Namespace) -> Outcome:
    if args.watch:
        return _watch(args)
    project = project_around(args.directory)
    if project is None:
        pool = machine_pool()
        state = machine_state(pool)
    else:
        found = heal(project).found
        pool = project.pool
        state = pool_state(pool, found)
    status = status_of(state)
    notices = project.notices if project else []
    return Outcome(status, _text(status), notices, drawn=partial(_drawn, pool, state))


def _watch(args: Namespace) -> Outcome:
    if args.json or not can_draw():
        why = "has no JSON" if args.json else "needs a terminal that can be drawn on"
        hint = "adw-worktree status --json" if args.json else "adw-worktree status"
        raise UsageError(f"status --watch {why}", hint=hint)
    from adw_worktree.cli.terminal.pool_live import watch_pool

    gc.enable()  # switched off for commands that are over soon
    project = project_around(args.directory)
    watch_pool(project)
    return Outcome({}, notes=list(dict.fromkeys(project.notices if project else [])))


def _drawn(pool: Pool, state: PoolState, terminal: Terminal) -> str:
    from adw_worktree.cli.terminal.lines import drawn
    from adw_worktree.cli.terminal.pool_view import leased_ports, pool_view

    heard = listeners(leased_ports(state))
    doubtful = doubtful_slots(pool.state_dir) if pool.state_dir else set()
    return drawn(pool_view(state, heard, doubtful, pool.settings.services, terminal), terminal)


def _text(status: dict[str, Any]) -> str:
    lines = [
        f"{status['allocated']} of {status['total']} slots leased "
        f"({status['utilization_percent']} %), {status['available']} free"
        f"{_beyond(status)}"
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


def _beyond(status: dict[str, Any]) -> str:
    of_all = [status["allocations"], *status["elsewhere"].values()]
    beyond = sum(one["slot"] >= status["total"] for leases in of_all for one in leases.values())
    return f", {beyond} beyond the pool" if beyond else ""


def _cells(one: dict[str, Any]) -> list[str]:
    state = f"{one['state']}, locked" if one["locked"] else one["state"]
    return [str(one["slot"]), str(one["backend"]), str(one["frontend"]), state]


def _who(one: dict[str, Any]) -> str:
    return f"{one['command']} (pid {one['pid']})" if one["pid"] else str(one["command"])

"""The pool as `status` shows it on a terminal: how full it is, its map, and who holds what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from adw_worktree.cli.output import Terminal
from adw_worktree.cli.terminal.cells import (
    age_cell,
    listeners_cell,
    path_cell,
    ports_cell,
    state_cell,
)
from adw_worktree.cli.terminal.lines import Column, Line, Signs, Span, signs, table, width
from adw_worktree.cli.terminal.pool_map import Kind, bar, kinds, legend, map_lines
from adw_worktree.pool.holders import Holding
from adw_worktree.pool.lease import ports_of
from adw_worktree.pool.status import PoolState, standing_in
from adw_worktree.system.ports import Listener

_COLUMNS = (
    Column("SLOT", weight=9, right=True),
    Column("ADW", weight=10, least=16),
    Column("PORTS", weight=8),
    Column("STATE", weight=7),
    Column("AGE", weight=3, right=True),
    Column("LISTENING", weight=5, least=12),
    Column("REPOSITORY", weight=4, least=10, keeps="path"),
)
_BAR_CELLS = 60
_BESIDE = 4
"""Blanks between the map and what its signs mean."""


def pool_view(
    state: PoolState,
    heard: Mapping[int, Sequence[Listener]],
    doubtful: Collection[int],
    services: Mapping[str, int],
    terminal: Terminal,
    *,
    short: bool = False,
) -> list[Line]:
    """Return the lines of the view. `heard` is who listens, `doubtful` what is handed out last.

    With `short`, what little there is to see of the map takes few lines.
    """
    marks = signs(terminal)
    found = kinds(state, heard, doubtful)
    parts = _parts(found, state.total)
    lines: list[Line] = [
        [Span(_headline(parts, state.total), "bold")],
        bar(parts, min(terminal.columns, _BAR_CELLS), marks),
        [],
        *_beside(map_lines(found, marks, short), legend(found, marks, short), terminal),
    ]
    rows = _rows(state, heard, services, marks)
    return [*lines, [], *table(_COLUMNS, rows, terminal)] if rows else lines


def leased_ports(state: PoolState) -> list[int]:
    """Return the ports of every lease on this machine."""
    return [port for one in [*state.own, *state.others] for port in one.lease.ports.values()]


def _parts(found: Mapping[int, Kind], total: int) -> Counter[str]:
    """Return how many slots are leased, blocked and free, and how many leased beyond the pool."""
    names: dict[Kind, str] = {"blocked": "blocked", "free": "free", "doubtful": "free"}
    return Counter(
        "beyond" if slot >= total else names.get(kind, "leased") for slot, kind in found.items()
    )


def _headline(parts: Mapping[str, int], total: int) -> str:
    percent = round(100 * parts["leased"] / total)
    said = [f"{parts['leased']} of {total} slots leased ({percent} %)"]
    said += [f"{parts['blocked']} blocked"] if parts["blocked"] else []
    said += [f"{parts['free']} free"]
    said += [f"{parts['beyond']} beyond the pool"] if parts["beyond"] else []
    return ", ".join(said)


def _beside(left: list[Line], right: list[Line], terminal: Terminal) -> list[Line]:
    """Return two blocks side by side, or one below the other where that is too wide."""
    edge = max(map(width, left)) + _BESIDE
    if edge + max(map(width, right)) > terminal.columns:
        return [*left, [], *right]
    # Below the head of the map.
    right = [[], *right, *[[]] * (len(left) - len(right) - 1)]
    left = [*left, *[[]] * (len(right) - len(left))]
    return [
        [*line, Span(" " * (edge - width(line))), *other] if other else line
        for line, other in zip(left, right, strict=True)
    ]


def _rows(
    state: PoolState,
    heard: Mapping[int, Sequence[Listener]],
    services: Mapping[str, int],
    marks: Signs,
) -> list[list[Line]]:
    """Return who holds what, and what is blocked by whom, by slot."""
    rows = [(one.lease.slot, _held(one, True, heard, marks)) for one in state.own]
    rows += [(one.lease.slot, _held(one, False, heard, marks)) for one in state.others]
    for slot in {one["slot"] for one in state.blocked}:
        blocked = [one for one in state.blocked if one["slot"] == slot]
        rows.append((slot, _blocked(slot, blocked, services, marks)))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


def _held(
    holding: Holding, own: bool, heard: Mapping[int, Sequence[Listener]], marks: Signs
) -> list[Line]:
    lease, standing = holding.lease, standing_in(holding)
    ports = lease.ports.values()
    return [
        [Span(str(lease.slot))],
        [Span(lease.adw_id, "bold" if own else "")],
        ports_cell(ports, heard, Span(marks.listening, "green")),
        state_cell(standing.state, locked=standing.locked),
        age_cell(lease.allocated_at),
        listeners_cell(heard[port][0] for port in ports if port in heard),
        [Span("here", "dim")] if own else path_cell(Path(holding.repository)),
    ]


def _blocked(
    slot: int, found: list[dict[str, Any]], services: Mapping[str, int], marks: Signs
) -> list[Line]:
    held = {one["port"] for one in found}
    return [
        [Span(str(slot))],
        [],
        ports_cell(ports_of(slot, services).values(), held, Span(marks.blocked, "red")),
        state_cell("blocked"),
        [],
        listeners_cell(
            (Listener(one["port"], one["pid"], one["command"], None) for one in found), pids=True
        ),
        [],
    ]

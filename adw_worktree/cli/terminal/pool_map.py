"""The map of the pool: what each slot is, ten to a row, and what the signs mean.

What holds here: a slot has its sign in whatever colours; rows that are all alike are folded where
there are many, so that a pool of any size fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from adw_worktree.cli.terminal.lines import Line, Signs, Span
from adw_worktree.pool.holders import Holding
from adw_worktree.pool.status import PoolState

Kind = Literal[
    "listening",
    "leased",
    "listening_elsewhere",
    "leased_elsewhere",
    "blocked",
    "doubtful",
    "free",
]

_STYLES: Mapping[Kind, str] = {
    "listening": "bold green",
    "leased": "cyan",
    "listening_elsewhere": "green",
    "leased_elsewhere": "",
    "blocked": "red",
    "doubtful": "yellow",
    "free": "dim",
}
_MEANINGS: Mapping[Kind, str] = {
    "listening": "leased here, a server listens",
    "leased": "leased here",
    "listening_elsewhere": "leased elsewhere, a server listens",
    "leased_elsewhere": "leased elsewhere",
    "blocked": "blocked by another process",
    "doubtful": "free, in doubt: handed out last",
    "free": "free",
}
_TEN = 10
_MANY_ROWS = 20
_FOLDED_ROWS = 3


class MapRow(NamedTuple):
    """Ten slots, or several rows of ten that are all of one kind."""

    first: int
    last: int
    kinds: Sequence[Kind | None]
    """None for a slot that is not in the pool."""


def kinds(
    state: PoolState, listening: Collection[int], doubtful: Collection[int]
) -> dict[int, Kind]:
    """Return what each slot is, those beyond the pool that are still leased included.

    `listening` are the ports that somebody listens on, `doubtful` the slots handed out last.
    """
    found: dict[int, Kind] = {
        slot: "doubtful" if slot in doubtful else "free" for slot in range(state.total)
    }
    found |= {one["slot"]: "blocked" for one in state.blocked}
    for holding in state.others:
        heard = _is_heard(holding, listening)
        found[holding.lease.slot] = "listening_elsewhere" if heard else "leased_elsewhere"
    for holding in state.own:
        found[holding.lease.slot] = "listening" if _is_heard(holding, listening) else "leased"
    return found


def map_rows(found: Mapping[int, Kind], short: bool = False) -> list[MapRow]:
    """Return the rows of the map, from the lowest slot up, folded if `short` or many."""
    starts = sorted({slot - slot % _TEN for slot in found})
    rows = [
        MapRow(start, start + _TEN - 1, [found.get(start + column) for column in range(_TEN)])
        for start in starts
    ]
    return list(_folded(rows)) if short or len(rows) > _MANY_ROWS else rows


def _folded(rows: Sequence[MapRow]) -> Iterator[MapRow]:
    """Yield the rows, with neighbours that are all of one kind as one."""
    for (alike, _), group in groupby(rows, lambda row: (len(set(row.kinds)) == 1, row.kinds[0])):
        found = list(group)
        if alike and len(found) >= _FOLDED_ROWS:
            yield MapRow(found[0].first, found[-1].last, found[0].kinds[:1])
        else:
            yield from found


def map_lines(found: Mapping[int, Kind], signs: Signs, short: bool) -> list[Line]:
    """Return the map, with the tens at its side and the ones above it."""
    rows = map_rows(found, short)
    digits = max(len(str(row.last)) for row in rows)
    ones = " ".join(str(column) for column in range(_TEN))
    return [[Span(f"{' ' * digits}  {ones}", "dim")], *(_line(row, digits, signs) for row in rows)]


def _line(row: MapRow, digits: int, signs: Signs) -> Line:
    line = [Span(f"{row.first:>{digits}}", "dim")]
    for kind in row.kinds:
        line.append(Span("  " if len(line) == 1 else " "))
        line.append(Span(getattr(signs, kind), _STYLES[kind]) if kind else Span(" "))
    if row.last - row.first >= _TEN:
        line.append(Span(f" to {row.last}", "dim"))
    return line


def legend(found: Mapping[int, Kind], signs: Signs, short: bool) -> list[Line]:
    """Return what the signs mean, and how many slots have each.

    All, so that nothing jumps; where it has to be `short`, those that are there.
    """
    counts = Counter(found.values())
    digits = max(len(str(count)) for count in counts.values())
    return [
        [
            Span(getattr(signs, kind), _STYLES[kind]),
            Span(f" {counts[kind]:>{digits}}", "" if counts[kind] else "dim"),
            Span(f"  {meaning}", "" if counts[kind] else "dim"),
        ]
        for kind, meaning in _MEANINGS.items()
        if counts[kind] or not short
    ]


def bar(parts: Mapping[str, int], cells: int, signs: Signs) -> Line:
    """Return how full the pool is as a line of `cells`; what there is of shows."""
    leased, blocked, free = _shares([parts[part] for part in ("leased", "blocked", "free")], cells)
    return [
        Span(signs.bar * leased, "cyan"),
        Span(signs.bar_blocked * blocked, "red"),
        Span(signs.bar_free * free, "dim"),
    ]


def _shares(parts: Sequence[int], cells: int) -> list[int]:
    """Return how many of `cells` are for each part: one at least if it is any."""
    shares = [max(round(cells * part / sum(parts)), int(part > 0)) for part in parts]
    shares[shares.index(max(shares))] += cells - sum(shares)
    return shares


def _is_heard(holding: Holding, listening: Collection[int]) -> bool:
    return any(port in listening for port in holding.lease.ports.values())

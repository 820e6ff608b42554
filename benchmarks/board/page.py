"""docs/benchmarks-board.md, from what was measured; pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ..measure import percentile
from ..report import milliseconds

_PIXELS = """
From the commit of an event to the changed row on the page, once it is drawn. Each browser shows a
feature of {phases} phases; {events} phases change, one each {gap} s. All of it runs on this one
machine: the board, the browsers, and what changes the phases."""
_LOAD = """So many people click for {seconds:g} s, each about once a second: as often as in an hour.
The store has {features} features of ten phases, all of them shared with everybody. From sending a
request to the end of its answer; a statement is one of those that the largest answers need."""


def document(results: Mapping[str, Any]) -> str:
    """Return the page."""
    plan = results["plan"]
    parts = [
        "# Benchmarks of the board",
        "`nox -s bench-board` measures this, on this machine: "
        + ", ".join(f"{name} {value}" for name, value in results["machine"].items())
        + ".",
        *(["**A quick run, to see that everything works.**"] if results["quick"] else []),
        "## From an event to the pixel",
        _one_line(_PIXELS.format(**plan)),
        _table(
            "browsers",
            {f"{count}": found for count, found in results["pixels"].items()},
        ),
        "## Many people",
        _one_line(_LOAD.format(**plan)),
    ]
    for users, found in results["loads"].items():
        memory = ", ".join(f"{number / 2**20:.0f}" for number in found["memory"])
        parts += [
            f"### {users} people",
            _table(
                "", {**dict(sorted(found["seconds"].items())), "a statement": found["statements"]}
            ),
            f"Requests that failed: {found['failed']}. Memory of the board in MiB, "
            f"before, and after each quarter of the time: {memory}.",
        ]
    return "\n\n".join(parts) + "\n"


def _table(head: str, rows: Mapping[str, Sequence[float]]) -> str:
    lines = [f"| {head} | p50 | p95 | p99 | max | of |", "|---|--:|--:|--:|--:|--:|"]
    for name, found in rows.items():
        shown = (
            statistics.median(found), percentile(found, 0.95), percentile(found, 0.99), max(found)
        )  # fmt: skip
        figures = [f"{milliseconds(one)} ms" for one in shown]
        lines.append(f"| {name} | {' | '.join(figures)} | {len(found)} |")
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())

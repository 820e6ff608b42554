"""docs/benchmarks.md, from what was measured; pure but for the writing of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .measure import Scene, Timing, baseline_of, ratio, spread

TITLES = {
    "startup": (
        "Start-up",
        "Whole processes. What a command takes beyond `python -c pass` is ours.",
    ),
    "completion": (
        "Completion",
        "What a shell waits for after Tab, among many worktrees; people notice from about 100 ms.",
    ),
    "create": (
        "Create",
        "One worktree on a new branch. Ours also leases ports and writes `.env.ports`.",
    ),
    "remove": ("Remove", "One clean worktree, its branch kept."),
    "many": (
        "Many worktrees",
        "Looking at all of them. A line as steep as git's grows as git does.",
    ),
    "pool": (
        "The pool",
        "Reserving and releasing one slot with the library, on a disk. Each of both replaces the "
        "ledger, and the entry in the machine's registry.",
    ),
    "hooks": ("git with our hooks", "The same repository with and without `hooks install`."),
    "parallel": ("Many at once", "Raw git at once fails now and then, so it gets its turns."),
}
"""Heading and explanation of each row, in the order of the report."""

LINGERING = 0.02
"""Seconds of background work from which on a table tells of it."""


def document(results: Mapping[str, Any], scenes: Sequence[Scene], charts: Sequence[str]) -> str:
    """Return the report. `charts` are the rows that there is a chart of."""
    parts = [
        "# Benchmarks",
        "`nox -s bench` measures all of this in one run, in turns: each way once in every round, "
        "after whatever the one before left in the background is done. Cells give the median, the "
        "quartiles, and how many times the baseline's median (in **bold**) it is.",
        "**Ratios are what counts.** Times are of this machine alone: "
        + ", ".join(f"{name} {value}" for name, value in results["machine"].items())
        + ".",
        "How phases are handed over has [a page of its own](benchmarks-phases.md).",
    ]
    if results.get("quick"):
        parts.append("**A quick run, to see that everything works: too few rounds to compare.**")
    for row, (title, about) in TITLES.items():
        mine = [scene for scene in scenes if scene.row == row]
        if mine:
            parts += [f"## {title}", about]
            if row in charts:
                parts.append(picture(row, title))
            parts += [table(mine), *remarks(mine)]
    parts += peers(results.get("peers", []))
    return "\n\n".join(parts) + "\n"


def picture(row: str, title: str) -> str:
    """Return a chart that suits the reader's background."""
    return (
        "<picture>\n"
        f'  <source media="(prefers-color-scheme: dark)" srcset="benchmarks/{row}-dark.svg">\n'
        f'  <img alt="{title}: the table below as a chart" src="benchmarks/{row}.svg">\n'
        "</picture>"
    )


def table(scenes: Sequence[Scene]) -> str:
    """Return a row's scenes side by side, or below one another if there are many of them."""
    labels = list(dict.fromkeys(one.label for scene in scenes for one in scene.timings))
    found = [{one.label: cell(scene, one) for one in scene.timings} for scene in scenes]
    if len(scenes) > len(labels):
        head = ["", *labels]
        rows = [
            [scene.name, *(cells.get(label, "–") for label in labels)]
            for scene, cells in zip(scenes, found, strict=True)
        ]
    else:
        head = ["", *(scene.name for scene in scenes)]
        rows = [[label, *(cells.get(label, "–") for cells in found)] for label in labels]
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(scene: Scene, timing: Timing) -> str:
    """Return median, quartiles and ratio of one way in one scene."""
    if timing.failed or not timing.seconds:
        return "failed"
    found = spread(timing.seconds)
    times = f"{milliseconds(found.median)} ms"
    if len(timing.seconds) > 1:
        times += f" ({milliseconds(found.low)}–{milliseconds(found.high)})"
    if timing.label == scene.baseline:
        return f"**{times}**"
    factor = ratio(timing, baseline_of(scene))
    return times if factor is None else f"{times}, {factor_of(factor)}"


def milliseconds(seconds: float) -> str:
    """Return a time with three figures that mean something."""
    value = seconds * 1000
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def factor_of(ratio: float) -> str:
    """Return a ratio as it is written: `1.24×`, `17×`."""
    return f"{ratio:.2f}×" if ratio < 9.995 else f"{ratio:,.0f}×"


def remarks(scenes: Sequence[Scene]) -> list[str]:
    """Return what the table cannot say: failures, background work, notes."""
    lines = []
    for scene in scenes:
        for one in scene.timings:
            about = f"- {one.label}, {scene.name}: "
            if one.failed:
                lines.append(f"{about}failed: {one.failed}")
            if one.note:
                lines.append(about + one.note)
            if one.lingering and spread(one.lingering).median >= LINGERING:
                left = milliseconds(spread(one.lingering).median)
                lines.append(f"{about}work in the background goes on for {left} ms more, uncounted")
    return ["\n".join(lines)] if lines else []


def peers(found: Sequence[Mapping[str, str]]) -> list[str]:
    """Return what was compared with, and what could not be."""
    if not found:
        return []
    lines = ["| peer | from | version | what its rows stand for |", "|---|---|---|---|"]
    lines += [
        f"| {one['name']} | {one['registry']} | {one['version'] or '–'} "
        f"| {one['failed'] or one['does']} |"
        for one in found
    ]
    return ["## Peers", "\n".join(lines)]

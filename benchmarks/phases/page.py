"""docs/benchmarks-phases.md, from what was measured; pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ..measure import Scene, Timing, percentile
from ..report import milliseconds, picture, remarks, table

TITLES = {
    "handover": (
        "From one phase to the next",
        "From a phase's last process ending to the first process of the one that waited for it. "
        "Phases sleep for so long that about three a second end. A new worktree is made by "
        "`create`; the others are there.",
    ),
    "through": (
        "Many phases",
        "Phases of `true`, each in a new worktree, four at once, from `feature start` until the "
        "last worktree is gone.",
    ),
    "listing": (
        "Looking at phases",
        "Whole processes. What a command takes beyond `python -c pass` is ours.",
    ),
    "checking": (
        "Checking a plan",
        "`plan check` of a document with half a kilobyte for each task, whole processes.",
    ),
}


def document(results: Mapping[str, Any], scenes: Sequence[Scene], charts: Sequence[str]) -> str:
    """Return the page. `charts` are the rows that there is a chart of."""
    parts = [
        "# Benchmarks of phases",
        "`nox -s bench-phases` measures this, on a disk, on this machine: "
        + ", ".join(f"{name} {value}" for name, value in results["machine"].items())
        + ".",
    ]
    if results.get("quick"):
        parts.append("**A quick run, to see that everything works: too few rounds to compare.**")
    for row, (title, about) in TITLES.items():
        mine = [scene for scene in scenes if scene.row == row]
        parts += [f"## {title}", about]
        if row == "handover":
            parts += [picture(row, title)] if row in charts else []
            parts += map(_percentiles, mine)
        elif row == "through":
            parts.append("\n".join(_through(scene) for scene in mine))
            continue
        else:
            parts.append(table(mine))
        parts += remarks(mine)
    parts += ["## Nothing happens", _idle(results["idle"])]
    return "\n\n".join(parts) + "\n"


def _percentiles(scene: Scene) -> str:
    """Return a table of one scene, a row for each way."""
    lines = [f"| {scene.name} | p50 | p95 | max | of |", "|---|--:|--:|--:|--:|"]
    for one in scene.timings:
        if one.seconds:
            figures = [f"{milliseconds(value)} ms" for value in percentiles(one)]
            lines.append(f"| {one.label} | {' | '.join(figures)} | {len(one.seconds)} |")
        else:
            lines.append(f"| {one.label} | failed | – | – | – |")
    return "\n".join(lines)


def percentiles(timing: Timing) -> tuple[float, float, float]:
    """Return the median, the 95th percentile and the most, in seconds."""
    found = timing.seconds
    return statistics.median(found), percentile(found, 0.95), max(found)


def _through(scene: Scene) -> str:
    [timing] = scene.timings
    seconds, count = timing.seconds[0], scene.size or 1
    return f"- {scene.name}: {seconds:.1f} s, {milliseconds(seconds / count)} ms each"


def _idle(found: Mapping[str, Any]) -> str:
    return (
        f"While {found['running']} phases ran for {found['seconds']:g} s and nothing happened, the "
        f"{found['processes']} processes of the coordinator and the runners used "
        f"{found['processor_seconds']:.2f} s of the processor and woke up {found['wakeups']} times."
    )

"""Time several ways of doing the same, in turns, and say how they compare.

What holds here: only what a person would wait for is timed; a way begins when nothing that an
earlier one started is running any more; whoever came first in one round comes last in the next.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

Turn = TypeVar("Turn")


class Failed(Exception):
    """A way could not do its work; its text says why."""


@dataclass(frozen=True)
class Way:
    """One way of doing what a row measures."""

    label: str
    steps: Mapping[str, Callable[[int], None]]
    """What is timed, by the row it belongs to, in this order; each gets the number of the round."""
    before: Callable[[int], None] | None = None
    between: Callable[[], None] | None = None
    after: Callable[[int], None] | None = None
    may_fail: bool = False
    """Whether a failure is a result (a peer's), and not a reason to stop (ours)."""


@dataclass
class Timing:
    """What came of one way: seconds of each round, or why there are none."""

    label: str
    seconds: list[float] = field(default_factory=list)
    lingering: list[float] = field(default_factory=list)
    """Seconds for which processes that it left in the background ran on, each round."""
    failed: str = ""
    note: str = ""


@dataclass
class Scene:
    """One row's ways in one setting, such as a repository of 1,000 files."""

    row: str
    name: str
    timings: list[Timing]
    baseline: str
    size: int | None = None
    """What grows from scene to scene, where a curve is to be drawn."""


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return what that share of `seconds`, from 0 to 1, does not exceed."""
    ordered = sorted(seconds)
    return ordered[round((len(ordered) - 1) * share)]


def interleave(
    ways: Sequence[Way],
    repeat: int,
    *,
    settle: Callable[[], float] = lambda: 0.0,
    clock: Callable[[], float] = time.perf_counter,
    warm_up: bool = True,
) -> dict[str, list[Timing]]:
    """Run every way `repeat` times in turns and return each row's timings, in the order of `ways`.

    `settle` waits until nothing runs in the background and returns for how long that was. A way
    that may fail and does is left out from then on, with the reason in place of its seconds.
    """
    timings = {(row, way.label): Timing(way.label) for way in ways for row in way.steps}
    lost: set[str] = set()
    for turn in range(-1 if warm_up else 0, repeat):
        for way in rotated(ways, turn):
            if way.label in lost:
                continue
            settle()
            try:
                measured = _once(way, turn + 1, settle, clock)
            except Failed as exc:
                if not way.may_fail:
                    raise
                lost.add(way.label)
                for row in way.steps:
                    timings[row, way.label] = Timing(way.label, failed=str(exc))
                continue
            if turn >= 0:
                for row, (seconds, lingering) in measured.items():
                    timings[row, way.label].seconds.append(seconds)
                    timings[row, way.label].lingering.append(lingering)
    rows = dict.fromkeys(row for way in ways for row in way.steps)
    return {row: [timings[row, way.label] for way in ways if row in way.steps] for row in rows}


def _once(
    way: Way, number: int, settle: Callable[[], float], clock: Callable[[], float]
) -> dict[str, tuple[float, float]]:
    if way.before is not None:
        way.before(number)
        settle()
    measured: dict[str, tuple[float, float]] = {}
    for row, step in way.steps.items():
        if measured and way.between is not None:
            way.between()
            settle()
        begun = clock()
        step(number)
        seconds = clock() - begun
        measured[row] = (seconds, settle())
    if way.after is not None:
        way.after(number)
    return measured


def rotated(ways: Sequence[Turn], turn: int) -> list[Turn]:
    """Return the ways, begun with another one in each turn."""
    start = turn % len(ways)
    return [*ways[start:], *ways[:start]]


@dataclass(frozen=True)
class Spread:
    """The median and the quartiles around it."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """Return median and quartiles; of a single value, that value."""
    ordered = sorted(values)
    if len(ordered) < 2:
        return Spread(ordered[0], ordered[0], ordered[0])
    low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(timing: Timing, baseline: Timing | None) -> float | None:
    """Return how many times the baseline's median a timing's is; None where one has none."""
    if baseline is None or not timing.seconds or not baseline.seconds:
        return None
    return spread(timing.seconds).median / spread(baseline.seconds).median


def baseline_of(scene: Scene) -> Timing | None:
    """Return the timing that the others of its scene are compared with."""
    return next((one for one in scene.timings if one.label == scene.baseline), None)


def as_data(scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    """Return scenes as plain data for a JSON file."""
    return [asdict(scene) for scene in scenes]


def from_data(data: Sequence[Mapping[str, Any]]) -> list[Scene]:
    """Return the scenes that `as_data` wrote."""
    return [
        Scene(**{**one, "timings": [Timing(**timing) for timing in one["timings"]]}) for one in data
    ]

"""The graph of a feature's phases: what is wrong with one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple


class Flaw(NamedTuple):
    """A reason why a graph cannot run."""

    number: int
    """The phase to look at."""
    text: str


def flaws(phases: Sequence[tuple[int, Sequence[int]]]) -> list[Flaw]:
    """Return why phases, each a number with those that it depends on, cannot run."""
    counted = Counter(number for number, _ in phases)
    found = [Flaw(number, f"there are {times} phases {number}")
             for number, times in counted.items() if times > 1]  # fmt: skip
    for number, needs in phases:
        unknown = sorted(one for one in {*needs} if one not in counted)
        found += [Flaw(number, f"phase {number} depends on phase {one}, which does not exist")
                  for one in unknown]  # fmt: skip
        if len(set(needs)) < len(needs):
            found.append(Flaw(number, f"phase {number} names a dependency twice"))
    return found or _cycle(dict(phases))


def _cycle(needs: Mapping[int, Collection[int]]) -> list[Flaw]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as exc:
        circle: list[int] = exc.args[1]
        # graphlib names each before the one that depends on it.
        path = " on ".join(f"phase {number}" for number in reversed(circle))
        return [Flaw(circle[-1], f"phases wait for each other: {path}")]
    return []

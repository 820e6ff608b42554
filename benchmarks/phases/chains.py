"""Chains of commands: what every engine runs here, and the gaps between one and the next.

Each command notes the time as its first and as its last act, so that a gap is what lies between one
phase's last process and the next one's first.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_SCRIPT = """\
#!/bin/bash
echo "$EPOCHREALTIME" >"$0.times/$1.start"
sleep "$2"
echo "$EPOCHREALTIME" >"$0.times/$1.end"
"""
_ENDS_A_SECOND = 3.0
"""Phases take minutes, and seldom end together: so they are spread here, too."""
_START_SECONDS = 0.2
"""What it takes at most to start one of many at once."""


@dataclass(frozen=True)
class Chains:
    """Commands in chains, of which each waits for the one before it."""

    chains: Sequence[Sequence[Sequence[str]]]
    """Of each chain its commands, each a program and its arguments."""
    script: Path

    @property
    def running(self) -> int:
        """How many run at once."""
        return len(self.chains)

    def gaps(self) -> list[float]:
        """Return the seconds from each command's end to the start of the next one of its chain."""
        times = self.script.with_name(f"{self.script.name}.times")

        def at(command: Sequence[str], moment: str) -> float:
            return float((times / f"{command[1]}.{moment}").read_text())

        return [
            at(after, "start") - at(before, "end")
            for chain in self.chains
            for before, after in pairwise(chain)
        ]


def chains(directory: Path, running: int, gaps: int) -> Chains:
    """Return new chains, `running` of them, with about `gaps` gaps in all; files in `directory`."""
    script = directory / "phase"
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    script.with_name("phase.times").mkdir()
    length = max(2, round(gaps / running) + 1)
    usual = running / _ENDS_A_SECOND
    numbers = iter(range(1, running * length + 1))

    def command(*, first: bool) -> list[str]:
        # The first ones end spread out, and once all have started.
        seconds = usual * (random.random() if first else random.uniform(0.5, 1.5))
        seconds += 0.2 + running * _START_SECONDS if first else 0.0
        return [str(script), str(next(numbers)), f"{seconds:.3f}"]

    return Chains(
        [[command(first=place == 0) for place in range(length)] for _ in range(running)], script
    )

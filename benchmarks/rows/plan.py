"""How much is measured, and what rows have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..machine import Room


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: Sequence[int] = (10, 1000, 20000)
    counts: Sequence[int] = (1, 10, 100, 1000)
    completed: int = 100
    """Among how many worktrees completion is asked."""
    hooked: Sequence[int] = (1, 100)
    processes: int = 50
    big_pool: int = 10000
    at_once: int = 16
    at_once_files: int = 1000
    repeat: int | None = None
    """How often everything is run; None: as often as its size allows."""

    def times(self, ordinary: int) -> int:
        return ordinary if self.repeat is None else self.repeat


QUICK = Plan(
    sizes=(10,),
    counts=(1, 10),
    completed=5,
    hooked=(1, 5),
    processes=5,
    big_pool=1000,
    at_once=4,
    at_once_files=10,
    repeat=3,
)


def runs(room: Room, cwd: Path, *command: str) -> Callable[[int], None]:
    """Return what runs `command` in `cwd`, whatever the number of the round."""

    def run(_number: int) -> None:
        room.run(*command, cwd=cwd)

    return run

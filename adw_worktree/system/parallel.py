"""Asking many things at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from adw_worktree.system.progress import progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")
    R = TypeVar("R")


def side_by_side(
    look: Callable[[T], R], things: Sequence[T], *, output: int | None = None
) -> list[R]:
    """Return what `look`, which asks git, says of each; of several at once.

    `output` is a file descriptor; if it is a terminal, it shows how far this got.
    """
    if len(things) < 2:
        return [look(thing) for thing in things]
    from concurrent.futures import ThreadPoolExecutor

    found: list[R] = []
    with progress(output) as tell, ThreadPoolExecutor(os.cpu_count()) as many:
        for answer in many.map(look, things):
            found.append(answer)
            if tell is not None:
                tell(f"looked at {len(found)} of {len(things)} worktrees")
    return found

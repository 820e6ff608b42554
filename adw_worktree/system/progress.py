"""One line on a terminal that says what long work is at, and what git says of its own.

What holds here: nothing is written in the first second, nothing from the background, and nothing is
left at the end. It is drawn only when there is news: what asks for a password meanwhile is not
written over.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

from adw_worktree.system.child_output import read_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.system.child_output import Child

_PATIENCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
_CLEAR = "\r\033[K"


class Line:
    """The line. Its block gets the way to say what goes on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._due = time.monotonic() + _PATIENCE_SECONDS
        self._drawn = False

    def __enter__(self) -> Callable[[str], None]:
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._write(_CLEAR)

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        with suppress(OSError):  # the terminal was closed
            if now < self._due or os.tcgetpgrp(self._descriptor) != os.getpgrp():
                return
            # One short of the width: what wraps cannot be cleared.
            wide = os.get_terminal_size(self._descriptor).columns - 1
            self._write(_CLEAR + ascii(text)[1:-1][: max(0, wide)])
            self._due, self._drawn = now + _PAUSE_SECONDS, True

    def _write(self, text: str) -> None:
        with suppress(OSError):
            os.write(self._descriptor, text.encode())


def follow(child: Child, stderr: int, told: Callable[[str], None]) -> str:
    """Return all that `child` writes there; pass on each line that it will overwrite at once."""
    written = b""

    def take(chunk: bytes) -> None:
        nonlocal written
        written += chunk
        whole, ended, _ = written.rpartition(b"\r")
        if ended:
            told(re.split(rb"[\r\n]", whole)[-1].decode(errors="replace"))

    read_output(child, stderr, take)
    return written.decode(errors="surrogateescape")


def progress(
    descriptor: int | None,
) -> AbstractContextManager[Callable[[str], None] | None]:
    """Return a block in which long work can say what it is at, by calling what the block gets.

    That is None if nobody would see it: `descriptor` is no terminal.
    """
    if descriptor is None or not os.isatty(descriptor) or os.environ.get("TERM") == "dumb":
        return nullcontext()

    return Line(descriptor)

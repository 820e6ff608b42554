"""Reading the output of a child process until it ends, not until everything that it started has.

A hook that leaves a server behind leaves its output open, too. Whoever reads to the end of it waits
for as long as that server runs: so do we, and so does whoever reads ours, if the hook was given
that. What holds here: nothing of the child's own output is lost, and what it left behind can go on
writing, to nobody.
"""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen
    from typing import IO, Any

    Child = Popen[Any]
    """A process whose output comes as text or as bytes."""

_STEP_SECONDS = 0.1
_CHUNK = 65536
_MOST_LEFT = 1 << 20
"""More than a pipe holds: what is left in one when the child has ended."""


def has_a_reader(descriptor: int) -> bool:
    """Return whether somebody may wait for the end of what is written to `descriptor`."""
    with suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return False


def read_output(
    child: Child,
    source: int,
    take: Callable[[bytes], None],
    patience: float | None = None,
) -> None:
    """Pass what is read from the pipe `source` to `take`, until `child` ends or closes it.

    With `patience` for so many seconds at most.
    """
    from select import POLLIN, poll

    waiting = poll()
    waiting.register(source, POLLIN)
    ended, left = False, _MOST_LEFT
    deadline = math.inf if patience is None else time.monotonic() + patience
    while left > 0:
        if time.monotonic() > deadline:
            return
        if waiting.poll(0 if ended else _STEP_SECONDS * 1000):
            chunk = os.read(source, _CHUNK)
            if not chunk:
                return
            take(chunk)
            left -= len(chunk) if ended else 0
        elif ended:
            break
        ended = ended or child.poll() is not None
    _leave_open(source)


def pass_on(child: Child, source: int, output: int, patience: float | None = None) -> str:
    """Write to `output` what `child` writes to the pipe `source`; return it, too.

    `patience` is as for `read_output`.
    """
    parts: list[bytes] = []

    def take(chunk: bytes) -> None:
        parts.append(chunk)
        _write(output, chunk)

    read_output(child, source, take, patience)
    return os.fsdecode(b"".join(parts))


def communicate(
    child: Popen[str], stdin: str | None, timeout: float | None
) -> tuple[str | None, str | None]:
    """Give `child` its input and return its output, as `Popen.communicate` does.

    Raises subprocess.TimeoutExpired if the child itself takes longer than `timeout` seconds.
    """
    from subprocess import TimeoutExpired

    deadline = None if timeout is None else time.monotonic() + timeout
    ended = False
    while True:
        try:
            return child.communicate(stdin, timeout=_STEP_SECONDS)
        except TimeoutExpired as exc:
            stdin = None  # it has been taken over
            if ended:
                for pipe in (child.stdout, child.stderr):
                    _close(pipe)
                return _text(exc.stdout), _text(exc.stderr)
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutExpired(child.args, timeout or 0) from exc
            ended = child.poll() is not None  # once more: what it wrote is still in the pipe


def _close(pipe: IO[str] | None) -> None:
    if pipe is not None and not pipe.closed:
        _leave_open(pipe.fileno())
        pipe.close()


def _leave_open(source: int) -> None:
    """Have somebody else read on, so that whoever still writes to the pipe is not ended by that."""
    from adw_worktree.system.background import start

    start(["cat", f"/dev/fd/{source}"], Path("/"), keeping=source)


def _write(output: int, data: bytes) -> None:
    """Write all of it, unless nobody reads there any more."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(output, left) :]
        except BlockingIOError:  # the reader made its end, and so ours, one that does not block
            from select import POLLOUT, poll

            full = poll()
            full.register(output, POLLOUT)
            full.poll()
        except OSError:
            return


def _text(data: bytes | str | None) -> str | None:
    return os.fsdecode(data) if isinstance(data, bytes) else data

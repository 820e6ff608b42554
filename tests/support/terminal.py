"""A terminal with one command in it, whose screen can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte


class Terminal:
    """A terminal with one command in it."""

    def __init__(
        self, command: list[str], directory: Path, columns: int, lines: int, env: dict[str, str]
    ) -> None:
        self._ours, self.theirs = pty.openpty()
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, size)
        self.settings = termios.tcgetattr(self.theirs)
        self.said = b""
        sized = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        # Wider than it says it is, so that nothing wraps unseen.
        self._screen = pyte.Screen(2 * columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={**sized, "TERM": "xterm-256color", **env},
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def read(self, until: Callable[[], bool]) -> None:
        """Read until that holds, or the command has ended, for a minute at most."""
        deadline = time.monotonic() + 60
        while not until():
            assert time.monotonic() < deadline, self.text
            ended = self.process.poll() is not None  # before the look for its last words
            if select.select([self._ours], [], [], 0.05)[0]:
                said = os.read(self._ours, 65536)
                self.said += said
                self._stream.feed(said)
            elif ended:
                return

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    @property
    def widest(self) -> int:
        """Return how many cells the longest line takes."""
        cells = [
            column
            for line in self._screen.buffer.values()
            for column, cell in line.items()
            if cell.data != " "
        ]
        return max(cells, default=-1) + 1

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self.theirs)

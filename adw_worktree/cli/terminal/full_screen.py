"""The whole terminal for as long as a view is shown: its other screen, and keys as they are typed.

What holds here: however the block ends, the terminal is as it was before.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from adw_worktree.cli.output import Terminal, draw, terminal

# xterm's names: the other screen, which does not scroll into the history; no cursor; no wrapping,
# which would move all that is below.
_ENTER = "\033[?1049h\033[?25l\033[?7l"
_LEAVE = "\033[?7h\033[?25h\033[?1049l"
_HOME = "\033[H"
_CLEAR_LINE = "\033[K"
_CLEAR_BELOW = "\033[J"
_ENDING = frozenset(b"qQ\x04")


@contextmanager
def full_screen() -> Iterator[FullScreen]:
    """Have the terminal that stdin and stdout are; Ctrl-C still ends, Ctrl-Z and Ctrl-\\ do not.

    Raises OSError if the terminal is gone.
    """
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    screen = FullScreen(keyboard)
    handler = signal.signal(signal.SIGCONT, screen.lose)
    try:
        screen.take()
        yield screen
    finally:
        signal.signal(signal.SIGCONT, handler)
        try:
            with suppress(OSError):  # the terminal was closed
                draw(_LEAVE)
        finally:
            with suppress(OSError, termios.error):
                termios.tcsetattr(keyboard, termios.TCSANOW, before)


class FullScreen:
    """The terminal while it is ours."""

    is_current = False
    """Whether it shows what was drawn last, as far as is known."""

    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard
        self._is_ours = False

    def take(self) -> None:
        """Have keys as they are typed, and the other screen."""
        self._is_ours = True
        ours = termios.tcgetattr(self._keyboard)
        ours[3] &= ~(termios.ICANON | termios.ECHO)
        ours[6][termios.VMIN], ours[6][termios.VTIME] = 1, 0
        # Whoever suspends or kills us would find the shell on the other screen.
        for key in (termios.VSUSP, termios.VQUIT):
            ours[6][key] = bytes([os.fpathconf(self._keyboard, "PC_VDISABLE")])
        termios.tcsetattr(self._keyboard, termios.TCSANOW, ours)
        draw(_ENTER)

    def lose(self, *_: object) -> None:
        """Note that we were stopped (SIGSTOP), and a shell may have had the terminal since."""
        self._is_ours = self.is_current = False

    def size(self) -> Terminal:
        """Return what the terminal can show; COLUMNS makes it narrower, but no wider."""
        asked = terminal()
        with suppress(OSError):  # the terminal was closed
            wide = os.get_terminal_size(sys.stdout.fileno()).columns
            return asked._replace(columns=min(asked.columns, wide or asked.columns))
        return asked

    def show(self, lines: Sequence[str]) -> None:
        """Have the terminal show these lines, which fit, and nothing else."""
        self.is_current = True
        # Each is cleared before it is written: after the last column, its last character would go.
        *above, last = lines
        text = _HOME + "".join(f"{_CLEAR_LINE}{line}\n" for line in above) + _CLEAR_BELOW + last
        with suppress(OSError, termios.error):  # the terminal was closed, and `is_ended` tells
            if not self._is_ours:
                self.take()
            draw(text)

    def is_ended(self, seconds: float) -> bool:
        """Wait that long; return at once, and True, when `q` is typed or nobody is there any more.

        Any other key asks for what is shown to be drawn again.
        """
        if not select.select([self._keyboard], [], [], seconds)[0]:
            return False
        try:
            typed = os.read(self._keyboard, 1024)
        except OSError:  # the terminal was closed
            return True
        self.is_current = False
        return not typed or bool(_ENDING & set(typed))

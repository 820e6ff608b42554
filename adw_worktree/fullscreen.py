"""The whole terminal for as long as a view is shown: its other screen, and keys as they are typed.

What holds here: however the block ends, the terminal is as it was before.
"""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from .output import draw

# xterm's names: the other screen, which does not scroll into the history; no cursor.
_ENTER = "\033[?1049h\033[?25l"
_LEAVE = "\033[?25h\033[?1049l"
_HOME = "\033[H"
_CLEAR_LINE = "\033[K"
_CLEAR_BELOW = "\033[J"
_ENDING = frozenset(b"qQ\x04")


@contextmanager
def full_screen() -> Iterator[None]:
    """Have the terminal that stdin and stdout are; Ctrl-C still ends, Ctrl-Z does nothing.

    Raises OSError if the terminal is gone.
    """
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    ours = termios.tcgetattr(keyboard)
    ours[3] &= ~(termios.ICANON | termios.ECHO)
    ours[6][termios.VMIN], ours[6][termios.VTIME] = 1, 0
    # Whoever suspends us would find the shell on the other screen.
    ours[6][termios.VSUSP] = bytes([os.fpathconf(keyboard, "PC_VDISABLE")])
    try:
        termios.tcsetattr(keyboard, termios.TCSANOW, ours)
        draw(_ENTER)
        yield
    finally:
        try:
            with suppress(OSError):  # the terminal was closed
                draw(_LEAVE)
        finally:
            with suppress(OSError, termios.error):
                termios.tcsetattr(keyboard, termios.TCSANOW, before)


def show(lines: Sequence[str]) -> None:
    """Have the terminal show these lines, which fit, and nothing else."""
    # Each is cleared before it is written: after the last column, its last character would go.
    *above, last = lines
    with suppress(OSError):  # the terminal was closed, and `is_ended` tells
        draw(_HOME + "".join(f"{_CLEAR_LINE}{line}\n" for line in above) + _CLEAR_BELOW + last)


def is_ended(seconds: float) -> bool:
    """Wait that long; return at once, and True, when `q` is typed or nobody is there any more."""
    keyboard = sys.stdin.fileno()
    if not select.select([keyboard], [], [], seconds)[0]:
        return False
    try:
        typed = os.read(keyboard, 1024)
    except OSError:  # the terminal was closed
        return True
    return not typed or bool(_ENDING & set(typed))

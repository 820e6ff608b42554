"""The program: `adw-worktree`, and `python -m adw_worktree`."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line and end the process with its exit code.

    A command is over before there is any garbage to look for, and the kernel takes memory back
    faster than Python does piece by piece: together a sixth of the time of a short command.
    """
    gc.disable()
    _open_closed_streams()
    from adw_worktree.cli.main import main

    code = main()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)  # what was printed last could not be: Python says so, or has been told not to


def _open_closed_streams() -> None:
    """Put the null device in place of each standard stream that the caller closed.

    Else the next file that is opened gets its number, and whatever is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, "w" if number else "r"))


if __name__ == "__main__":
    run()

"""The program: `adw-worktree`, and `python -m adw_worktree`."""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_STREAMS = "adw-streams"
"""Python's option that tells the encoding which the locale has for text."""


def run() -> NoReturn:
    """Run the command line and end the process with its exit code.

    A command is over before there is any garbage to look for, and the kernel takes memory back
    faster than Python does piece by piece: together a sixth of the time of a short command.
    """
    gc.disable()
    _open_closed_streams()
    _name_files_in_utf8()
    from adw_worktree.cli.main import main

    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # what was printed last could not be: Python says so, or was told not to
    os._exit(code)


def _open_closed_streams() -> None:
    """Put the null device in place of each standard stream that the caller closed.

    Else the next file that is opened gets its number, and whatever is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, "w" if number else "r"))


def _name_files_in_utf8() -> None:
    """Begin again in Python's UTF-8 mode, if the locale has names of files be in another encoding.

    They are bytes, and what git, ledgers and files of ours say of them is UTF-8: a name that is
    read in one encoding and written in another is that of no file, and its worktree gone. Text for
    a terminal stays in the locale's.
    """
    before = sys._xoptions.get(_STREAMS)
    for stream in (sys.stdout, sys.stderr) if isinstance(before, str) else ():
        if isinstance(stream, TextIOWrapper) and stream.isatty():
            stream.reconfigure(encoding=before, errors="backslashreplace")
    if sys.getfilesystemencoding() != "utf-8" and sys.executable:
        options = ["-X", "utf8", "-X", f"{_STREAMS}={sys.stdout.encoding}"]
        try:
            os.execv(sys.executable, [sys.executable, *options, *sys.orig_argv[1:]])
        except OSError:
            return


if __name__ == "__main__":
    run()

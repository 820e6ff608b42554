"""The beginning of a process that the nursery forked: alone, with a log of its own."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def live(log: Path, descriptors: list[int], work: Callable[[], None]) -> NoReturn:
    """Do the work in a session of our own, and end the process; a report goes to the log.

    Of what is open, the streams and `descriptors` stay.
    """
    code = 1
    try:
        _leave_coordinator(log, {*descriptors})
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _leave_coordinator(path: Path, keep: set[int]) -> None:
    """Have a session, streams and signals of our own, and nothing open of the coordinator's."""
    os.setsid()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    _close_all_but(keep | {0, 1, 2})
    os.chdir("/")


def _close_all_but(keep: set[int]) -> None:
    start = 3
    for descriptor in [*sorted(one for one in keep if one >= 3), os.sysconf("SC_OPEN_MAX")]:
        os.closerange(start, descriptor)
        start = descriptor + 1

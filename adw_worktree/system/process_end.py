"""Waiting for the end of processes by a descriptor, among others, instead of asking time and again.

Linux has pidfds, macOS and the BSDs kqueues; both become readable when the process ends.
"""

from __future__ import annotations

import os
import select
import sys


def end_of(pid: int) -> int | None:
    """Return a descriptor that is readable once the process has ended; None if it has already.

    The caller closes it, and knows by other means that `pid` is still the process it thinks of.
    """
    try:
        return _end_of(pid)
    except ProcessLookupError:
        return None


if sys.platform == "linux":

    def _end_of(pid: int) -> int:
        return os.pidfd_open(pid)

else:

    def _end_of(pid: int) -> int:
        queue = select.kqueue()
        event = select.kevent(
            pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, fflags=select.KQ_NOTE_EXIT
        )
        queue.control([event], 0)
        return os.dup(queue.fileno())  # the object closes its own with itself

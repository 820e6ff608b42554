"""Waiting for the end of processes by a descriptor, among others, instead of asking time and again.

Linux has pidfds, macOS and the BSDs kqueues; both become readable when the process ends.
"""

from __future__ import annotations

import errno
import os
import select
import sys


def end_of(pid: int) -> int | None:
    """Return a descriptor that is readable once the process has ended; None if it has already.

    The caller closes it, and knows by other means that `pid` is still the process it thinks of.
    Where numbers come round quickly, it may be that of another's thread by now: `pid` has ended.
    """
    try:
        return _end_of(pid)
    except OSError as exc:
        if exc.errno in (errno.ESRCH, errno.EINVAL, errno.ENOENT):
            return None
        raise


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

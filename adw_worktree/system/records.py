"""Reading files that anybody may have put there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MOST_BYTES = 64 * 1024


def read_small(file: str) -> bytes:
    """Return the bytes of a file of a few lines, and no more than the first 64 KiB of any other.

    For what is read once for each of many worktrees: a Python file object costs several times the
    reading. A pipe is not waited for. Raises OSError.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)


def read_file(file: Path) -> bytes:
    """Return the bytes of a regular file; OSError for a pipe or a device, which might never end."""
    with open(
        file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)
    ) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(file))
        return opened.read()

"""Reading files that anybody may have put there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_file(file: Path) -> bytes:
    """Return the bytes of a regular file; OSError for a pipe or a device, which might never end."""
    with open(
        file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)
    ) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(file))
        return opened.read()

"""Deleting a directory with all that is in it, but nothing that is mounted there.

What holds here: no directory is entered that lies on another mount, however late that came; the
kernel is asked about each directory once it is open. What cannot be deleted stays, and the rest
goes. The file is also run by itself, in the background, and so imports nothing of the package.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

_DEEP = 200
"""Levels below which directories are moved up: each level costs an open file."""


def delete_tree(directory: str | os.PathLike[str]) -> None:
    """Delete `directory`, read-only ones inside it too.

    Raises OSError about the first of what stays, after the rest is deleted.
    """
    name = os.fspath(directory)
    try:
        top = _open(name, None)
    except FileNotFoundError:
        return
    try:
        deletion = _Deletion(top, name)
        deletion.empty(top, name, 0)
        while deletion.deep:
            moved = deletion.deep.pop()
            deletion.remove(top, moved, os.path.join(name, moved), 0)
    finally:
        os.close(top)
    if deletion.failure is None:
        os.rmdir(name)
        return
    raise deletion.failure


class _Deletion:
    """What is going on below one directory."""

    def __init__(self, top: int, name: str) -> None:
        self.top, self.mount = top, _mount_of(top)
        self.deep: list[str] = []
        self.failure: OSError | None = None
        if self.mount != _mount_of_parent(name):
            raise OSError(errno.EBUSY, "something is mounted there", name)

    def empty(self, directory: int, path: str, depth: int) -> None:
        """Delete what is in the open `directory`, which is at `path`."""
        mode = os.fstat(directory).st_mode
        if mode & 0o700 != 0o700:
            with suppress(PermissionError):
                os.fchmod(directory, mode & 0o7777 | 0o700)
        with os.scandir(directory) as items:
            found = [(item.name, item.is_dir(follow_symlinks=False)) for item in items]
        for name, is_directory in found:
            try:
                if is_directory:
                    self.remove(directory, name, os.path.join(path, name), depth + 1)
                else:
                    os.unlink(name, dir_fd=directory)
            except FileNotFoundError:
                continue
            except OSError as exc:
                self._note(exc, os.path.join(path, name))

    def remove(self, parent: int, name: str, path: str, depth: int) -> None:
        """Delete the directory `name` in the open `parent`. Raises OSError."""
        if depth > _DEEP:
            moved = f".deep-{len(self.deep)}-{os.getpid()}-{os.urandom(4).hex()}"
            os.rename(name, moved, src_dir_fd=parent, dst_dir_fd=self.top)
            self.deep.append(moved)
            return
        directory = _open(name, parent, self.mount)
        try:
            if _mount_of(directory) != self.mount:
                raise OSError(errno.EBUSY, "something is mounted there", path)
            before = self.failure
            self.empty(directory, path, depth)
        finally:
            os.close(directory)
        if self.failure is before:
            os.rmdir(name, dir_fd=parent)

    def _note(self, failure: OSError, path: str) -> None:
        if self.failure is None:
            self.failure = OSError(failure.errno, failure.strerror, path)


def _open(name: str, parent: int | None, mount: str | None = None) -> int:
    """Open a directory, no link; one that nobody may read is made readable first.

    Not if it lies on another mount than `mount`, where nothing is ours to change.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except PermissionError:
        if mount is not None and hasattr(os, "O_PATH"):
            seen = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                if _mount_of(seen) != mount:
                    raise
            finally:
                os.close(seen)
        os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, flags, dir_fd=parent)


def _mount_of(directory: int) -> str:
    """Return what the kernel calls the mount of an open directory; its device where it does not."""
    try:
        with open(f"/proc/self/fdinfo/{directory}", "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        lines = []
    named = [line for line in lines if line.startswith(b"mnt_id:")]
    return named[0].decode() if named else f"device {os.fstat(directory).st_dev}"


def _mount_of_parent(name: str) -> str:
    """Return the mount of the directory that `name` is in."""
    parent = os.open(os.path.dirname(os.path.abspath(name)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        return _mount_of(parent)
    finally:
        os.close(parent)


if __name__ == "__main__":
    try:
        delete_tree(sys.argv[1])
    except OSError:
        os.rename(sys.argv[1], sys.argv[2])  # where what could not be deleted is looked for

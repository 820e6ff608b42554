"""Replacing a file so that a crash at any moment leaves the old content or the new, whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adw_worktree.system.faults import reached
from adw_worktree.system.sharing import mode_in


def write_atomically(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o644,
    time_ns: int | None = None,
    lasting: bool = True,
    synced: bool = True,
    shared: bool = False,
) -> None:
    """Replace `path` with `data`, under exactly the permissions `mode`, changed at `time_ns`.

    If `shared`, the group that shares the directory has it, too: for files beside git's own.

    Unless `lasting`, a power cut may bring the old content back, for what is then found out and
    written again. Never half of it, unless it is not `synced` either: that is for many files at
    once, each of which is written again, synced, when no lock is held any more.

    A symbolic link at `path` is itself replaced, never followed. The temporary file is
    `.<name>.tmp` beside it: a fixed name, so that crashes leave one such file at most, and the next
    call takes it away. Who reads before writing holds a lock; writers alone are safe without.

    Raises OSError. The temporary file is removed then and the old content is whole; only if the
    last step failed, the fsync of the directory, is the new content there, perhaps not for good.
    """
    # One descriptor for all steps: the directory may be moved meanwhile.
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _temporary(temporary_of(path).name, directory) as (name, descriptor):
            os.fchmod(descriptor, mode_in(os.fstat(directory).st_mode, mode) if shared else mode)
            _write_all(descriptor, data)
            if time_ns is not None:
                os.utime(descriptor, ns=(time_ns, time_ns))
            if synced:
                os.fsync(descriptor)
            reached("atomic.written")
            os.rename(name, path.name, src_dir_fd=directory, dst_dir_fd=directory)
            reached("atomic.renamed")
        if lasting:
            _sync_directory(directory)
            reached("atomic.synced")
    finally:
        os.close(directory)


def temporary_of(path: Path) -> Path:
    """Return what `path` is called while it is written."""
    return path.with_name(f".{path.name}.tmp")


def discard_leftover(path: Path) -> None:
    """Remove the temporary file that a writer of `path` left when it died; never one at work.

    Raises nothing: what cannot be removed is in nobody's way.
    """
    name = temporary_of(path)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.lstat(name), os.fstat(descriptor)):
            name.unlink()
            reached("atomic.discarded")
    except OSError:
        return
    finally:
        os.close(descriptor)


@contextmanager
def _temporary(name: str, directory: int) -> Iterator[tuple[str, int]]:
    """Yield the name and descriptor of a new file; on failure it is removed.

    It is locked while it lasts, which tells the file of a writer at work from one left by a crash.
    """
    while True:
        _discard_stale(name, directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=directory)
        except FileExistsError:
            continue  # another writer was faster
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(name, directory, descriptor):
                reached("atomic.made")
                yield name, descriptor
                return
            # Another writer took it for stale before it was locked.
        except BaseException:
            with contextlib.suppress(OSError):  # the first failure is the one to tell
                _unlink_if_at(name, directory, descriptor)
            raise
        finally:
            os.close(descriptor)


def _discard_stale(name: str, directory: int) -> None:
    """Remove what a writer that died has left; wait for one that is at work."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        return
    except OSError:  # a link, a socket, a file we may not open: none that a writer of ours holds
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _unlink_if_at(name, directory, descriptor)
    finally:
        os.close(descriptor)


def _unlink_if_at(name: str, directory: int, descriptor: int) -> None:
    """Remove `name`, unless it is no longer the file that `descriptor` has open."""
    if _is_at(name, directory, descriptor):
        os.unlink(name, dir_fd=directory)


def _is_at(name: str, directory: int, descriptor: int) -> bool:
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:  # a full disk writes a part before it fails
        left = left[os.write(descriptor, left) :]


def _sync_directory(directory: int) -> None:
    try:
        os.fsync(directory)
    except OSError as exc:
        if exc.errno != errno.EINVAL:  # a file system that does not sync directories
            raise

"""Directories that are watched, and what the kernel tells of them: inotify or FSEvents, no polling.

What holds here: each watch is on one directory, never on what lies below it. Nobody runs between
two changes: all threads sleep in the kernel. What was lost is said (`Changes.lost`), not passed
over; a watch that ended is said (`Changes.ended`), since its directory may be there again.

The library is watchdog, which has both; watchfiles looks twenty times a second whether something
came. It is needed by this module alone, and need not be installed for anything else.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adw_worktree.errors import AdwError, FileUnusable, LibraryMissing

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

_HAS_INOTIFY = sys.platform == "linux"
_MOUNTS = "/proc/self/mountinfo"
_QUIET_SECONDS = 0.05
"""For how long nothing may come before a burst counts as over: git deletes a worktree, and then its
own directory of it."""
_BURST_SECONDS = 0.25
"""After which a burst that goes on is told of all the same."""

_LIMITS = {
    errno.ENOSPC: "raise the limit: sudo sysctl fs.inotify.max_user_watches=1048576",
    errno.EMFILE: "raise the limit: sudo sysctl fs.inotify.max_user_instances=1024",
    errno.EAGAIN: "raise the limit on threads (ulimit -u, TasksMax), then repeat",
}


class Changes(NamedTuple):
    """What came in since the last time."""

    deleted: frozenset[Path] = frozenset()
    """What was deleted, and not moved. FSEvents does not tell these apart, nor which it was: on
    macOS the watched directories in which something changed."""
    stirred: frozenset[Path] = frozenset()
    """Watched directories in which something came or moved."""
    ended: frozenset[Path] = frozenset()
    """Watched directories whose watch tells nothing any more."""
    lost: bool = False
    """Whether there was more than the kernel could keep for us: anything may have changed."""
    mounts: bool = False
    """Whether a file system was mounted or unmounted: watches may be on what is hidden now."""

    def joined(self, later: Changes) -> Changes:
        """Return both as one."""
        return Changes(
            self.deleted | later.deleted,
            self.stirred | later.stirred,
            self.ended | later.ended,
            self.lost or later.lost,
            self.mounts or later.mounts,
        )


def require_library() -> None:
    """Raise LibraryMissing if nothing can be watched here."""
    try:
        import watchdog.observers  # noqa: F401
    except ImportError as exc:
        from adw_worktree.system.install_hint import install_command

        raise LibraryMissing(
            "watching directories needs the library watchdog, which is not installed",
            hint=install_command("watchdog>=7.1"),
        ) from exc


class DirectoryWatch:
    """The directories that are watched, and what came in and was not asked for yet.

    Its threads are the library's; they end with the process.
    """

    def __init__(self) -> None:
        """Begin, with nothing watched. Raises LibraryMissing, FileUnusable."""
        require_library()
        self._lock = threading.Lock()
        self._pending = Changes()
        self._failure: BaseException | None = None
        self._watches: dict[Path, ObservedWatch] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._mounts = _open_mounts()
        threading.excepthook = self._thread_failed
        _hear_of_overflow(lambda: self._add(Changes(lost=True)))
        try:
            self._observer = _observer()
            self._observer.start()
        except OSError as exc:
            raise unwatchable(exc) from exc

    def watch(self, directory: Path, *, files: bool = False) -> None:
        """Tell of directories that come to or go from `directory`; with `files`, of files as well.

        Raises OSError: there is no such directory, or a limit is reached.
        """
        from watchdog.events import FileSystemEventHandler

        handler = FileSystemEventHandler()
        handler.on_any_event = lambda event: self._heard(directory, event)  # type: ignore[method-assign]
        try:
            self._watches[directory] = self._observer.schedule(
                handler, str(directory), event_filter=_events(files=files)
            )
        except RuntimeError as exc:  # no more threads
            raise BlockingIOError(errno.EAGAIN, str(exc), str(directory)) from exc

    def unwatch(self, directory: Path) -> None:
        """Tell nothing of `directory` any more."""
        self._observer.unschedule(self._watches.pop(directory))

    def wait(self, timeout: float | None = None) -> Changes:
        """Sleep until something changes, then until it is quiet for a moment; return what came.

        With `timeout`, come back after so many seconds at the latest.
        """
        changes = self._take(timeout)
        if changes == Changes():
            return changes
        deadline = time.monotonic() + _BURST_SECONDS
        while time.monotonic() < deadline:
            more = self._take(_QUIET_SECONDS)
            if more == Changes():
                break
            changes = changes.joined(more)
        return changes

    def _take(self, timeout: float | None) -> Changes:
        """Return what came, waiting for it; nothing if nothing came in time."""
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        if self._mounts is not None:
            poller.register(self._mounts, select.POLLPRI)
        ready = {file for file, _ in poller.poll(None if timeout is None else timeout * 1000)}
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        with self._lock:
            changes, self._pending = self._pending, Changes()
            failure = self._failure
        if failure is not None:
            raise AdwError(
                f"what changes in directories is not told any more: {failure!r}",
                hint="start it again: adw-worktree watch",
            ) from failure
        return changes._replace(mounts=self._mounts in ready)

    def _heard(self, directory: Path, event: FileSystemEvent) -> None:
        """Keep what the library says of `directory`; its own thread calls this."""
        path = Path(os.fsdecode(event.src_path))
        here, there = frozenset({directory}), frozenset({path})
        if event.event_type == "deleted":
            self._add(Changes(deleted=there, ended=here & there))
        elif event.event_type == "modified":
            self._add(Changes(deleted=here))
        else:
            self._add(Changes(stirred=here))

    def _add(self, changes: Changes) -> None:
        with self._lock:
            self._pending = self._pending.joined(changes)
        with suppress(BlockingIOError):  # full: it wakes as it is
            os.write(self._wake, b"!")

    def _thread_failed(self, failed: threading.ExceptHookArgs) -> None:
        """Have a thread of the library's that ended by its own mistake end us, not deafen us."""
        with self._lock:
            self._failure = failed.exc_value or failed.exc_type()
        with suppress(BlockingIOError):
            os.write(self._wake, b"!")


def unwatchable(cause: OSError) -> FileUnusable:
    """Return the error for a directory that cannot be watched."""
    hint = _LIMITS.get(cause.errno or 0, "make the directory readable, then repeat")
    return FileUnusable(f"not everything can be watched: {cause.strerror}", hint=hint)


def _observer() -> BaseObserver:
    if _HAS_INOTIFY:
        from watchdog.observers.inotify import InotifyObserver

        # Else a directory that was moved away looks like one that was deleted.
        return InotifyObserver(generate_full_events=True)
    from watchdog.observers import Observer

    return Observer()


def _events(*, files: bool) -> list[type[FileSystemEvent]]:
    """Return the kinds of events to be told of.

    The kernel has one list of them for a directory, whoever asks: so it is always the same there.
    """
    from watchdog import events

    found: list[type[FileSystemEvent]] = [
        events.DirCreatedEvent,
        events.DirDeletedEvent,
        events.DirMovedEvent,
    ]
    if not _HAS_INOTIFY:
        # Of a directory alone, without what is below, FSEvents says but that it changed.
        found.append(events.DirModifiedEvent)
    if files:
        found += [events.FileCreatedEvent, events.FileDeletedEvent, events.FileMovedEvent]
    return found


def _hear_of_overflow(tell: Callable[[], None]) -> None:
    """Have `tell` called when inotify lost events: the library says so in its log alone."""
    import logging

    class Overflow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "overflow" in record.getMessage():
                tell()

    logger = logging.getLogger("watchdog")
    logger.addHandler(Overflow())
    logger.propagate = False


def _open_mounts() -> int | None:
    """Return the kernel's table of mounts, whose changes can be waited for; None without one."""
    try:
        return os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None

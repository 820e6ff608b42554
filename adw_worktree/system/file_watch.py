"""Being woken when something in a directory is written: inotify, kqueue or FSEvents, no polling."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def woken_by_writes(directory: Path) -> Iterator[int]:
    """Yield a descriptor that is readable whenever a file in `directory` was written.

    The caller reads from it before it looks; it does not block. Raises OSError.
    """
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)

    class Waker(FileSystemEventHandler):
        """Writes a byte at each event that is no mere look."""

        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type not in ("opened", "closed_no_write"):
                with suppress(BlockingIOError):
                    os.write(waker, b"!")

    try:
        observer = Observer()
        observer.schedule(Waker(), str(directory))
        observer.start()
        try:
            yield woken
        finally:
            observer.stop()
            observer.join()
    finally:
        os.close(woken)
        os.close(waker)

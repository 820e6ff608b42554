"""What the store takes for each statement, while people click."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from adw_worktree.board.contents.live import last_event, snapshot
from adw_worktree.board.contents.rows import Filter, event_page, feature_page, phase_page
from adw_worktree.orchestration.store.database import Database, Row, Value
from adw_worktree.orchestration.store.sharing import Viewer
from tests.support.features import store

_SECONDS_BETWEEN = 0.5
_VIEWER = Viewer(1, sees_all=False)


class _Timed:
    """The store, and how long each statement took."""

    def __init__(self, database: Database, seconds: list[float]) -> None:
        self._database, self._seconds = database, seconds
        self.place, self.serial_key = database.place, database.serial_key

    def execute(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        began = time.perf_counter()
        found = self._database.execute(statement, values)
        self._seconds.append(time.perf_counter() - began)
        return found

    def transaction(self) -> AbstractContextManager[None]:
        return self._database.transaction()

    def close(self) -> None:
        self._database.close()


@contextmanager
def asking() -> Iterator[list[float]]:
    """Ask the store for the board's largest answers, for the block; yield each one's seconds."""
    seconds: list[float] = []
    over = threading.Event()

    def ask() -> None:
        database = _Timed(store(), seconds)
        whole = Filter(limit=1000)
        while not over.wait(_SECONDS_BETWEEN):
            last = last_event(database)
            feature_page(database, _VIEWER, whole)
            phase_page(database, _VIEWER, whole)
            event_page(database, _VIEWER, max(0, last - 100), 100)
            snapshot(database, _VIEWER, last)
        database.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()

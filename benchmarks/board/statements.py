"""What the store takes for each statement, while people click."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection

from adw_worktree.board.contents.live import last_event, snapshot
from adw_worktree.board.contents.rows import Filter, event_page, feature_page, phase_page
from adw_worktree.orchestration.store.database import Database, Row, Value
from adw_worktree.orchestration.store.sharing import Viewer
from tests.support.features import store

_SECONDS_BETWEEN = 2.0
_VIEWER = Viewer(1, sees_all=False)


class _Timed:
    """The store, and how long each statement took."""

    def __init__(self, database: Database, seconds: list[float]) -> None:
        self._database, self._seconds = database, seconds
        self.place, self.serial_key = database.place, database.serial_key
        self.is_shared, self.here = database.is_shared, database.here

    def execute(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        began = time.perf_counter()
        found = self._database.execute(statement, values)
        self._seconds.append(time.perf_counter() - began)
        return found

    def transaction(self, *, lasting: bool = True) -> AbstractContextManager[None]:
        return self._database.transaction(lasting=lasting)

    def now(self) -> str:
        return self._database.now()

    def is_current(self) -> bool:
        return self._database.is_current()

    def close(self) -> None:
        self._database.close()


@contextmanager
def asking() -> Iterator[list[float]]:
    """Ask the store for the board's largest answers, for the block; yield each one's seconds.

    They are there after the block. A process of its own asks: it takes nobody's time but its own.
    """
    seconds: list[float] = []
    ours, theirs = Pipe()
    process = Process(target=_ask, args=(theirs,))
    process.start()
    try:
        yield seconds
    finally:
        ours.send(None)
        seconds += ours.recv()
        process.join()


def _ask(asked: Connection) -> None:
    seconds: list[float] = []
    database = _Timed(store(), seconds)
    whole = Filter(limit=1000)
    while not asked.poll(_SECONDS_BETWEEN):
        last = last_event(database)
        feature_page(database, _VIEWER, whole)
        phase_page(database, _VIEWER, whole)
        event_page(database, _VIEWER, max(0, last - 100), 100)
        snapshot(database, _VIEWER, last)
    database.close()
    asked.send(seconds)

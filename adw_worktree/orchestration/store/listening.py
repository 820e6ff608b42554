"""Hearing of commits to a store that is on a server, wherever they were made.

What holds here: whoever listens is called after each commit, and after each time that the server
was away, since a commit may have been missed then. One connection, one thread, no polling.

A pool that hands each transaction another connection takes LISTEN without a word and delivers
nothing; so a notification that we send by another connection has to arrive first.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg

from adw_worktree.errors import StoreError, StoreUnavailable
from adw_worktree.orchestration.store.database import Row
from adw_worktree.orchestration.store.postgres import CHANNEL, connect, line_of, place_of

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_ECHO_SECONDS = 2.0


class Listening:
    """A thread that calls `heard` after each commit to the store on a server."""

    def __init__(self, url: str, heard: Callable[[], object]) -> None:
        """Begin to listen. Raises StoreError if notifications do not arrive, StoreUnavailable."""
        self._url, self._heard = url, heard
        self._stop, self._stopped = os.pipe()
        try:
            connection = _listening(url)
        except StoreError:
            self._close_pipe()
            raise
        self._thread = threading.Thread(target=self._listen, args=[connection], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        os.write(self._stopped, b"x")
        self._thread.join()
        self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self._stop)
        os.close(self._stopped)

    def _listen(self, connection: psycopg.Connection[Row] | None) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            if connection is not None:
                self._hear(connection)
                connection.close()
                pause = _FIRST_PAUSE_SECONDS
            if select.select([self._stop], [], [], 0 if connection is not None else pause)[0]:
                return
            connection = None
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            with suppress(StoreError):
                connection = _listening(self._url)
                self._heard()

    def _hear(self, connection: psycopg.Connection[Row]) -> None:
        """Call `heard` until the connection breaks, or this is to stop."""
        with suppress(psycopg.Error, OSError):
            while True:
                ready = select.select([connection.fileno(), self._stop], [], [])[0]
                if self._stop in ready:
                    return
                if list(connection.notifies(timeout=0)):
                    self._heard()


def require_notifications(url: str) -> None:
    """Raise StoreError if notifications do not arrive by this address."""
    _listening(url).close()


def _listening(url: str) -> psycopg.Connection[Row]:
    """Return a connection on which notifications arrive. Raises StoreError, StoreUnavailable."""
    connection = connect(url)
    try:
        connection.execute(f"LISTEN {CHANNEL}")
        with connect(url) as other:
            other.execute(f"SELECT pg_notify('{CHANNEL}', '')")
        if list(connection.notifies(timeout=_ECHO_SECONDS, stop_after=1)):
            return connection
    except psycopg.Error as exc:
        connection.close()
        raise StoreUnavailable(
            f"the store {place_of(url)} cannot be listened to: {line_of(exc)}",
            hint="see to the server, then repeat",
        ) from exc
    connection.close()
    raise StoreError(
        f"the store {place_of(url)} delivers no notifications: a pool of connections in "
        "transaction mode is before it",
        hint="set store_listen to an address that leads past the pool, or to one in session mode",
    )

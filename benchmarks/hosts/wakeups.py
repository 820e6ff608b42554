"""Waking a host alone: from the commit to the call, by procrastinate, and by bare LISTEN/NOTIFY."""

from __future__ import annotations

import threading
import time
from contextlib import closing

from adw_worktree.orchestration.running.tokens import Tokens
from adw_worktree.orchestration.store.listening import Listening
from adw_worktree.orchestration.store.opening import connect_to_server
from adw_worktree.orchestration.store.tokens import send_tokens
from tests.support import server_store

from .room import server

_PAUSE_SECONDS = 0.05


def wakeups(count: int) -> dict[str, list[float]]:
    """Return the seconds from the begin of a commit to the call that it leads to."""
    found: dict[str, list[float]] = {}
    with server() as started:
        url = server_store.made(started)
        heard = threading.Event()
        listening = Listening(url, heard.set)
        found["LISTEN/NOTIFY alone"] = _measure(url, heard, count, host=None)
        listening.close()
        tokens = Tokens(url, "host1", heard.set)
        time.sleep(2.0)
        found["a token of procrastinate"] = _measure(url, heard, count, host="host1")
        tokens.close()
    return found


def _measure(url: str, heard: threading.Event, count: int, *, host: str | None) -> list[float]:
    seconds = []
    with closing(connect_to_server(url)) as database:
        for _ in range(count):
            time.sleep(_PAUSE_SECONDS)
            heard.clear()
            with database.transaction():
                if host is not None:
                    send_tokens(database, [host])
                began = time.perf_counter()
            if not heard.wait(30):
                raise SystemExit("a wake-up was lost")
            seconds.append(time.perf_counter() - began)
    return seconds

"""What browsers are told as it happens: a snapshot, then each event with what it changed.

What holds here: nothing is read in a loop. Whoever commits to the store rings a bell, and the
events since the last ring are read once for all browsers. Each message has the id of its event;
who says which one it has seen gets those that follow, and a snapshot if these are too many.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adw_worktree.board.contents.rows import OPEN, queue_row, queue_rows
from adw_worktree.errors import AdwError
from adw_worktree.orchestration.runs.summon import hearing_commits
from adw_worktree.orchestration.store.database import Database, placeholders
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import Event, events, features, phases
from adw_worktree.orchestration.store.results import event_row, feature_row, feature_rows

_log = logging.getLogger(__name__)

_MOST_WAITING = 1000
"""Messages that a browser has not taken: one that sleeps gets a snapshot when it wakes."""
_MOST_REPLAYED = 500
_AT_ONCE = 500
_MOST_OVER = 50
"""Features that are over, in a snapshot."""
_TYPES = {"attempt.ended": "workflow_completed", "limit": "limit_changed"}


class Listener:
    """One browser or program that follows."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._fell_behind = False

    def offer(self, message: str) -> None:
        """Have a message sent, unless too many wait already."""
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self._fell_behind = True

    async def take(self) -> str | None:
        """Return the next message; None if some were lost, and a snapshot is due."""
        if self._fell_behind:
            self._fell_behind = False
            while not self._messages.empty():
                self._messages.get_nowait()
            return None
        return await self._messages.get()


class Live:
    """Reads the events of the store, and hands them to all who listen."""

    def __init__(self, state_dir: Path) -> None:
        """Open the store. Raises StoreError."""
        self._state_dir = state_dir
        # One thread has the connection for itself: none may be used by two.
        self._thread = ThreadPoolExecutor(1, "board-live")
        self._database = self._thread.submit(open_store, state_dir).result()
        self._seen = self._thread.submit(last_event, self._database).result()
        self._listeners: set[Listener] = set()
        self._snapshot = (-1, "")

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the store for the block, and close it then."""
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        with hearing_commits(self._state_dir) as bell:

            def hear() -> None:
                bell.silence()
                rung.set()

            loop.add_reader(bell.descriptor, hear)
            reading = asyncio.create_task(self._read(rung))
            try:
                yield
            finally:
                reading.cancel()
                loop.remove_reader(bell.descriptor)
                await self._do(self._database.close)
                self._thread.shutdown()

    @property
    def followed_by(self) -> int:
        """How many browsers and programs listen."""
        return len(self._listeners)

    def listen(self) -> Listener:
        """Return a listener that gets every message from now on, until `leave`."""
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Offer nothing more to a listener."""
        self._listeners.discard(listener)

    async def missed(self, seen: int | None) -> list[str]:
        """Return what brings a listener up to date that has seen the event `seen`; None: nothing.

        A listener that was there before it asks misses nothing, and may get a message twice.
        """
        if seen is not None:
            messages: list[str] | None = await self._do(self._since, seen)
            if messages is not None:
                return messages
        return [await self._do(self._whole)]

    async def _do(self, work: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)

    async def _read(self, rung: asyncio.Event) -> None:
        while True:
            await rung.wait()
            rung.clear()
            try:
                messages = await self._do(self._news)
            except AdwError as exc:
                # The store cannot be used now. The next ring repeats it, and nothing is skipped.
                _log.warning("events could not be read: %s", exc)
                continue
            for message in messages:
                for listener in self._listeners:
                    listener.offer(message)

    # ---- in the thread -----------------------------------------------------------------

    def _news(self) -> list[str]:
        """Return messages for all events since the last time."""
        messages: list[str] = []
        seen = self._seen
        while True:
            found = events(self._database, "id > ?", [seen], order=f"id LIMIT {_AT_ONCE}")
            messages += messages_of(self._database, found)
            seen = found[-1].id if found else seen
            if len(found) < _AT_ONCE:
                self._seen = seen
                return messages

    def _since(self, seen: int) -> list[str] | None:
        """Return messages for the events after `seen`; None if they are too many, or it is none."""
        if seen > last_event(self._database):
            return None
        found = events(self._database, "id > ?", [seen], order=f"id LIMIT {_MOST_REPLAYED + 1}")
        return messages_of(self._database, found) if len(found) <= _MOST_REPLAYED else None

    def _whole(self) -> str:
        """Return a snapshot: what was made for one who came before, if nothing has happened."""
        last = last_event(self._database)
        if self._snapshot[0] != last:
            self._snapshot = (last, json.dumps(snapshot(self._database, last)))
        return self._snapshot[1]


def last_event(database: Database) -> int:
    """Return the id of the last event; 0 if there is none."""
    [[found]] = database.execute("SELECT max(id) FROM events")
    return int(str(found or 0))


def snapshot(database: Database, last: int) -> dict[str, Any]:
    """Return all features that are not over with their phases, and the last of the others.

    What happens while it is read may be in it, and comes again in the messages that follow.
    """
    marks = placeholders(OPEN)
    present = features(database, f"status IN ({marks})", OPEN)
    over = features(
        database, f"status NOT IN ({marks})", OPEN, order=f"ended_at DESC LIMIT {_MOST_OVER}"
    )
    data = {
        "features": feature_rows(database, [*present, *over]),
        "phases": [row for one in present for row in queue_rows(database, one)],
    }
    return {"type": "snapshot", "id": last, "data": data}


def messages_of(database: Database, found: Sequence[Event]) -> list[str]:
    """Return a message for each event, with the feature and the phase as they are now."""
    reader = _Reader(database)
    return [json.dumps(reader.message(event)) for event in found]


class _Reader:
    """Reads each feature and phase once, however many events are of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._features: dict[int, dict[str, Any]] = {}
        self._phases: dict[int, dict[str, Any]] = {}

    def message(self, event: Event) -> dict[str, Any]:
        feature, phase = self._feature(event), self._phase(event)
        data = {"event": event_row(event), "feature": feature, "phase": phase}
        kind = "feature_changed" if phase is None else "phase_changed"
        return {"type": _TYPES.get(event.kind, kind), "id": event.id, "data": data}

    def _feature(self, event: Event) -> dict[str, Any] | None:
        number = event.feature_id
        if number is not None and number not in self._features:
            [feature] = features(self._database, "id = ?", [number])
            self._features[number] = feature_row(self._database, feature)
        return None if number is None else self._features[number]

    def _phase(self, event: Event) -> dict[str, Any] | None:
        number = event.phase_id
        if number is not None and number not in self._phases:
            [phase] = phases(self._database, "id = ?", [number])
            [feature] = features(self._database, "id = ?", [phase.feature_id])
            self._phases[number] = queue_row(self._database, feature, phase)
        return None if number is None else self._phases[number]

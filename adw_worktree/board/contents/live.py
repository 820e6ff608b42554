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
from typing import Any, NamedTuple

from adw_worktree.board.access.visitor import Visitor
from adw_worktree.board.contents.rows import queue_row, queue_rows_of
from adw_worktree.errors import AdwError
from adw_worktree.orchestration.runs.summon import hearing_commits
from adw_worktree.orchestration.store.database import Database, placeholders
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import OPEN, Event, events, features, phases
from adw_worktree.orchestration.store.results import event_row, feature_row, feature_rows
from adw_worktree.orchestration.store.sharing import OWNER, SHARING, Viewer, seen_by
from adw_worktree.orchestration.store.users import User, find_users

_log = logging.getLogger(__name__)

_MOST_WAITING = 1000
"""Messages that a browser has not taken: one that sleeps gets a snapshot when it wakes."""
_MOST_CONNECTIONS = 30
"""Of one user."""
_MOST_REPLAYED = 500
_AT_ONCE = 500
_MOST_OVER = 50
"""Features that are over, in a snapshot."""
_TYPES = {"attempt.ended": "workflow_completed", "limit": "limit_changed"}
_OF_HOST = "host."


class Told(NamedTuple):
    """A message, and who is told of it."""

    text: str
    users: frozenset[int] | None
    """Besides those who see all; None if no user is."""
    starts_over: int | None = None
    """The user who sees another set of features from now on."""

    def is_for(self, viewer: Viewer) -> bool:
        """Return whether a viewer is told."""
        return viewer.sees_all or viewer.user_id in (self.users or ())


class Listener:
    """One browser or program that follows."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self._messages: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._fell_behind = False
        self.cut = asyncio.Event()
        """Set once the session of its user is over."""

    def hear(self, told: Told) -> None:
        """Have a message sent that concerns its user, unless too many wait already."""
        user = self.visitor.user
        if user is not None and told.starts_over == user.id:
            self._start_over()
        elif told.is_for(self.visitor.viewer):
            self.offer(told.text)

    def _start_over(self) -> None:
        self._fell_behind = True
        if self._messages.empty():
            self.offer("")  # wakes whoever takes

    def offer(self, message: str) -> None:
        """Have a message sent, unless too many wait already."""
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self._fell_behind = True

    async def take(self) -> str | None:
        """Return the next message; None if some were lost, and a snapshot is due."""
        message = None if self._fell_behind else await self._messages.get()
        if not self._fell_behind:
            return message
        self._fell_behind = False
        while not self._messages.empty():
            self._messages.get_nowait()
        return None


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
        self._snapshots: dict[Viewer, str] = {}
        self._snapshots_at = -1

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

    def is_full_for(self, visitor: Visitor) -> bool:
        """Return whether a user has more connections than a person could look at."""
        user_id = visitor.user_id
        mine = [one for one in self._listeners if one.visitor.user_id == user_id]
        return user_id is not None and len(mine) >= _MOST_CONNECTIONS

    def listen(self, visitor: Visitor) -> Listener:
        """Return a listener that gets each message for it from now on, until `leave`."""
        listener = Listener(visitor)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Offer nothing more to a listener."""
        self._listeners.discard(listener)

    async def see_to_session(self, listener: Listener) -> None:
        """Cut a listener whose session was over before it was listened to. Raises StoreError."""
        user = listener.visitor.user
        if user is not None and await self._do(self._gone, {user}):
            listener.cut.set()

    async def missed(self, viewer: Viewer, seen: int | None) -> list[str]:
        """Return what brings a viewer up to date who has seen the event `seen`; None: nothing.

        A listener that was there before it asks misses nothing, and may get a message twice.
        """
        if seen is not None:
            messages: list[str] | None = await self._do(self._since, viewer, seen)
            if messages is not None:
                return messages
        return [await self._do(self._whole, viewer)]

    async def _do(self, work: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)

    async def _read(self, rung: asyncio.Event) -> None:
        while True:
            await rung.wait()
            rung.clear()
            here = {one.visitor.user for one in self._listeners if one.visitor.user is not None}
            try:
                news: list[Told] = await self._do(self._news)
                gone: set[User] = await self._do(self._gone, here)
            except AdwError as exc:
                # The store cannot be used now. The next ring repeats it, and nothing is skipped.
                _log.warning("events could not be read: %s", exc)
                continue
            for listener in self._listeners:
                if listener.visitor.user in gone:
                    listener.cut.set()
            for told in news:
                for listener in self._listeners:
                    listener.hear(told)

    # ---- in the thread -----------------------------------------------------------------

    def _news(self) -> list[Told]:
        """Return messages for all events since the last time."""
        self._snapshots_at = -1  # not all that changes has an event
        messages: list[Told] = []
        seen = self._seen
        while True:
            found = events(self._database, "id > ?", [seen], order=f"id LIMIT {_AT_ONCE}")
            messages += told_of(self._database, found)
            seen = found[-1].id if found else seen
            if len(found) < _AT_ONCE:
                self._seen = seen
                return messages

    def _gone(self, here: set[User]) -> set[User]:
        """Return those users whose sessions are over: who are not now what they were."""
        ids = tuple(one.id for one in here)
        now = find_users(self._database, f"id IN ({placeholders(ids)})", ids) if here else []
        return here - {*now}

    def _since(self, viewer: Viewer, seen: int) -> list[str] | None:
        """Return messages for the events after `seen`; None if a snapshot is due.

        It is if they are too many, if there is no such event, or if others may be seen since.
        """
        if seen > last_event(self._database):
            return None
        found = events(self._database, "id > ?", [seen], order=f"id LIMIT {_MOST_REPLAYED + 1}")
        if len(found) > _MOST_REPLAYED:
            return None
        told = told_of(self._database, found)
        if not viewer.sees_all and any(one.starts_over == viewer.user_id for one in told):
            return None
        return [one.text for one in told if one.is_for(viewer)]

    def _whole(self, viewer: Viewer) -> str:
        """Return a snapshot: what was made for one who sees the same, if nothing has happened."""
        last = last_event(self._database)
        if self._snapshots_at != last:
            self._snapshots, self._snapshots_at = {}, last
        key = OWNER if viewer.sees_all else viewer
        if key not in self._snapshots:
            self._snapshots[key] = json.dumps(snapshot(self._database, key, last))
        return self._snapshots[key]


def last_event(database: Database) -> int:
    """Return the id of the last event; 0 if there is none."""
    [[found]] = database.execute("SELECT max(id) FROM events")
    return int(str(found or 0))


def snapshot(database: Database, viewer: Viewer, last: int) -> dict[str, Any]:
    """Return all features that are not over with their phases, and the last of the others.

    They are those that the viewer may see. What happens while it is read may be in it, and comes
    again in the messages that follow.
    """
    marks = placeholders(OPEN)
    seen, who = viewer.sees("features.id")
    values = [*OPEN, *who]
    present = features(database, f"status IN ({marks}) AND {seen}", values)
    order = f"ended_at DESC LIMIT {_MOST_OVER}"
    over = features(database, f"status NOT IN ({marks}) AND {seen}", values, order=order)
    data = {
        "features": feature_rows(database, [*present, *over]),
        "phases": queue_rows_of(database, present),
    }
    return {"type": "snapshot", "id": last, "data": data}


def told_of(database: Database, found: Sequence[Event]) -> list[Told]:
    """Return a message for each event, with the feature and the phase as they are now."""
    reader = _Reader(database)
    seers = seen_by(database, sorted({one.feature_id for one in found if one.feature_id}))
    return [
        Told(
            json.dumps(reader.message(event)),
            frozenset(seers.get(event.feature_id, ())) if event.feature_id is not None else None,
            json.loads(event.data)["user"] if event.kind in SHARING else None,
        )
        for event in found
    ]


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
        if event.kind.startswith(_OF_HOST):
            kind = "host_changed"
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

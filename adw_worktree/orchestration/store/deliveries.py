"""Deliveries: how far the events of a feature have been brought to who wants to know of them.

What holds here: the events of a feature are delivered in their order, each at least once; one that
cannot be is tried again later and later, and given up after a day. A delivery is `pending` while
there are events to bring, so that looking for work takes no longer the more features there were.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import Event, events
from adw_worktree.orchestration.store.times import as_text, later
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Way = Literal["command", "url", "github"]
    """How an event is delivered: to the command of `on-event`, to `notify_url`, or to the issues
    of phases on GitHub."""

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 300.0
_GIVEN_UP_SECONDS = 86400.0


class NotDelivered(Exception):
    """An event could not be delivered; the text says why."""

    def __init__(self, why: str, not_before: datetime | None = None) -> None:
        super().__init__(why)
        self.not_before = not_before
        """When it may be tried again, if the receiver said so."""


class Undeliverable(NotDelivered):
    """An event cannot be delivered, however often it is tried."""


class Delivery(NamedTuple):
    """One way of one feature."""

    feature_id: int
    way: Way


def subscribe(database: Database, feature_id: int, ways: Iterable[Way]) -> None:
    """Have all events of a feature delivered; inside the transaction that adds it."""
    for way in ways:
        database.execute(
            "INSERT INTO deliveries (feature_id, way, event_id, pending, failures)"
            " VALUES (?, ?, 0, 0, 0)",
            [feature_id, way],
        )


_OF_HOST = "pending = 1 AND feature_id IN (SELECT id FROM features WHERE host = ?)"


def due(database: Database, host: str) -> list[Delivery]:
    """Return the deliveries of `host` that have events to bring and need not wait."""
    rows = database.execute(
        "SELECT feature_id, way FROM deliveries"
        f" WHERE {_OF_HOST} AND (next_at IS NULL OR next_at <= ?)",
        [host, database.now()],
    )
    return [Delivery(int(str(feature)), _way(way)) for feature, way in rows]


def next_try(database: Database, host: str) -> str | None:
    """Return the earliest time at which `host` is to try a delivery again that failed."""
    [[at]] = database.execute(
        f"SELECT min(next_at) FROM deliveries WHERE {_OF_HOST} AND next_at > ?",
        [host, database.now()],
    )
    return None if at is None else str(at)


def has_undelivered(database: Database, host: str) -> bool:
    """Return whether an event waits to be delivered by `host`, now or later."""
    return bool(database.execute(f"SELECT 1 FROM deliveries WHERE {_OF_HOST} LIMIT 1", [host]))


def next_event(database: Database, delivery: Delivery) -> Event | None:
    """Return the event that is to be delivered next."""
    found = events(
        database,
        "id = (SELECT min(e.id) FROM events e JOIN deliveries d ON d.feature_id = e.feature_id"
        " WHERE d.feature_id = ? AND d.way = ? AND e.id > d.event_id)",
        [*delivery],
    )
    return found[0] if found else None


def delivered(database: Database, delivery: Delivery, event: Event) -> None:
    """Note that an event was delivered, or that nobody wants it any more."""
    with database.transaction():
        _advance(database, delivery, event)


def failed(database: Database, delivery: Delivery, event: Event, why: Exception) -> bool:
    """Note that an event could not be delivered; return whether it will be tried again."""
    with database.transaction():
        is_old = event.at < later(database.now(), -_GIVEN_UP_SECONDS)
        if is_old or isinstance(why, Undeliverable):
            _advance(database, delivery, event)
            if delivery.way == "github":
                _tell_given_up(database, event, why)
            return False
        [[count]] = database.execute(
            "UPDATE deliveries SET failures = failures + 1 WHERE feature_id = ? AND way = ?"
            " RETURNING failures",
            [*delivery],
        )
        not_before: datetime | None = getattr(why, "not_before", None)
        again = _next_try(database.now(), int(str(count)), not_before)
        database.execute(
            "UPDATE deliveries SET next_at = ? WHERE feature_id = ? AND way = ?",
            [again, *delivery],
        )
        return True


def _next_try(at: str, failures: int, not_before: datetime | None) -> str:
    """Return when to try again: after the usual pause, and not before the receiver wants it."""
    usual = later(at, pause_after(failures))
    if not_before is None:
        return usual
    return max(usual, min(as_text(not_before), later(at, _GIVEN_UP_SECONDS)))


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row: twice as long each time.

    Between half of that and all of it, so that not all who wait come back at once.
    """
    import random

    longest = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 20), _LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1.0)


def _advance(database: Database, delivery: Delivery, event: Event) -> None:
    database.execute(
        "UPDATE deliveries SET event_id = ?, failures = 0, next_at = NULL, pending = CASE WHEN"
        " EXISTS (SELECT 1 FROM events WHERE feature_id = ? AND id > ?) THEN 1 ELSE 0 END"
        " WHERE feature_id = ? AND way = ? AND event_id < ?",
        [event.id, delivery.feature_id, event.id, *delivery, event.id],
    )


def _tell_given_up(database: Database, event: Event, why: Exception) -> None:
    """Append an event for one that GitHub will not hear of; that one is not for GitHub itself."""
    append(
        database,
        "issue.failed",
        feature_id=event.feature_id,
        phase_id=event.phase_id,
        attempt=event.attempt,
        data={"event": event.id, "kind": event.kind, "message": str(why)},
    )


def _way(value: object) -> Way:
    return "command" if value == "command" else "github" if value == "github" else "url"

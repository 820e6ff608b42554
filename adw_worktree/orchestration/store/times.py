"""Times as the store has them: ISO 8601 in UTC, with microseconds, so that texts sort."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now() -> str:
    """Return the time of this host. What hosts are to agree on goes by `Database.now`."""
    return as_text(datetime.now(UTC))


def as_text(time: datetime) -> str:
    """Return a time of UTC as the store has it."""
    return time.isoformat(timespec="microseconds")


def later(at: str, seconds: float) -> str:
    """Return the time that is so many seconds after `at`; before it, if they are negative."""
    return as_text(datetime.fromisoformat(at) + timedelta(seconds=seconds))


def seconds_until(at: str, now: str) -> float:
    """Return the seconds from `now` to `at`."""
    return (datetime.fromisoformat(at) - datetime.fromisoformat(now)).total_seconds()

"""What the store asks of its database, and the rule that all writers follow.

What holds here: statements are written once, in the SQL that SQLite and PostgreSQL share, with `?`
for values. Whoever writes does so inside `transaction`, which lets in one writer at a time: what it
reads there stays true until it commits, and ids of events are in the order of commits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TypeVar

    T = TypeVar("T")
else:
    Protocol = object  # typing takes longer to load than a phase to be found

_MOST_VALUES = 5000
"""Databases take 30,000 or more."""
Value = str | int | float | None
Row = tuple[Value, ...]


def placeholders(values: Sequence[Value]) -> str:
    """Return a mark for each value, as `IN (...)` takes them: NULL, which is in none, for none."""
    return ", ".join("?" * len(values)) or "NULL"


def in_parts(found: Sequence[T], width: int = 1) -> Iterator[Sequence[T]]:
    """Yield parts of which each has few enough values for a statement; one of it is `width`."""
    at_once = max(1, _MOST_VALUES // width)
    for start in range(0, len(found), at_once):
        yield found[start : start + at_once]


def storable(value: Value) -> Value:
    """Return a value as a server takes it: its texts have no NUL."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


class Database(Protocol):
    """A connection to the store's tables. Not for use after a fork, or from two threads."""

    place: str
    """The file or the server, for messages."""
    serial_key: str
    """How a table declares a key that counts up."""
    is_shared: bool
    """Whether programs on other hosts may be connected to it, too."""

    here: str | None
    """What this host is called, where hosts share the store."""

    def execute(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        """Run one statement; return its rows, none for one that has no result.

        Raises StoreError.
        """

    def transaction(self, *, lasting: bool = True) -> AbstractContextManager[None]:
        """Hold the only place for a writer; commit at the end, or take all back on an error.

        What is not `lasting` may be gone after a power cut at the server: it comes again.

        Raises StoreError, LockTimeout.
        """

    def now(self) -> str:
        """Return the time by which all hosts go: UTC, with microseconds, so that texts sort.

        Raises StoreError.
        """

    def is_current(self) -> bool:
        """Return whether this is still a connection to the store."""

    def close(self) -> None:
        """Let the connection go."""

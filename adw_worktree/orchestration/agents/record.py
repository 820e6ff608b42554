"""The one record of what an agent did, whichever agent it was.

What holds here: what an agent does not say is None, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

Ended = Literal["ok", "error", "limit", "budget", "turns", "denied", "killed"]
CostSource = Literal["reported", "estimated", "unknown"]
Fault = Literal["connection", "server", "rate", "authentication", "request", "context", "unknown"]
"""What kind of error ended a call. The first three may pass by themselves."""


class Tokens(NamedTuple):
    """How many tokens a call took. Each of them counts once, in one of the fields."""

    input: int | None = None
    """Without those that were read from a cache or written to one."""
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None
    """With those of reasoning."""
    reasoning: int | None = None
    """Of the output, where that is told apart."""

    @property
    def total(self) -> int | None:
        """All that were taken in or given out; None if nothing is known."""
        known = [one for one in self[:4] if one is not None]
        return sum(known) if known else None


class Record(NamedTuple):
    """What one call of an agent came to."""

    ended: Ended
    session_id: str | None = None
    """What the agent resumes the session by."""
    model: str | None = None
    turns: int | None = None
    tokens: Tokens = Tokens()
    cost_usd: float | None = None
    cost_source: CostSource = "unknown"
    answer: str | None = None
    """The last thing that it said."""
    fault: Fault | None = None
    error: str | None = None
    """Why it did not end well, in its words."""
    resume_at: float | None = None
    """When a limit ends, in seconds since 1970."""
    denied: tuple[str, ...] = ()
    """What it asked for and was not allowed."""
    is_of_session: bool = False
    """Whether tokens and cost are those of the whole session, earlier calls and all."""
    edited: tuple[str, ...] = ()
    """The files that it says it wrote, as far as it tells."""


_SESSION = r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"


def cleaned(record: Record) -> Record:
    """Return the record with texts that every store, file and terminal takes.

    Programs cut texts in the middle of a character, and print whatever they read. A session's id
    becomes an argument: one that could be an option is none.
    """
    session = record.session_id
    is_id = session is not None and re.fullmatch(_SESSION, session) is not None
    return record._replace(
        session_id=session if is_id else None,
        model=_clean(record.model),
        answer=_clean(record.answer),
        error=_clean(record.error),
        denied=tuple(str(_clean(one)) for one in record.denied),
        edited=tuple(str(_clean(one)) for one in record.edited),
    )


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def without(record: Record, before: Sequence[float | None]) -> Record:
    """Return the record of a call; without what its session had taken `before`, if its figures are
    those of the session: cost, and each of the tokens."""
    if not record.is_of_session or not before:
        return record
    cost, *tokens = (
        one if one is None or other is None else max(0, one - other)
        for one, other in zip([record.cost_usd, *record.tokens], before, strict=True)
    )
    return record._replace(
        cost_usd=cost, tokens=Tokens(*(None if one is None else int(one) for one in tokens))
    )


class Reader(Protocol):
    """Reads what one agent prints, line by line, and says what it came to."""

    def read(self, line: bytes) -> None:
        """Take in one line; one that means nothing is passed over."""
        ...

    def record(self, exit_code: int | None) -> Record:
        """Return the record of the call; `exit_code` is None for one that was killed, or still
        runs: tokens and cost are then those so far, as far as they are known."""
        ...

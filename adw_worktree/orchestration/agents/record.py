"""The one record of what an agent did, whichever agent it was.

What holds here: what an agent does not say is None, never 0.
"""

from __future__ import annotations

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


class Reader(Protocol):
    """Reads what one agent prints, line by line, and says what it came to."""

    def read(self, line: bytes) -> None:
        """Take in one line; one that means nothing is passed over."""
        ...

    def record(self, exit_code: int | None) -> Record:
        """Return the record of the call; `exit_code` is None for one that was killed, or still
        runs: tokens and cost are then those so far, as far as they are known."""
        ...

"""What a model does in one turn, as a test says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Usage(NamedTuple):
    """The tokens that a turn takes; each counts in one of the fields."""

    input: int = 1000
    """Without those that were read from a cache or written to one."""
    cached: int = 0
    cache_write: int = 0
    output: int = 50
    """With those of reasoning."""
    reasoning: int = 0


USUAL = Usage()


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """A turn that is answered."""

    usage: Usage = USUAL
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """How long the model thinks before it answers."""


@dataclass(frozen=True)
class Say(_Answer):
    """Say something, and be done."""

    text: str


@dataclass(frozen=True)
class Edit(_Answer):
    """Write a file with the program's own tool; a relative path is one in its directory."""

    path: str
    content: str


@dataclass(frozen=True)
class Shell(_Answer):
    """Run a command in a shell."""

    command: str


@dataclass(frozen=True)
class Call(_Answer):
    """Call any tool of the program, under the program's own name for it."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Fail:
    """Answer with a status of HTTP that is none of success."""

    status: int
    message: str = "no"
    kind: str = "error"
    """What the error calls its `type`."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else the error says of itself."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limit:
    """Refuse to work until the account's limit ends."""

    ends_at: int
    """In seconds since 1970."""


@dataclass(frozen=True)
class BreakOff:
    """Begin to say something; then the connection is gone."""

    text: str = "I was about to"
    usage: Usage = USUAL


@dataclass(frozen=True)
class Hang:
    """Answer nothing, until the server ends."""


Streamed = Say | Edit | Shell | Call | BreakOff
Turn = Streamed | Fail | Limit | Hang

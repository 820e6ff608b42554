"""An agent: a program that takes a prompt and works, and how it is called.

What holds here: a prompt reaches a program as one argument or on its input, never through a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from adw_worktree.orchestration.agents.claude import ClaudeReader
from adw_worktree.orchestration.agents.codex import CodexReader
from adw_worktree.orchestration.agents.gemini import GeminiReader
from adw_worktree.orchestration.agents.opencode import OpenCodeReader
from adw_worktree.orchestration.agents.record import Reader
from adw_worktree.orchestration.agents.rollout import codex_home
from adw_worktree.orchestration.agents.text import TextReader

Reads = Literal["claude", "codex", "gemini", "opencode", "text"]
READERS: Mapping[Reads, Callable[[], Reader]] = MappingProxyType(
    {
        "claude": ClaudeReader,
        "codex": CodexReader,
        "gemini": GeminiReader,
        "opencode": OpenCodeReader,
        "text": TextReader,
    }
)
"""Readers for the output of each program."""
LIMIT_PAUSE_SECONDS = 900.0
"""Seconds for which an account is left alone that gave no time for the end of its limit."""


class Agent(NamedTuple):
    """A program, and how it is called."""

    name: str
    command: tuple[str, ...]
    """The program and its arguments, without the prompt."""
    prompt: Literal["stdin", "argument"]
    reads: Reads
    origin: Literal["built in", "settings", "repository"] = "built in"
    model: str | None = None
    """The model to look up prices for, where the program does not name it."""
    limit_pause: float = LIMIT_PAUSE_SECONDS
    """Seconds to wait at a limit whose end is not known."""

    @property
    def program(self) -> str:
        """The program that is run."""
        return self.command[0]

    def reader(self, environ: Mapping[str, str]) -> Reader:
        """Return a reader for the output of one call in this environment."""
        return reader_of(self.reads, environ)

    @property
    def resumes(self) -> bool:
        """Whether a session of the agent can be gone on with."""
        return _resuming(self, "") != self.command

    def call(self, prompt: str, session: Session | None = None) -> Call:
        """Return how it is called with a prompt, in a session of its own or in `session`."""
        words = self.command if session is None else _in_session(self, session)
        if self.prompt == "argument":
            return Call((*words, prompt), b"")
        return Call(words, prompt.encode())


class Call(NamedTuple):
    """One call of a program."""

    words: tuple[str, ...]
    stdin: bytes


def reader_of(reads: Reads, environ: Mapping[str, str]) -> Reader:
    """Return a reader for what a program prints that runs in this environment."""
    return CodexReader(codex_home(environ)) if reads == "codex" else READERS[reads]()


class Session(NamedTuple):
    """A conversation with an agent."""

    id: str
    is_new: bool = False
    """Whether it begins with this call."""


def _in_session(agent: Agent, session: Session) -> tuple[str, ...]:
    """Return the command that goes on with a session, or begins the one that was chosen; the plain
    command where that cannot be said."""
    if session.is_new:
        is_told = agent.reads == "claude"
        return (*agent.command, "--session-id", session.id) if is_told else agent.command
    return _resuming(agent, session.id)


def _resuming(agent: Agent, session: str) -> tuple[str, ...]:
    match agent.reads:
        case "claude":
            return (*agent.command, "--resume", session)
        case "codex" if agent.command[1:2] == ("exec",):
            # Last: before it all of its options may stand, after it but a few.
            return (*agent.command, "resume", session)
        case "opencode":
            return (*agent.command, "--session", session)
        case "gemini":
            return (*agent.command, "--resume", session)
        case _:
            return agent.command

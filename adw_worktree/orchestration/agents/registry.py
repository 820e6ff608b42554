"""Which agents there are: those that are built in, and those of the settings.

What holds here: a prompt reaches a program as one argument or on its input, never through a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from adw_worktree.errors import SettingsError
from adw_worktree.orchestration.agents.claude import ClaudeReader
from adw_worktree.orchestration.agents.codex import CodexReader
from adw_worktree.orchestration.agents.gemini import GeminiReader
from adw_worktree.orchestration.agents.opencode import OpenCodeReader
from adw_worktree.orchestration.agents.record import Reader
from adw_worktree.orchestration.agents.text import TextReader
from adw_worktree.settings.model import Settings, Table

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
"""What understands the output of each program."""

_Word = Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00]*$")]


class Agent(NamedTuple):
    """An agent: a program, and how it is called."""

    name: str
    command: tuple[str, ...]
    """The program and its arguments, without the prompt."""
    prompt: Literal["stdin", "argument"]
    reads: Reads
    origin: Literal["built in", "settings", "repository"] = "built in"

    @property
    def program(self) -> str:
        """The program that is run."""
        return self.command[0]

    def reader(self) -> Reader:
        """Return what reads the output of one call."""
        return READERS[self.reads]()

    def call(self, prompt: str, resume: str | None = None) -> Call:
        """Return how it is called with a prompt; `resume` is the id of a session to go on with."""
        words = self.command if resume is None else _resuming(self, resume)
        if self.prompt == "argument":
            return Call((*words, prompt), b"")
        return Call(words, prompt.encode())


class Call(NamedTuple):
    """One call of a program."""

    words: tuple[str, ...]
    stdin: bytes


def _resuming(agent: Agent, session: str) -> tuple[str, ...]:
    """Return the command that goes on with a session; the plain one where that cannot be said."""
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


BUILT_IN = (
    Agent(
        "claude",
        ("claude", "-p", "--output-format", "stream-json", "--verbose",
         "--permission-mode", "acceptEdits"),
        "stdin",
        "claude",
    ),
    Agent("codex", ("codex", "exec", "--json", "--sandbox", "workspace-write"), "stdin", "codex"),
    Agent(
        "gemini",
        ("gemini", "--output-format", "stream-json", "--approval-mode", "auto_edit",
         "--skip-trust"),
        "stdin",
        "gemini",
    ),
    Agent("opencode", ("opencode", "run", "--format", "json"), "stdin", "opencode"),
)  # fmt: skip
"""In the order in which they are looked for, where no setting names one."""


class _AgentTable(BaseModel):
    """What `[agents.NAME]` takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Annotated[tuple[_Word, ...], Field(min_length=1)]
    prompt: Literal["stdin", "argument"] = "stdin"
    reads: Reads = "text"


def agents_of(settings: Settings) -> dict[str, Agent]:
    """Return all agents by name; one of the settings stands in place of a built-in one.

    Raises SettingsError for a table that describes none.
    """
    own = {name: _agent_of(name, table) for name, table in settings.agents.items()}
    return {agent.name: agent for agent in BUILT_IN} | own


def _agent_of(name: str, table: Table) -> Agent:
    try:
        found = _AgentTable.model_validate(table.values)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        key = ".".join(str(part) for part in ("agents", name, *first["loc"]))
        raise SettingsError(
            f"{key}: {first['msg']}", hint='command = ["PROGRAM", "ARGUMENT"]; adw-worktree agents'
        ) from exc
    if not found.command[0].strip():
        raise SettingsError(f"agents.{name}.command names no program", hint="name one")
    origin: Literal["settings", "repository"] = (
        "repository" if table.from_repository else "settings"
    )
    return Agent(name, found.command, found.prompt, found.reads, origin)

"""Which agents there are: those that are built in, and those of the settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from adw_worktree.errors import SettingsError
from adw_worktree.orchestration.agents.agent import LIMIT_PAUSE_SECONDS, Agent, Reads
from adw_worktree.settings.model import Settings, Table

_Word = Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00]*$")]

BUILT_IN = (
    Agent(
        "claude",
        ("claude", "-p", "--output-format", "stream-json", "--verbose",
         "--permission-mode", "acceptEdits"),
        "stdin",
        "claude",
    ),
    Agent("codex", ("codex", "exec", "--json", "--sandbox", "workspace-write",
         # Else it waits for a network for ever.
         "-c", "features.unbounded_connection_retries=false"), "stdin", "codex"),
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
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    limit_pause: Annotated[float, Field(gt=0, le=7 * 86400)] = LIMIT_PAUSE_SECONDS


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
    return Agent(
        name, found.command, found.prompt, found.reads, origin, found.model, found.limit_pause
    )

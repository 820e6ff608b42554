"""Which model an agent works with, where its output does not name it: its price depends on it."""

from __future__ import annotations

import os
import tomllib

from adw_worktree.orchestration.agents.agent import Agent
from adw_worktree.orchestration.agents.prices import is_priced
from adw_worktree.orchestration.agents.rollout import codex_home

_REPORTING = ("claude", "opencode")
"""Programs that report what they cost."""
_OPTIONS = ("-m", "--model")


def with_model(agent: Agent) -> Agent:
    """Return the agent with the model of its command or its program's own settings, if it names
    none and they do."""
    if agent.model is not None:
        return agent
    model = _of_command(agent.command)
    if model is None and agent.reads == "codex":
        model = _of_codex()
    return agent._replace(model=model)


def has_price(agent: Agent) -> bool:
    """Return whether the cost of the agent's calls will be known."""
    if agent.reads == "text":
        return False  # it says no tokens, either
    return agent.reads in _REPORTING or is_priced(with_model(agent).model)


def _of_command(command: tuple[str, ...]) -> str | None:
    for place, word in enumerate(command):
        if word in _OPTIONS and place + 1 < len(command):
            return command[place + 1]
        name, is_given, value = word.partition("=")
        if is_given and name in _OPTIONS:
            return value
    return None


def _of_codex() -> str | None:
    try:
        model = tomllib.loads(
            (codex_home(os.environ) / "config.toml").read_text(encoding="utf-8")
        ).get("model")
    except (OSError, ValueError):
        return None
    return model if isinstance(model, str) else None

"""The real Claude Code and Codex, with a model that follows a script: what we make of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adw_worktree.orchestration.agents.calling import Answer, Bounds, call_agent
from adw_worktree.orchestration.agents.registry import BUILT_IN, Agent
from adw_worktree.system.environment import clean_environment
from tests.support.model_server import ModelServer
from tests.support.model_turns import Edit, Say

AGENTS = {agent.name: agent for agent in BUILT_IN}
CLAUDE, CODEX = AGENTS["claude"], AGENTS["codex"]


def ask(
    agent: Agent, prompt: str, repo: Path, bounds: Bounds | None = None, resume: str | None = None
) -> Answer:
    """Call an agent in the repository; what it printed is in the file `log` beside it."""
    log = os.open(repo.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        return call_agent(
            agent,
            prompt,
            directory=repo,
            environ=clean_environment(),
            log=log,
            bounds=bounds or Bounds(seconds=60),
            resume=resume,
        )
    finally:
        os.close(log)


@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=lambda agent: agent.name)
def test_a_file_is_written(agent: Agent, repo: Path, model: ModelServer) -> None:
    (repo / "old").write_text("before\n")
    model.script = {"WRITE": [Edit("new", "one\ntwo\n"), Edit("old", "after\n"), Say("Written.")]}
    found = ask(agent, "Please WRITE it.\n", repo).record
    assert (found.ended, found.answer) == ("ok", "Written."), (repo.parent / "log").read_text()
    assert ((repo / "new").read_text(), (repo / "old").read_text()) == ("one\ntwo\n", "after\n")
    assert [(one.prompt, one.turn) for one in model.requests] == [
        ("Please WRITE it.", turn) for turn in range(3)
    ]
    assert model.strays == []

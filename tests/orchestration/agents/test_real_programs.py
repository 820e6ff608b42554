"""The real Claude Code and Codex, with a model that follows a script: what we make of them."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psutil
import pytest

from adw_worktree.orchestration.agents.agent import Agent, Session
from adw_worktree.orchestration.agents.calling import Answer, Bounds, call_agent
from adw_worktree.orchestration.agents.record import Tokens
from adw_worktree.orchestration.agents.registry import BUILT_IN
from adw_worktree.system.environment import clean_environment
from tests.support import agent_programs
from tests.support.machine import settle
from tests.support.model_server import ModelServer
from tests.support.model_turns import (
    BreakOff,
    Edit,
    Fail,
    Hang,
    Limit,
    Say,
    Shell,
    Turn,
    Usage,
)
from tests.support.stress_size import stress_size

_BUILT_IN = {agent.name: agent for agent in BUILT_IN}
CLAUDE = _BUILT_IN["claude"]
FENCED_CODEX = _BUILT_IN["codex"]
CODEX = FENCED_CODEX._replace(
    command=("codex", "exec", "--json", "--dangerously-bypass-approvals-and-sandbox")
)
"""As somebody has it whose machine is the fence: its own needs what a container may not have."""
both = pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=["claude", "codex"])


def one(agent: Agent) -> pytest.MarkDecorator:
    """Run a test with this agent; with both, where time does not matter."""
    agents = stress_size([agent], [CLAUDE, CODEX])
    return pytest.mark.parametrize("agent", agents, ids=[each.name for each in agents])


ERRORS: dict[str, tuple[Turn, str]] = {
    "429": (Fail(429, "slow down", "rate_limit_error"), "rate"),
    "500": (Fail(500, "oops", "api_error"), "server"),
    "401": (Fail(401, "who are you", "authentication_error"), "authentication"),
    "400": (Fail(400, "prompt is too long: 300000 tokens > 200000 maximum"), "context"),
    "broken off": (BreakOff(), "connection"),
}
EACH = [(agent, kind) for agent in (CLAUDE, CODEX) for kind in ERRORS]
SOME = [(CLAUDE, "429"), (CLAUDE, "400"), (CODEX, "500"), (CODEX, "401")]

USAGE = Usage(input=1000, cached=2000, cache_write=300, output=70, reasoning=20)


def ask(agent: Agent, prompt: str, repo: Path, *, resume: str | None = None) -> Answer:
    """Call an agent in the repository; what it printed is in the file `log` beside it."""
    log = os.open(repo.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        return call_agent(
            agent,
            prompt,
            directory=repo,
            environ=clean_environment(),
            log=log,
            bounds=Bounds(seconds=60),
            session=Session(resume) if resume is not None else None,
        )
    finally:
        os.close(log)


def with_words(agent: Agent, *words: str) -> Agent:
    return agent._replace(command=(*agent.command, *words))


def tokens_of(agent: Agent, turns: int) -> Tokens:
    """Return what so many turns of `USAGE` come to."""
    found = Tokens(*(turns * count for count in USAGE))
    return found if agent.reads == "codex" else found._replace(reasoning=None)


# ---- what it does --------------------------------------------------------------------------------


@pytest.mark.thorough
@both
def test_a_file_is_written(agent: Agent, repo: Path, model: ModelServer) -> None:
    (repo / "old").write_text("before\n")
    edits = [Edit("new", "one\ntwo\n", usage=USAGE), Edit("old", "after\n", usage=USAGE)]
    model.script = {"WRITE": [*edits, Say("Written.", usage=USAGE)]}
    found = ask(agent, "Please WRITE it.\n", repo).record
    assert (found.ended, found.answer) == ("ok", "Written."), (repo.parent / "log").read_text()
    assert ((repo / "new").read_text(), (repo / "old").read_text()) == ("one\ntwo\n", "after\n")
    assert found.tokens == tokens_of(agent, 3)
    assert [(one.prompt, one.turn, one.asked.directory) for one in model.requests] == [
        ("Please WRITE it.", turn, repo) for turn in range(3)
    ]
    assert model.strays == []


@pytest.mark.thorough
def test_agents_do_not_take_each_other_s_turns(repo: Path, model: ModelServer) -> None:
    names = {f"{agent.name}-{number}": agent for agent in (CLAUDE, CODEX) for number in (1, 2)}
    model.script = {name: [Edit(name, f"{name}\n"), Say(name)] for name in names}
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(ask, agent, f"Do {name}.", repo) for name, agent in names.items()]
        assert [one.result().record.answer for one in asked] == [*names]
    assert all((repo / name).read_text() == f"{name}\n" for name in names)


@pytest.mark.thorough
def test_claude_is_not_allowed_a_command(repo: Path, model: ModelServer) -> None:
    model.script = {"PUSH": [Shell("git push; touch pushed"), Say("I was not allowed to.")]}
    found = ask(CLAUDE, "PUSH", repo).record
    assert (found.ended, found.denied) == ("denied", ("Bash",))
    assert not (repo / "pushed").exists()


def test_codex_writes_nowhere_else(repo: Path, model: ModelServer) -> None:
    if not agent_programs.codex_has_sandbox():
        pytest.skip("Codex cannot fence in its commands here")
    # Temporary files are allowed everywhere, and the tests' own are there.
    place = Path("/var") if os.geteuid() == 0 else Path(os.environ["HOME"])
    outside = place / f"adw-test-{uuid.uuid4()}"
    commands = f"touch inside; touch {outside}; touch .git/inside"
    model.script = {"TOUCH": [Shell(commands), Say("Done.")]}
    assert ask(FENCED_CODEX, "TOUCH", repo).record.ended == "ok"
    assert (repo / "inside").exists()
    assert not outside.exists()
    assert not (repo / ".git/inside").exists()


# ---- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "kind"), stress_size(SOME, EACH), ids=lambda value: getattr(value, "name", value)
)
def test_an_error_has_its_kind(agent: Agent, kind: str, repo: Path, model: ModelServer) -> None:
    turn, fault = ERRORS[kind]
    model.script = {"FAIL": [turn]}
    found = ask(agent, "FAIL", repo).record
    assert (found.ended, found.fault) == ("error", fault), found.error
    assert found.session_id is not None


@one(CLAUDE)
def test_nobody_answers(agent: Agent, repo: Path, model: ModelServer) -> None:
    model.stop()
    found = ask(agent, "FAIL", repo).record
    assert (found.ended, found.fault) == ("error", "connection"), found.error


@one(CODEX)
def test_a_limit_has_its_end(agent: Agent, repo: Path, model: ModelServer) -> None:
    ends = int(time.time()) + 2 * 86400
    model.script = {"WORK": [Limit(ends)]}
    found = ask(agent, "WORK", repo).record
    assert found.ended == "limit", found.error
    assert found.resume_at is not None
    # Codex says no seconds; too early would be in vain.
    assert ends <= found.resume_at <= ends + 60


def test_codex_s_limit_ends_today(repo: Path, model: ModelServer) -> None:
    ends = int(time.time()) + 5
    model.script = {"WORK": [Limit(ends)]}
    found = ask(FENCED_CODEX, "WORK", repo).record
    assert found.resume_at is not None
    assert ends <= found.resume_at <= ends + 60


def test_claude_at_a_budget_of_its_own(repo: Path, model: ModelServer) -> None:
    model.script = {"WORK": [Edit("one", "1\n"), Edit("two", "2\n"), Say("Done.")]}
    found = ask(with_words(CLAUDE, "--max-budget-usd", "0.000001"), "WORK", repo).record
    assert (found.ended, found.error) == ("budget", "Reached maximum budget ($0.000001)")
    assert found.cost_usd is not None
    assert found.cost_usd > 0
    assert not (repo / "two").exists()


# ---- its session ---------------------------------------------------------------------------------


def test_claude_takes_a_session_s_id(repo: Path, model: ModelServer) -> None:
    model.script = {"WORK": [Say("Done.")]}
    name = str(uuid.uuid4())
    assert ask(with_words(CLAUDE, "--session-id", name), "WORK", repo).record.session_id == name


@pytest.mark.parametrize("agent", [CLAUDE, FENCED_CODEX], ids=["claude", "codex"])
def test_a_session_goes_on(agent: Agent, repo: Path, model: ModelServer) -> None:
    model.script = {"BEGIN": [Say("1", usage=USAGE)], "GO ON": [Say("2", usage=USAGE)]}
    first = ask(agent, "BEGIN", repo).record
    found = ask(agent, "GO ON", repo, resume=first.session_id).record
    assert (found.ended, found.answer, found.session_id) == ("ok", "2", first.session_id)
    assert model.requests[-1].asked.prompts == ["BEGIN", "GO ON"]
    # Codex counts the whole thread; Claude Code did not before 2.1.277, and does from then on.
    assert found.tokens == tokens_of(agent, 2 if agent is FENCED_CODEX else 1)


@contextmanager
def killed_in_turn(model: ModelServer, turns: int) -> Iterator[None]:
    """End what is called here, once the model was asked for so many turns."""
    before = {*psutil.Process().children()}

    def kill() -> None:
        settle(lambda: len(model.requests) == turns, "it does not ask")
        for child in {*psutil.Process().children()} - before:
            child.terminate()

    thread = Thread(target=kill)
    thread.start()
    yield
    thread.join()


@one(CODEX)
def test_a_killed_call_is_gone_on_with(agent: Agent, repo: Path, model: ModelServer) -> None:
    model.script = {
        "BEGIN": [Edit("new", "1\n", usage=USAGE), Hang()],
        "GO ON": [Say("Done.", usage=USAGE)],
    }
    with killed_in_turn(model, 2):
        killed = ask(agent, "BEGIN", repo).record
    assert killed.ended == "killed"
    assert killed.session_id is not None
    found = ask(agent, "GO ON", repo, resume=killed.session_id).record
    assert (found.ended, found.session_id) == ("ok", killed.session_id), found.error
    first, last = model.requests[-1].asked.prompts[0], model.requests[-1].prompt
    assert (first, last) == ("BEGIN", "GO ON")
    # That of Codex has in it what was killed.
    assert found.tokens == tokens_of(agent, 2 if agent is CODEX else 1)


@pytest.mark.thorough
@one(CLAUDE)
def test_a_session_that_is_gone(agent: Agent, repo: Path, model: ModelServer) -> None:
    name = str(uuid.uuid4())
    found = ask(agent, "WORK", repo, resume=name).record
    assert found.ended == "error"
    assert model.requests == []
    if agent is CLAUDE:
        assert found.error == f"No conversation found with session ID: {name}"


def test_codex_writes_down_each_answer_at_once(repo: Path, model: ModelServer) -> None:
    seen: list[str] = []

    def script(prompt: str, turn: int) -> Turn:
        if turn == 0:
            return Shell("true", usage=USAGE)
        [rollout] = Path(os.environ["CODEX_HOME"]).glob("sessions/*/*/*/rollout-*.jsonl")
        seen.append(rollout.read_text())
        return Say("Done.")

    model.script = script
    session = ask(CODEX, "WORK", repo).record.session_id
    lines = [json.loads(line) for line in seen[0].splitlines()]
    [context] = [line["payload"] for line in lines if line["type"] == "turn_context"]
    assert context["model"] == "gpt-5.5"
    [used] = [line["payload"] for line in lines if line["type"] == "token_usage_record"]
    assert used["thread_id"] == session
    assert used["usage"]["input_tokens"] == 3300

"""Features built by the real Claude Code and Codex, whose model follows a script.

Skipped where npm's programs cannot be had.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.command_line import Adw
from tests.support.features import (
    calls,
    ended,
    kill_all,
    prompted,
    reasons,
    run_to_end,
    running_with,
    shown,
    start,
    state_dir,
    statuses,
    until,
    work,
)
from tests.support.machine import settle
from tests.support.model_server import ModelServer
from tests.support.model_turns import BreakOff, Edit, Fail, Hang, Limit, Say, Shell, Usage
from tests.support.repositories import git_in
from tests.support.scripted_agent import add_settings
from tests.support.stress_size import stress_size

both = pytest.mark.parametrize("agent", ["claude", "codex"])


def one(name: str) -> pytest.MarkDecorator:
    """Run a test with this agent; with both, where time does not matter."""
    return pytest.mark.parametrize("agent", stress_size([name], ["claude", "codex"]))


BIG = Usage(input=150_000, output=50)


@pytest.fixture(autouse=True)
def settings(model: ModelServer) -> None:
    """Let the agents run commands, as a person does who trusts them; with one retry."""
    claude = ["claude", "-p", "--output-format", "stream-json", "--verbose",
              "--permission-mode", "acceptEdits", "--allowedTools", "Bash"]  # fmt: skip
    codex = ["codex", "exec", "--json", "--dangerously-bypass-approvals-and-sandbox"]
    add_settings("[agents.claude]", command=claude, reads="claude")
    add_settings("[agents.codex]", command=codex, reads="codex")
    add_settings("[stages.build]", prompt="build", retries=1)


def asked(number: int, word: str, agent: str, *needs: int, **more: Any) -> dict[str, Any]:
    """Return a phase whose prompt has a word of the script."""
    return {**prompted(number, *needs), "prompt": f"Please {word}.", "agents": [agent], **more}


@pytest.mark.thorough
@both
def test_agents_build_a_feature(adw: Adw, model: ModelServer, agent: str) -> None:
    """One makes a mistake that the test finds, one leaves a server running, one does nothing, one
    is broken off in the middle, one only edits."""
    add_settings("[stages.test]", run="if grep -q wrong *.txt; then echo REPAIR; exit 1; fi")
    model.script = {
        "REPAIR": [Edit("sum.txt", "right\n"), Say("Corrected.")],
        "MISTAKE": [Edit("sum.txt", "wrong\n"), Say("Built.")],
        "SERVE": [
            Shell("nohup setsid sleep 987 >/dev/null 2>&1 & echo up >up.txt; git add . && "
                  "git commit -qm up"),
            Say("Serves."),
        ],
        "NOTHING": [Say("All is done, and tested.")],
        "BREAK": [Edit("half.txt", "half\n"), BreakOff()],
        "You were interrupted": [Edit("half.txt", "whole\n"), Say("Went on.")],
        "EDIT": [Edit("new.txt", "new\n"), Say("Edited.")],
    }  # fmt: skip
    words = ("MISTAKE", "SERVE", "NOTHING", "BREAK", "EDIT")
    run_to_end(
        adw, *(asked(number, word, agent) for number, word in enumerate(words, 1)), workflow="build"
    )
    found = statuses(adw, "x")
    assert found == {1: "completed", 2: "completed", 3: "failed", 4: "completed", 5: "completed"}
    assert reasons(adw, "x.3") == ["no-changes"]
    files = {"sum.txt": "right", "up.txt": "up", "half.txt": "whole", "new.txt": "new"}
    for name, content in files.items():
        assert git_in(adw.directory, "show", f"feature/x:{name}") == f"{content}\n"
    assert [name for name, _ in ended(adw, "x.1")][:4] == ["build", "test", "build", "test"]
    assert [one["status"] for one in calls(adw, "x.4")] == ["error", "ok"]
    assert not running_with("987")
    source = "reported" if agent == "claude" else "estimated"
    every = [call for number in range(1, 6) for call in calls(adw, f"x.{number}")]
    assert {call["cost_source"] for call in every if call["status"] == "ok"} == {source}
    assert all(call["cost_usd"] > 0 for call in every if call["status"] == "ok")
    lines = (state_dir() / "calls.jsonl").read_text().splitlines()
    assert len(lines) == len(every)
    assert {json.loads(line)["provider"] for line in lines} == {
        "anthropic" if agent == "claude" else "openai"
    }
    assert model.strays == []


@pytest.mark.thorough
@one("codex")
def test_a_conflict_between_siblings_is_resolved(adw: Adw, model: ModelServer, agent: str) -> None:
    place = adw.directory.parent
    model.script = {
        "cannot be merged": [
            Shell("git merge feature/x; printf 'one\\ntwo\\n' >f; git commit -qam both"),
            Say("Both."),
        ],
        "FIRST": [Edit("f", "one\n"), Say("One.")],
        "SECOND": [
            Shell(f"until git -C {adw.directory} cat-file -e feature/x:f 2>/dev/null; do "
                  f"sleep 0.1; done; echo two >f; touch {place}/made"),
            Say("Two."),
        ],
    }  # fmt: skip
    run_to_end(adw, asked(1, "FIRST", agent), asked(2, "SECOND", agent))
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}
    assert git_in(adw.directory, "show", "feature/x:f") == "one\ntwo\n"
    assert "resolve" in [name for name, _ in ended(adw, "x.2")]


@pytest.mark.thorough
@one("codex")
def test_what_was_killed_goes_on_for_what_it_really_cost(
    adw: Adw, model: ModelServer, agent: str
) -> None:
    model.script = {
        "BEGIN": [Edit("half.txt", "half\n"), Hang()],
        "You were interrupted": [Edit("half.txt", "whole\n"), Say("Done.")],
    }
    start(adw, "x", asked(1, "BEGIN", agent))
    settle(lambda: len(model.requests) == 2, "the model is not asked")
    kill_all()
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert reasons(adw, "x.1") == ["lost", "completed"]
    killed, resumed = calls(adw)
    assert (killed["status"], resumed["status"]) == ("killed", "ok")
    assert killed["session_id"] == resumed["session_id"] is not None
    assert killed["cost_source"] == "estimated"
    answers = [one.answer for one in model.requests]
    turns = [one.usage for one in answers if isinstance(one, Edit | Say)]
    tokens = ("input_tokens", "cached_tokens", "cache_write_tokens")
    booked = sum(call[name] or 0 for call in (killed, resumed) for name in tokens)
    assert booked == sum(usage.input + usage.cached + usage.cache_write for usage in turns)


@pytest.mark.thorough
@one("claude")
def test_a_limit_is_waited_for(adw: Adw, model: ModelServer, agent: str) -> None:
    limit = Limit(int(time.time()) + 10)

    def script(prompt: str, turn: int) -> Any:
        met = sum(isinstance(one.answer, Limit) for one in model.requests)
        if not met:
            return limit
        return Edit("f", "x\n") if turn == 0 else Say("Done.")

    model.script = script
    start(adw, "x", asked(1, "WORK", agent))
    until(adw, "x.1", "paused")
    if agent == "codex":  # it says the end by the minute
        adw("phase", "resume", "x.1")
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert reasons(adw, "x.1") == ["limit", "completed"]


@pytest.mark.thorough
def test_errors_go_to_the_fallback(adw: Adw, model: ModelServer) -> None:
    """Claude Code is refused; Codex, its fallback, does the work."""

    def script(prompt: str, turn: int) -> Any:
        if not any(one.asked.program == "codex" for one in model.requests) and not turn:
            return Fail(401, "invalid x-api-key", "authentication_error")
        return Edit("f", "x\n") if turn == 0 else Say("Done.")

    model.script = script
    run_to_end(adw, asked(1, "WORK", "claude") | {"agents": ["claude", "codex"]})
    found = [(one["agent"], one["status"]) for one in calls(adw)]
    assert found[0] == ("claude", "error")
    assert found[-1][0] == "codex"


@pytest.mark.thorough
@one("claude")
def test_one_that_spends_too_much_is_ended(adw: Adw, model: ModelServer, agent: str) -> None:
    model.script = {"SPEND": [Edit("f", "x\n", usage=BIG), Shell("sleep 60", usage=BIG)]}
    began = time.monotonic()
    run_to_end(adw, asked(1, "SPEND", agent, budget_usd=0.3))
    assert time.monotonic() - began < 55
    assert reasons(adw, "x.1") == ["over-budget"]
    [call] = calls(adw)
    assert call["cost_usd"] > 0.3


@pytest.mark.thorough
def test_what_it_may_not_do_is_denied(adw: Adw, model: ModelServer) -> None:
    plain = ["claude", "-p", "--output-format", "stream-json", "--verbose",
             "--permission-mode", "acceptEdits"]  # fmt: skip
    add_settings("[agents.plain]", command=plain, reads="claude")
    model.script = {"RUN": [Shell("make install"), Say("I could not.")]}
    run_to_end(adw, asked(1, "RUN", "plain"))
    assert reasons(adw, "x.1") == ["denied"]
    assert "Bash" in shown(adw, "x.1")["phase"]["error_message"]


@pytest.mark.thorough
@one("codex")
def test_one_that_hangs_is_ended(adw: Adw, model: ModelServer, agent: str) -> None:
    model.script = {"HANG": [Hang()]}
    run_to_end(adw, asked(1, "HANG", agent, timeout="4s"))
    assert reasons(adw, "x.1") == ["timeout"]

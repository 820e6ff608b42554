"""Programs that are called as agents: read as they go, and ended when they go too far."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psutil
import pytest

from adw_worktree.orchestration.agents.agent import Agent, Reads
from adw_worktree.orchestration.agents.calling import Answer, Bounds, call_agent
from tests.support.command_line import Adw
from tests.support.machine import settle

RESULT = {"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 0.5,
          "result": "done", "num_turns": 1}  # fmt: skip


def ask(
    tmp_path: Path, script: str, bounds: Bounds | None = None, *, reads: Reads = "text",
    prompt: str = "a prompt", way: str = "stdin",
) -> Answer:  # fmt: skip
    """Call a shell script as an agent; what it printed is in the file `log`."""
    agent = Agent("fake", ("sh", "-c", script, "fake"), way, reads)  # type: ignore[arg-type]
    with (tmp_path / "log").open("wb") as log:
        return call_agent(
            agent,
            prompt,
            directory=tmp_path,
            environ=os.environ,
            log=log.fileno(),
            bounds=bounds or Bounds(),
        )


def test_a_prompt_comes_on_the_input_whatever_is_in_it(tmp_path: Path) -> None:
    prompt = "$(touch ran) `touch ran` -- 'é\n" + "x" * 300_000
    found = ask(tmp_path, "cat >got; echo done; echo aside >&2", prompt=prompt)
    assert (tmp_path / "got").read_text() == prompt
    assert not (tmp_path / "ran").exists()
    assert (found.record.ended, found.record.answer, found.cut) == ("ok", "done", None)
    assert sorted((tmp_path / "log").read_text().split()) == ["aside", "done"]


def test_a_prompt_comes_as_one_argument(tmp_path: Path) -> None:
    ask(tmp_path, 'printf %s "$1" >got', prompt="$(touch ran); two words", way="argument")
    assert (tmp_path / "got").read_text() == "$(touch ran); two words"


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    found = ask(tmp_path, "while :; do echo on; sleep 0.05; done", Bounds(seconds=0.4))
    assert (found.cut, found.record.ended) == ("timeout", "killed")
    assert found.seconds < 10


def test_one_that_says_nothing_is_ended_with_its_children(tmp_path: Path) -> None:
    found = ask(tmp_path, "sleep 600 & echo $! >child; echo on; wait", Bounds(idle_seconds=0.4))
    assert found.cut == "stalled"
    child = int((tmp_path / "child").read_text())
    settle(lambda: not psutil.pid_exists(child), "its child runs on")


def test_one_that_costs_too_much_is_ended_at_once(tmp_path: Path) -> None:
    line = json.dumps({**RESULT, "total_cost_usd": 3.0})
    script = f"echo '{line}'; sleep 600"
    found = ask(tmp_path, script, Bounds(budget_usd=2.0), reads="claude")
    assert (found.cut, found.record.ended, found.record.cost_usd) == ("budget", "budget", 3.0)
    assert found.seconds < 5


@pytest.mark.thorough
def test_one_that_heeds_no_signal_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    found = ask(tmp_path, "trap '' TERM; while :; do sleep 0.1; done", Bounds(seconds=0.2))
    assert found.cut == "timeout"
    assert time.monotonic() - began < 15


def test_one_that_somebody_else_ends_in_order_was_killed(tmp_path: Path) -> None:
    found = ask(tmp_path, "trap 'exit 143' TERM; kill $$; sleep 1")
    assert (found.cut, found.record.ended) == (None, "killed")


def test_a_child_that_holds_the_pipe_holds_nobody_up(tmp_path: Path) -> None:
    found = ask(tmp_path, f"echo '{json.dumps(RESULT)}'; sleep 600 & exit 0", reads="claude")
    assert (found.record.ended, found.record.cost_usd) == ("ok", 0.5)
    assert found.seconds < 10


def test_a_line_without_its_end_counts(tmp_path: Path) -> None:
    found = ask(tmp_path, f"printf %s '{json.dumps(RESULT)}'", reads="claude")
    assert found.record.ended == "ok"


# ---- the command ---------------------------------------------------------------------------------


def settings(text: str) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)


def test_agents_are_listed_with_those_of_the_settings(adw: Adw) -> None:
    settings('[agents.mine]\ncommand = ["sh", "-c", "echo OK"]\n')
    found = {one["name"]: one for one in adw.json("agents")["agents"]}
    assert {"claude", "codex", "gemini", "opencode", "mine"} == found.keys()
    assert (found["mine"]["origin"], found["claude"]["origin"]) == ("settings", "built in")
    assert "mine" in adw("agents").stdout


def test_check_says_what_can_be_used(adw: Adw, tmp_path: Path) -> None:
    settings(
        '[agents.mine]\ncommand = ["sh", "-c", "cat >/dev/null; echo OK"]\n'
        '[agents.bad]\ncommand = ["sh", "-c", "echo 401 Unauthorized; exit 1"]\n'
        '[agents.gone]\ncommand = ["no-such-program"]\n'
    )
    found = {one["name"]: one for one in adw.json("agents", "check", "--live")["agents"]}
    assert found["mine"]["state"] == "answers"
    assert found["bad"]["state"] == "401 Unauthorized"
    assert (found["gone"]["state"], found["gone"]["usable"]) == ("not installed", False)


def test_no_agent_that_can_be_used_has_an_exit_code(adw: Adw) -> None:
    path = os.pathsep.join(
        place for place in os.environ["PATH"].split(os.pathsep)
        if not any((Path(place) / name).exists() for name in ("claude", "codex", "gemini"))
    )  # fmt: skip
    adw("agents", "check", code=10, PATH=path)


def test_an_agent_of_the_repository_needs_approval(adw: Adw, repo: Path, tmp_path: Path) -> None:
    text = f'[agents.theirs]\ncommand = ["touch", "{tmp_path}/ran"]\n'
    (repo / "adw-worktree.toml").write_text(text)
    assert "nobody has approved" in adw("agents", "check", "--live", code=9).stderr
    assert not (tmp_path / "ran").exists()
    assert "touch" in adw("trust", "--yes").stdout
    adw("agents", "check", "--live", code=None)
    assert (tmp_path / "ran").exists()
    (repo / "adw-worktree.toml").write_text(text.replace("touch", "rm"))
    adw("agents", "check", "--live", code=9)


def test_a_table_that_describes_no_agent_is_named(adw: Adw) -> None:
    settings("[agents.mine]\ncommand = []\n")
    assert "agents.mine.command" in adw("agents", code=3).stderr
    settings('[agents.mine]\ncommand = ["sh"]\nreads = "tea-leaves"\n')
    assert "agents.mine.reads" in adw("agents", code=3).stderr
    adw("list")  # nothing else minds

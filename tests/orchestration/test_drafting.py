"""An agent drafts a plan: it fills the template, and what is wrong goes back to it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command_line import Adw
from tests.support.features import state_dir
from tests.support.plans import plan_text, task
from tests.support.scripted_agent import add_settings, error, result, scripted


def write(adw: Adw, name: str, text: str) -> str:
    """Return a command with which an agent writes a plan."""
    source = adw.directory.parent / name
    source.write_text(text)
    return f"cp {source} plans/login.md"


def draft(adw: Adw, *options: str, code: int | None = 0) -> str:
    ran = adw("plan", "draft", "login", "People log in", "--agent", "one", *options, code=code)
    return ran.stdout + ran.stderr


GOOD = plan_text([task(1)])
BAD = plan_text([task(1, needs="Task 9")])


def test_a_good_draft_is_asked_for_once(adw: Adw, repo: Path) -> None:
    one = scripted(adw, "one", f"{write(adw, 'good', GOOD)}; {result(cost=0.5)}", reads="claude")
    shown = draft(adw)
    assert "the agent was asked once, cost $0.5000" in shown
    assert "People log in" in one.prompt(1) and "plans/login.md" in one.prompt(1)
    assert (repo / "plans" / "login.md").read_text() == GOOD


def test_the_agent_finds_the_template_there(adw: Adw, repo: Path) -> None:
    scripted(adw, "one", f"cp plans/login.md ../seen; {write(adw, 'good', GOOD)}")
    draft(adw, "--title", "The login")
    seen = (repo.parent / "seen").read_text()
    assert "# The login" in seen and "slug: login" in seen and "{{name}}" in seen


def test_what_is_wrong_goes_back_in_the_same_session(adw: Adw) -> None:
    one = scripted(
        adw,
        "one",
        f"{write(adw, 'bad', BAD)}; {result()}",
        f"{write(adw, 'good', GOOD)}; {result(cost=0.75)}",
        reads="claude",
    )
    assert "asked 2 times" in draft(adw)
    assert "there is no task 9" in one.prompt(2) and "login.md:" in one.prompt(2)
    assert "People log in" not in one.prompt(2)
    assert one.arguments(2) == ["--resume", "s1"]


def test_it_goes_back_three_times_and_no_more(adw: Adw) -> None:
    one = scripted(adw, "one", last=write(adw, "bad", BAD))
    shown = draft(adw, code=10)
    assert one.calls == 4
    assert "People log in" in one.prompt(4)  # an agent without sessions is told all of it
    assert "there is no task 9" in shown


def test_an_agent_that_fails_leaves_the_plan_as_it_is(adw: Adw, repo: Path) -> None:
    scripted(adw, "one", error("no credit", 401), reads="claude")
    assert "no credit" in draft(adw, code=9)
    assert "{{" in (repo / "plans" / "login.md").read_text()
    assert "is there already" in draft(adw, code=2)


def test_a_draft_has_a_budget(adw: Adw) -> None:
    script = f"{write(adw, 'bad', BAD)}; {result(cost=2.0)}"
    one = scripted(adw, "one", last=script, reads="claude")
    assert "has cost $2.00" in draft(adw, "--budget", "2", code=9)
    assert one.calls == 1


def test_other_files_that_it_changed_are_told(adw: Adw) -> None:
    scripted(adw, "one", f"echo x >other.py; {write(adw, 'good', GOOD)}")
    assert "the agent has changed other.py, too" in draft(adw)


def test_each_call_is_a_line_of_calls(adw: Adw) -> None:
    scripted(adw, "one", f"{write(adw, 'good', GOOD)}; {result(cost=0.5)}", reads="claude")
    draft(adw)
    [line] = (state_dir() / "calls.jsonl").read_text().splitlines()
    call = json.loads(line)
    assert (call["feature"], call["stage"], call["cost_usd"]) == ("login", "draft", 0.5)


def test_an_agent_of_the_repository_is_approved_first(adw: Adw, repo: Path) -> None:
    (repo / "adw-worktree.toml").write_text('[agents.one]\ncommand = ["touch", "ran"]\n')
    assert "trust" in draft(adw, code=9)
    assert not (repo / "ran").exists()


def test_no_agent_and_no_request_are_said(adw: Adw) -> None:
    add_settings("[agents.one]", command=["no-such-program"])
    assert "agent one is not installed" in draft(adw, code=9)
    assert "needs what is wanted" in adw("plan", "draft", "login", code=2).stderr

"""Phases whose stages are agents: what is handed to them, tried again, bounded, and gone on with.

The agents are programs of the user's own that follow scripts; for the real ones see
`test_real_agents.py`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw
from tests.support.features import (
    calls,
    ended,
    kill_all,
    only,
    prompted,
    reasons,
    run_to_end,
    running_with,
    shown,
    start,
    state_dir,
    statuses,
    until,
    until_there,
    work,
    write_feature,
)
from tests.support.machine import settle
from tests.support.repositories import branches, git_in
from tests.support.scripted_agent import (
    BEGUN,
    COMMIT,
    OURS,
    add_settings,
    error,
    result,
    say,
    scripted,
)

# ---- what is done ------------------------------------------------------------------------------


def test_an_agent_s_work_lands(adw: Adw) -> None:
    agent = scripted(adw, "one", f"{COMMIT}; {result('built it')}", reads="claude")
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert git_in(adw.directory, "show", "feature/x:x-p1") == "x.1\n"
    prompt = agent.prompt(1)
    for part in ("# Phase 1", "Do part 1.", "phase 1 of 1", "`x-p1`", "phase block"):
        assert part in prompt
    [call] = calls(adw)
    assert (call["status"], call["cost_usd"], call["cost_source"]) == ("ok", 0.25, "reported")
    assert (call["session_id"], call["turns"], call["stage"]) == ("s1", 2, "build")
    assert ended(adw) == [("build", "passed"), ("ship", "passed")]
    [line] = (state_dir() / "calls.jsonl").read_text().splitlines()
    noted = json.loads(line)
    assert (noted["feature"], noted["phase"], noted["cost_usd"]) == ("x", "x.1", 0.25)
    assert adw.json("feature", "show", "x")["feature"]["cost"] == {
        "usd": 0.25, "calls": 1, "unknown": 0,
    }  # fmt: skip


def test_an_unknown_cost_is_no_zero(adw: Adw) -> None:
    scripted(adw, "one", COMMIT)
    run_to_end(adw, only("one"))
    assert calls(adw)[0]["cost_usd"] is None
    assert adw.json("feature", "show", "x")["feature"]["cost"] == {
        "usd": 0.0, "calls": 1, "unknown": 1,
    }  # fmt: skip
    assert "cost unknown" in adw("phase", "show", "x.1").stdout


def test_what_an_agent_left_is_committed(adw: Adw) -> None:
    scripted(adw, "one", "mkdir d; echo new >d/new; echo ignored >x.tmp; echo '*.tmp' >.gitignore")
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    files = git_in(adw.directory, "ls-tree", "-r", "--name-only", "feature/x").split()
    assert {"d/new", ".gitignore"} <= {*files}
    assert "x.tmp" not in files
    assert ".env.ports" not in files
    assert git_in(adw.directory, "log", "-1", "--format=%s", "feature/x") == "Phase 1\n"


def test_nothing_done_is_not_completed(adw: Adw) -> None:
    scripted(adw, "one", "echo I have done it all")
    run_to_end(adw, only("one"))
    assert reasons(adw, "x.1") == ["no-changes"]


def test_phases_hand_over_what_their_agents_said(adw: Adw) -> None:
    """The nearest first; of more than 32,000 characters the rest is left out, and named."""
    long = "x" * 20_000
    scripted(adw, "one", last=f"{COMMIT}; echo 'the table is users'")
    scripted(adw, "two", f"{COMMIT}; printf 'two %s' {long}")
    scripted(adw, "three", f"{COMMIT}; printf 'three %s' {long}")
    last = scripted(adw, "four", COMMIT)
    run_to_end(
        adw, only("one"), prompted(2, 1, agents=["two"]), prompted(3, 1, agents=["three"]),
        prompted(4, 2, 3, agents=["four"]), prompted(5, agents=["one"]),
    )  # fmt: skip
    assert [statuses(adw, "x")[number] for number in (1, 2, 3, 4)] == ["completed"] * 4
    told = last.prompt(1)
    heads = ["### Phase 3 (x.3)", "three xxx", "### Phase 1 (x.1)", "the table is users",
             "Left out, to keep this short: Phase 2 (x.2)."]  # fmt: skip
    places = [told.find(head) for head in heads]
    assert -1 not in places
    assert places == sorted(places)
    assert "two xxx" not in told
    assert "Phase 5" not in told


def test_a_server_that_an_agent_leaves_is_ended(adw: Adw) -> None:
    scripted(adw, "one", f"{COMMIT}; nohup setsid sleep 987 >/dev/null 2>&1 & wait; {COMMIT}")
    scripted(adw, "two", f"{COMMIT}; nohup setsid sleep 987 >/dev/null 2>&1 &")
    run_to_end(adw, only("two"))
    assert statuses(adw, "x") == {1: "completed"}
    assert not running_with("987")


# ---- in which order it is left -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("git switch -qc elsewhere", "branch elsewhere"),
        ("git checkout -q --detach", "no branch"),
        ("git merge -q --no-commit --no-ff other", "a merge is not finished"),
        ("git rebase other", "a rebase is not finished"),
    ],
    ids=["on another branch", "on no branch", "in a merge", "in a rebase"],
)
def test_an_agent_puts_in_order_what_it_left(adw: Adw, left: str, said: str) -> None:
    git_in(adw.directory, "switch", "-qc", "other")
    (adw.directory / "x-p1").write_text("other\n")
    git_in(adw.directory, "add", "x-p1")
    git_in(adw.directory, "commit", "-q", "-m", "other")
    git_in(adw.directory, "switch", "-q", "main")
    repair = "git rebase --abort || git merge --abort; git switch -q x-p1"
    agent = scripted(adw, "one", f"{COMMIT}; {left} || true", repair)
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert said in agent.prompt(2)


def test_a_worktree_in_disorder_waits_for_a_person(adw: Adw) -> None:
    agent = scripted(adw, "one", last=f"{COMMIT}; git switch -qC elsewhere")
    run_to_end(adw, only("one"))
    assert (statuses(adw, "x"), reasons(adw, "x.1")) == ({1: "review"}, ["needs-person"])
    assert "branch elsewhere" in shown(adw, "x.1")["phase"]["error_message"]
    assert agent.calls == 2
    assert "x-p1" in branches(adw.directory)


def test_a_hook_of_git_that_refuses_is_told_to_the_agent(adw: Adw) -> None:
    hook = adw.directory / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n! git diff --cached | grep -q '+bad' || { echo no bad; exit 1; }\n")
    hook.chmod(0o755)
    agent = scripted(adw, "one", "echo bad >file", "echo good >file")
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert "no bad" in agent.prompt(2)


def test_a_file_of_a_sibling_that_was_edited_is_told_to_a_person(adw: Adw) -> None:
    adw("create", "sibling")
    path = adw.directory / "trees" / "sibling" / "file"
    edit = {"type": "assistant", "message": {"id": "m", "content": [
        {"type": "tool_use", "name": "Write", "input": {"file_path": str(path)}}]}}  # fmt: skip
    scripted(adw, "one", f"echo x >{path}; {COMMIT}; {say(edit)}; {result()}", reads="claude")
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "review"}
    assert "the worktree of sibling" in shown(adw, "x.1")["phase"]["error_message"]


# ---- tests, and what they find -----------------------------------------------------------------


def test_what_a_test_finds_goes_back_to_the_agent(adw: Adw) -> None:
    add_settings("[stages.test]", run="cat answer; grep -q 42 answer")
    agent = scripted(
        adw, "one",
        f"{BEGUN}; echo 41 >answer; {result('first')}",
        f"{BEGUN}; echo 42 >answer; {result('second', cost=0.75)}",
        reads="claude",
    )  # fmt: skip
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert [name for name, _ in ended(adw)] == ["build", "test", "build", "test", "ship"]
    told = agent.prompt(2)
    assert "failed with exit status 1" in told
    assert "41" in told
    assert "Do part 1." not in told, "the session knows its task"
    assert agent.arguments(2) == ["--resume", "s1"]
    costs = [call["cost_usd"] for call in calls(adw)]
    assert costs == [0.25, 0.5], "what the session had cost before is not paid twice"


def test_rounds_have_an_end(adw: Adw) -> None:
    add_settings("[stages.test]", run="false", rounds=2)
    agent = scripted(adw, "one", last="echo $$ >>file")
    run_to_end(adw, only("one"))
    assert reasons(adw, "x.1") == ["command-failed"]
    assert agent.calls == 3
    adw("phase", "retry", "x.1")
    work(adw)
    assert agent.calls == 5, "a person gives it all of its rounds again"


def test_what_lands_is_what_was_tested(adw: Adw) -> None:
    """Both are made at once; the second to land is tested again with the first in it."""
    log = adw.directory.parent / "tested"
    add_settings("[stages.test]", run=f"git rev-parse HEAD^{{tree}} >>{log}")
    both = adw.directory.parent / "both"
    meet = f"echo >>{both}; while [ $(wc -l <{both}) -lt 2 ]; do sleep 0.05; done; {COMMIT}"
    scripted(adw, "one", last=meet)
    run_to_end(adw, only("one"), prompted(2, agents=["one"]))
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}
    assert (
        git_in(adw.directory, "rev-parse", "feature/x^{tree}").strip()
        == log.read_text().split()[-1]
    )
    assert len(log.read_text().split()) == 3


def test_a_check_that_commits_is_repeated(adw: Adw) -> None:
    """What a formatter commits was seen by no test."""
    place = adw.directory.parent
    add_settings("[workflows.tidy]", stages=["build", "format", "test", "ship"])
    fix = "grep -q pretty f || { echo pretty >f; git commit -qam pretty; }"
    add_settings("[stages.format]", run=fix)
    add_settings("[stages.test]", run=f"git rev-parse HEAD >>{place}/tested")
    scripted(adw, "one", "echo ugly >f; git add f; git commit -qm f")
    run_to_end(adw, only("one", workflow="tidy"))
    assert statuses(adw, "x") == {1: "completed"}
    assert git_in(adw.directory, "rev-parse", "feature/x") in (place / "tested").read_text()
    found = shown(adw, "x.1")["attempts"][-1]["stages"]
    checked = {one["name"]: one["tested_commit"] for one in found}
    assert checked["format"] == checked["test"]
    assert [one["name"] for one in found].count("format") == 2


def test_a_check_that_always_commits_waits_for_a_person(adw: Adw) -> None:
    add_settings("[stages.test]", run="echo x >>f; git add f; git commit -qm more")
    scripted(adw, "one", COMMIT)
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "review"}
    assert "again and again" in shown(adw, "x.1")["phase"]["error_message"]


# ---- conflicts ---------------------------------------------------------------------------------


def conflicting(adw: Adw, *resolving: str, last: str = "exit 1") -> Any:
    """Have two phases change one file in two ways, the second after the first has landed."""
    both = adw.directory.parent / "both"
    scripted(
        adw, "first",
        f"echo >{both}; until [ -e {both}2 ]; do sleep 0.05; done; echo one >f; git add f;"
        "git commit -qm one",
    )  # fmt: skip
    second = (
        f"until [ -e {both} ]; do sleep 0.05; done; echo two >f; git add f; git commit -qm two;"
        f"echo >{both}2; until git -C {adw.directory} cat-file -e feature/x:f 2>/dev/null;"
        "do sleep 0.05; done"
    )
    agent = scripted(adw, "second", second, *resolving, last=last)
    run_to_end(adw, only("first"), prompted(2, agents=["second"]))
    return agent


@pytest.mark.thorough
def test_a_conflict_goes_to_the_agent(adw: Adw) -> None:
    add_settings("[stages.test]", run="! grep '<<<' f")
    agent = conflicting(
        adw, "git merge -q feature/x; printf 'one\\ntwo\\n' >f; git add f; git commit -qm both"
    )
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}
    assert git_in(adw.directory, "show", "feature/x:f") == "one\ntwo\n"
    assert "x-p2 and feature/x conflict: f" in agent.prompt(2)
    assert "Do part 2." in agent.prompt(2)
    assert [name for name, _ in ended(adw, "x.2")] == [
        "build", "test", "ship", "resolve", "test", "ship",
    ]  # fmt: skip


def test_a_conflict_that_no_agent_resolves_waits_for_a_person(adw: Adw) -> None:
    agent = conflicting(adw, last="true")
    assert statuses(adw, "x") == {1: "completed", 2: "review"}
    assert agent.calls == 3, "twice at most"
    worktree = adw.directory / "trees" / "x-p2"
    assert (worktree / "f").read_text() == "two\n"
    assert git_in(worktree, "status", "--porcelain", "--untracked-files=no") == ""


def test_files_that_checks_have_left_keep_nothing_from_being_merged(adw: Adw, repo: Path) -> None:
    add_settings("[stages.test]", run="mkdir -p cache; echo x >cache/left")
    scripted(adw, "one", COMMIT)
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert "cache" not in git_in(adw.directory, "ls-tree", "-r", "--name-only", "feature/x")


def test_what_a_check_changes_in_files_of_git_waits_for_a_person(adw: Adw) -> None:
    add_settings("[stages.test]", run="echo more >>$ADW_ID")
    scripted(adw, "one", COMMIT)
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "review"}


# ---- retry, fallback, limits -------------------------------------------------------------------


@pytest.mark.thorough
def test_what_may_pass_is_tried_again(adw: Adw) -> None:
    agent = scripted(
        adw, "one",
        error("API Error: Unable to connect to API (ConnectionRefused)", num_turns=0),
        f"{COMMIT}; {result()}",
        reads="claude",
    )  # fmt: skip
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert [(one["status"], one["retry_count"]) for one in calls(adw)] == [("error", 0), ("ok", 1)]
    assert agent.prompt(2) == agent.prompt(1)
    [event] = [one for one in shown(adw, "x.1")["events"] if one["kind"] == "agent.retry"]
    assert "Unable to connect" in event["data"]["why"]


@pytest.mark.thorough
def test_a_stream_that_broke_off_goes_on_in_its_session(adw: Adw) -> None:
    broken = error("API Error: Connection closed mid-response", session="s7")
    agent = scripted(adw, "one", broken, f"{COMMIT}; {result(session='s7')}", reads="claude")
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert agent.arguments(2) == ["--resume", "s7"]
    assert "You were interrupted" in agent.prompt(2)


@pytest.mark.parametrize(
    ("text", "status"),
    [("Invalid API key", 401), ("prompt is too long", 400), ("model: not found", 404)],
    ids=["authentication", "context", "request"],
)
def test_what_will_not_pass_goes_to_the_fallback(adw: Adw, text: str, status: int) -> None:
    first = scripted(adw, "one", error(text, status), reads="claude")
    second = scripted(adw, "two", COMMIT)
    run_to_end(adw, prompted(1, agents=["one", "two"]))
    assert statuses(adw, "x") == {1: "completed"}
    assert (first.calls, second.calls) == (1, 1)
    [event] = [one for one in shown(adw, "x.1")["events"] if one["kind"] == "agent.fallback"]
    assert (event["data"]["agent"], event["data"]["to"]) == ("one", "two")
    assert text in event["data"]["why"]


def test_an_agent_that_is_not_there_any_more_goes_to_the_fallback(adw: Adw) -> None:
    agent = scripted(adw, "one", COMMIT)
    program = agent.place / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    add_settings("[agents.gone]", command=[str(program)])
    away = {"number": 2, "title": "Away", "run": [f"rm {program}"], "changes": "none"}
    run_to_end(adw, prompted(1, 2, agents=["gone", "one"]), away)
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}
    assert "cannot be started" in calls(adw)[0]["error"]


def test_when_all_agents_fail_each_has_its_reason(adw: Adw) -> None:
    scripted(adw, "one", error("Invalid API key", 401), reads="claude")
    scripted(adw, "two", "echo it is broken; exit 3")
    run_to_end(adw, prompted(1, agents=["one", "two"]))
    assert reasons(adw, "x.1") == ["agent-error"]
    why = shown(adw, "x.1")["phase"]["error_message"]
    assert "Invalid API key" in why
    assert "it is broken" in why


def limited(seconds: float | None) -> str:
    """Return a script that meets a limit, which ends in so many seconds; None: it does not say."""
    if seconds is None:
        return error("You've hit your usage limit", session="s1")
    about = {"status": "rejected", "resetsAt": time.time() + seconds}
    event = {"type": "rate_limit_event", "rate_limit_info": about}
    return f"{say(event)}; {error('limit', session='s1')}"


@pytest.mark.parametrize("seconds", [4.0, None], ids=["its end known", "its end unknown"])
def test_a_limit_pauses_all_that_want_the_agent(adw: Adw, seconds: float | None) -> None:
    agent = scripted(
        adw, "one", limited(seconds), last=f"{COMMIT}; {result()}", reads="claude", limit_pause=4
    )
    start(adw, "x", only("one"), prompted(2, 3, agents=["one"]),
          {"number": 3, "title": "Other work", "run": ["sleep 1"], "changes": "none"})  # fmt: skip
    until(adw, "x.2", "paused")
    until(adw, "x.1", "paused")
    row = shown(adw, "x.1")["phase"]
    assert row["resume_at"] is not None
    assert "limit" in row["error_message"]
    assert agent.calls == 1, "nothing more is started"
    work(adw)
    assert statuses(adw, "x") == {1: "completed", 2: "completed", 3: "completed"}
    assert reasons(adw, "x.1") == ["limit", "completed"]
    assert calls(adw)[1]["retry_count"] == 0
    arguments = [agent.arguments(number) for number in (2, 3)]
    assert ["--resume", "s1"] in arguments, "the session goes on"


def test_a_person_ends_a_limit(adw: Adw) -> None:
    scripted(adw, "one", limited(3600), f"{COMMIT}; {result()}", reads="claude")
    start(adw, "x", only("one"))
    until(adw, "x.1", "paused")
    assert adw("feature", "show", "x").stdout.count("paused") == 1
    adw("phase", "resume", "x.1")
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}


def test_a_limit_goes_to_the_fallback(adw: Adw) -> None:
    scripted(adw, "one", limited(3600), reads="claude")
    scripted(adw, "two", last=COMMIT)
    run_to_end(adw, prompted(1, agents=["one", "two"]), prompted(2, 1, agents=["one", "two"]))
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}


# ---- bounds ------------------------------------------------------------------------------------


def costly(usage: int) -> str:
    """Return a script of one that has taken so many tokens, and does not stop."""
    message = {"id": "m1", "model": "claude-sonnet-4-5", "content": [],
               "usage": {"input_tokens": usage, "output_tokens": 1}}  # fmt: skip
    return f"{say({'type': 'assistant', 'message': message, 'session_id': 's1'})}; sleep 60"


@pytest.mark.thorough
def test_a_budget_ends_an_agent_while_it_runs(adw: Adw) -> None:
    scripted(adw, "one", costly(100_000), reads="claude")
    began = time.monotonic()
    run_to_end(adw, only("one", budget_usd=0.1))
    assert time.monotonic() - began < 40
    assert reasons(adw, "x.1") == ["over-budget"]
    [call] = calls(adw)
    assert (call["status"], call["cost_source"]) == ("budget", "estimated")
    assert call["cost_usd"] == pytest.approx(0.3, abs=0.01)
    adw("phase", "retry", "x.1")
    work(adw)
    assert reasons(adw, "x.1") == ["over-budget"] * 2, "what is used up stays used up"
    assert len(calls(adw)) == 1
    adw("phase", "retry", "x.1", "--budget", "5")
    work(adw)
    assert len(calls(adw)) > 1, "a person gives it more"


def test_a_feature_s_budget_is_shared_out(adw: Adw) -> None:
    scripted(adw, "one", last=f"{COMMIT}; {result(session='$ADW_ID', cost=0.25)}", reads="claude")
    run_to_end(adw, only("one"), prompted(2, 1, agents=["one"]), budget_usd=1.0)
    allowed = [shown(adw, name)["attempts"][0]["allowance_usd"] for name in ("x.1", "x.2")]
    assert allowed == [0.5, 0.75]


def test_a_budget_needs_a_price(adw: Adw) -> None:
    scripted(adw, "one")
    file = write_feature(adw, "x", only("one", budget_usd=1.0))
    ran = adw("feature", "start", str(file), "--yes", code=3)
    assert "the price of agent one is not known" in ran.stderr


@pytest.mark.thorough
def test_an_agent_that_works_too_long_is_ended(adw: Adw) -> None:
    scripted(adw, "one", "sleep 60")
    run_to_end(adw, only("one", timeout="1s"))
    assert reasons(adw, "x.1") == ["timeout"]


@pytest.mark.thorough
def test_an_agent_that_prints_nothing_is_tried_again(adw: Adw) -> None:
    add_settings("[stages.build]", prompt="build", retries=1)
    agent = scripted(adw, "one", last="sleep 60")
    run_to_end(adw, only("one", idle_timeout=0.5))
    assert reasons(adw, "x.1") == ["stalled"]
    assert agent.calls == 2


def test_what_was_denied_and_not_done(adw: Adw) -> None:
    denials = [{"tool_name": "Bash", "tool_use_id": "t", "tool_input": {}}]
    scripted(adw, "one", result(permission_denials=denials), reads="claude")
    run_to_end(adw, only("one"))
    assert reasons(adw, "x.1") == ["denied"]
    assert "was not allowed: Bash" in shown(adw, "x.1")["phase"]["error_message"]


def test_what_was_denied_and_done_otherwise(adw: Adw) -> None:
    denials = [{"tool_name": "Bash", "tool_use_id": "t", "tool_input": {}}]
    scripted(adw, "one", f"{COMMIT}; {result(permission_denials=denials)}", reads="claude")
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "completed"}
    assert calls(adw)[0]["denied"] == ["Bash"]


# ---- reports, approvals ------------------------------------------------------------------------


@pytest.mark.thorough
def test_an_agent_that_is_stuck_gets_an_answer(adw: Adw) -> None:
    agent = scripted(
        adw, "one",
        f"{OURS} phase block -m 'which port?'; {result(session='s3')}",
        f"{COMMIT}; {result(session='s3')}",
        reads="claude",
    )  # fmt: skip
    run_to_end(adw, only("one"))
    assert statuses(adw, "x") == {1: "review"}
    assert shown(adw, "x.1")["phase"]["error_message"] == "which port?"
    adw("phase", "reject", "x.1", "-m", "port 9100")
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert "port 9100" in agent.prompt(2)
    assert agent.arguments(2) == ["--resume", "s3"]


def test_a_review_sends_the_work_back(adw: Adw) -> None:
    add_settings("[workflows.careful]", stages=["build", "review", "ship"])
    add_settings("[stages.review]", prompt="review", agents=["critic"])
    add_settings("[stages.build]", prompt="build", agents=["one"])
    scripted(adw, "critic", f"{OURS} phase fail -m 'no tests'", "echo good")
    agent = scripted(adw, "one", last=COMMIT)
    run_to_end(adw, prompted(1, workflow="careful"))
    assert statuses(adw, "x") == {1: "completed"}
    assert [name for name, _ in ended(adw)] == ["build", "review", "build", "review", "ship"]
    assert "no tests" in agent.prompt(2)


def test_a_person_approves(adw: Adw) -> None:
    add_settings("[workflows.asked]", stages=["build", "approve", "ship"])
    agent = scripted(adw, "one", last=COMMIT)
    run_to_end(adw, only("one", workflow="asked"))
    assert statuses(adw, "x") == {1: "review"}
    assert "x-p1" in [row["adw_id"] for row in adw.json("list")["worktrees"]], (
        "its ports stay leased"
    )
    adw("phase", "reject", "x.1", "-m", "name it otherwise")
    work(adw)
    assert statuses(adw, "x") == {1: "review"}
    assert "name it otherwise" in agent.prompt(2)
    adw("phase", "approve", "x.1")
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert agent.calls == 2
    ran = adw("phase", "approve", "x.1", code=7)
    assert "it waits for nobody" in ran.stderr


# ---- through crashes ---------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_killed_agent_s_session_goes_on(adw: Adw) -> None:
    """And each call is a row: the one that was killed with all that is known of it."""
    place = adw.directory.parent
    began = say({"type": "system", "subtype": "init", "session_id": "s5"})
    message = {"id": "m1", "model": "claude-sonnet-4-5", "content": [],
               "usage": {"input_tokens": 100_000, "output_tokens": 1}}  # fmt: skip
    spent = say({"type": "assistant", "message": message, "session_id": "s5"})
    agent = scripted(
        adw, "one",
        f"{began}; {spent}; echo half >half; echo >{place}/half; sleep 60",
        f"test -e half && {COMMIT}; {result(session='s5', cost=0.5)}",
        reads="claude",
    )  # fmt: skip
    start(adw, "x", only("one"))
    until_there(place / "half")
    kill_all()
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert reasons(adw, "x.1") == ["lost", "completed"]
    assert agent.arguments(2) == ["--resume", "s5"]
    assert "You were interrupted" in agent.prompt(2)
    first, second = calls(adw)
    assert (first["status"], first["session_id"]) == ("killed", "s5")
    assert first["cost_source"] == "estimated"
    assert second["status"] == "ok"


def test_a_lost_attempt_goes_on_at_its_stage(adw: Adw) -> None:
    place = adw.directory.parent
    add_settings("[workflows.long]", stages=["plan", "build", "slow", "ship"])
    add_settings("[stages.slow]", run=f"echo >>{place}/slow; [ -e {place}/go ] || sleep 60")
    agent = scripted(adw, "one", "echo the plan", last=COMMIT)
    start(adw, "x", only("one", workflow="long"))
    until_there(place / "slow")
    kill_all()
    (place / "go").touch()
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert agent.calls == 2
    assert "the plan" in agent.prompt(2)
    assert [name for name, _ in ended(adw)] == ["slow", "ship"]


@pytest.mark.thorough
def test_a_cancelled_agent_ends_at_once(adw: Adw) -> None:
    place = adw.directory.parent
    scripted(adw, "one", f"trap '' TERM; echo >{place}/there; sleep 60")
    start(adw, "x", only("one"))
    until_there(place / "there")
    adw("phase", "cancel", "x.1")
    settle(lambda: reasons(adw, "x.1") == ["cancelled"], "it does not end")


# ---- the ten stages ----------------------------------------------------------------------------


def test_sdlc_goes_through_all_of_its_stages(adw: Adw) -> None:
    add_settings("[stages.test]", run="true")
    add_settings("[stages.cleanup]", run=f"echo >>{adw.directory.parent}/cleanup")
    scripted(adw, "one", last="echo found; [ -e $ADW_ID ] || { " + COMMIT + "; }")
    run_to_end(adw, only("one"), workflow="sdlc")
    assert ended(adw) == [
        (name, "passed")
        for name in ("plan", "validate", "build", "lint", "test", "review", "document", "ship",
                     "cleanup")
    ]  # fmt: skip
    assert statuses(adw, "x") == {1: "completed"}


def test_what_fails_after_shipping_has_landed(adw: Adw) -> None:
    add_settings("[workflows.late]", stages=["build", "ship", "after"])
    add_settings("[stages.after]", run="exit 3")
    scripted(adw, "one", COMMIT)
    run_to_end(adw, only("one", workflow="late"))
    assert statuses(adw, "x") == {1: "completed"}
    assert ended(adw)[-1] == ("after", "failed")


# ---- nothing starts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "phase", "said"),
    [
        ("", {"agents": ["nobody"]}, "there is no agent 'nobody'"),
        ("", {"workflow": "none"}, "there is no workflow 'none'"),
        ('[agents.a]\ncommand = ["/no/such"]', {"agents": ["a"]}, "is not on PATH"),
        ('[workflows.w]\nstages = ["nope", "ship"]', {"workflow": "w"}, "no stage 'nope'"),
        ('[workflows.w]\nstages = ["build"]', {"workflow": "w"}, "needs the stage ship"),
        ('[workflows.w]\nstages = ["ship", "build"]', {"workflow": "w"}, "comes after ship"),
        ('[stages.build]\nprompt = "p.md"', {}, "p.md cannot be read"),
        ('[stages.build]\nprompt = "../p.md"', {}, "outside of the repository"),
        ('[stages.build]\nprompt = "odd.md"', {}, "unknown placeholder {{odd}}"),
        ('[stages.build]\nprompt = "build"\nrun = "x"', {}, "has run and prompt"),
        ('[stages.build]\nprmpt = "build"', {}, "stages.build.prmpt"),
        ('[stages.test]\nrun = "x"\non_failure = "ship"', {}, "which is no agent's"),
    ],
)  # fmt: skip
def test_what_cannot_run_does_not_start(
    adw: Adw, settings: str, phase: dict[str, Any], said: str
) -> None:
    (adw.directory / "odd.md").write_text("Do {{odd}}")
    (adw.directory.parent / "p.md").write_text("x")
    scripted(adw, "one")
    file = write_feature(adw, "x", {**prompted(1), "agents": ["one"], **phase})
    config = adw.directory / "adw-worktree.toml"
    config.write_text(settings + "\n")
    adw("trust", "--yes")
    ran = adw("feature", "start", str(file), "--yes", code=3)
    assert said in ran.stderr
    assert (
        not (state_dir() / "phases" / "phases.db").exists()
        or adw.json("feature", "list")["features"] == []
    )


@pytest.mark.thorough
def test_what_a_repository_asks_for_needs_approval(adw: Adw, tmp_path: Path) -> None:
    (adw.directory / "adw-worktree.toml").write_text('[stages.test]\nrun = "true"\n')
    scripted(adw, "one", COMMIT)
    file = write_feature(adw, "x", only("one"))
    ran = adw("feature", "start", str(file), code=9)
    assert "stages.test" in ran.stderr
    adw("trust", "--yes")
    ran = adw("feature", "start", str(file), code=9)
    assert "1 prompt that nobody has approved" in ran.stderr
    adw("feature", "start", str(file), "--yes")
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}

"""A plan becomes phases: each with its own part, checked against it before it is merged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw
from tests.support.features import (
    kill_all,
    phase,
    reasons,
    shown,
    statuses,
    store,
    work,
    write_feature,
)
from tests.support.plans import plan_text, task, write_plan
from tests.support.repositories import git
from tests.support.scripted_agent import ScriptedAgent, add_settings, scripted

WORK = "echo work >$ADW_ID; git add -A; git commit -qm work; echo made it"


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test leaves running."""
    yield
    kill_all()


def agent(adw: Adw, *scripts: str, last: str = WORK) -> ScriptedAgent:
    """Have an agent for the stage `build`, and no other."""
    found = scripted(adw, "one", *scripts, last=last)
    add_settings("[stages.build]", agents=["one"])
    return found


def run_plan(adw: Adw, text: str, *options: str) -> None:
    """Start a plan, and let everything be done that can be."""
    adw("feature", "start", write_plan(adw, text), "--yes", *options)
    work(adw)


def verdicts(adw: Adw, name: str) -> dict[str, str]:
    """Return the verdict on each point of a phase's checklist, by its text."""
    return {one["text"]: one["verdict"] for one in shown(adw, name)["checklist"]}


def needs(adw: Adw) -> dict[int, list[int]]:
    """Return what each phase depends on."""
    rows = adw.json("feature", "show", "login")["phases"]
    return {row["phase_number"]: row["depends_on_phases"] for row in rows}


# ---- phases ------------------------------------------------------------------------------------


def test_each_task_is_a_phase_and_those_of_one_agent_come_in_order(adw: Adw) -> None:
    agent(adw)
    text = plan_text(
        [task(1), task(2)], [task(3, needs="none"), task(4), task(5, needs="Task 1 and Task 4")]
    )
    run_plan(adw, text)
    assert statuses(adw, "login") == dict.fromkeys(range(1, 6), "completed")
    assert needs(adw) == {1: [], 2: [1], 3: [], 4: [3], 5: [1, 4]}


def test_lanes_make_a_phase_of_each_build_agent(adw: Adw) -> None:
    one = agent(adw)
    text = plan_text([task(1), task(2)], [task(3, needs="Task 2")], front="phases: lanes")
    run_plan(adw, text)
    assert needs(adw) == {1: [], 2: [1]}
    assert "Do part 1." in one.prompt(1) and "Do part 2." in one.prompt(1)


@pytest.mark.thorough
def test_overlapping_tasks_wait_for_each_other_if_the_plan_says_so(adw: Adw) -> None:
    agent(adw)
    tasks = [[task(1)], [task(2, needs="none")]]
    both = [[one.replace("- `", "- `").replace("**Files to create**", "**Files to change**\n\n"
            "- `shared.py`\n\n**Files to create**") for one in lane] for lane in tasks]  # fmt: skip
    run_plan(adw, plan_text(*both, front="serialize_overlaps: true"))
    assert needs(adw) == {1: [], 2: [1]}


def test_an_agent_gets_its_own_part_alone_and_what_came_before(adw: Adw) -> None:
    one = agent(adw)
    point = "**Setting**: `LOGIN_TTL`, read in `app.py` (Task 2)"
    run_plan(adw, plan_text([task(1), task(2)], integration=[point], title="The login"))
    prompt = one.prompt(2)
    assert "Do part 2." in prompt and "Do part 1." not in prompt
    assert "`LOGIN_TTL`" in prompt and "`LOGIN_TTL`" not in one.prompt(1)
    assert "made it" in prompt  # what the first one has handed over
    assert "- [ ] #1 it works" in prompt
    for other in ("the one thing", "the other thing", "people are glad", "The simplest way"):
        assert other not in prompt


def test_a_plan_with_errors_starts_nothing(adw: Adw) -> None:
    agent(adw)
    plan = write_plan(adw, plan_text([task(1, needs="Task 7")]))
    ran = adw("feature", "start", plan, "--yes", code=2)
    assert "login.md:" in ran.stderr and "there is no task 7" in ran.stderr
    assert adw.json("feature", "list")["features"] == []


def test_ticks_in_a_plan_mean_nothing(adw: Adw) -> None:
    one = agent(adw)
    run_plan(adw, plan_text([task(1)]).replace("[ ]", "[x]"))
    assert "[x]" not in one.prompt(1)
    assert verdicts(adw, "login.1")["it works"] == "unknown"


# ---- added, and started later ------------------------------------------------------------------


def test_an_added_feature_runs_when_it_is_started(adw: Adw) -> None:
    one = agent(adw)
    plan = write_plan(adw, plan_text([task(1)]))
    adw("feature", "add", plan)
    work(adw)
    assert statuses(adw, "login") == {1: "ready"} and one.calls == 0
    (adw.directory / plan).unlink()  # it is the store's by now
    assert "--yes" in adw("feature", "start", "login", code=9).stderr
    adw("feature", "start", "login", "--yes")
    work(adw)
    assert statuses(adw, "login") == {1: "completed"}


def test_what_was_only_added_is_not_resumed_and_not_added_twice(adw: Adw) -> None:
    agent(adw)
    plan = write_plan(adw, plan_text([task(1)]))
    adw("feature", "add", plan)
    for action in ("pause", "resume"):
        assert "feature start login" in adw("feature", action, "login", code=7).stderr
    assert "is called login" in adw("feature", "add", plan, code=7).stderr
    adw("feature", "cancel", "login")
    adw("feature", "add", plan)


def test_a_feature_is_started_once(adw: Adw) -> None:
    agent(adw)
    adw("feature", "start", write_plan(adw, plan_text([task(1)])), "--yes")
    assert "was started before" in adw("feature", "start", "login", "--yes", code=7).stderr


# ---- the checklist -----------------------------------------------------------------------------

PLANNED = plan_text(
    [task(1, criteria=["a wrong password is refused"], creates=["app/login.py"],
          tests=["`tests/test_login.py::test_wrong` → 401"])],
    integration=["**Endpoint**: `POST /api/login` in `app/login.py` (Task 1)"],
    success=["`test -f app/login.py` passes"],
)  # fmt: skip
ROUTER = (
    "from fastapi import APIRouter\\n\\nrouter = APIRouter()\\n\\n\\n"
    '@router.post(\\"/api/login\\")\\ndef login() -> dict:\\n    return {}\\n'
)
WRITTEN = f"""mkdir -p app tests
printf "{ROUTER}" >app/login.py
printf 'def test_wrong():\\n    assert True\\n' >tests/test_login.py
printf 'from fastapi import FastAPI\\n\\napp = FastAPI()\\n' >app/main.py
git add -A; git commit -qm login; echo done"""
WIRED = """printf 'from app import login\\n\\napp.include_router(login.router)\\n' >>app/main.py
git add -A; git commit -qm wire; echo wired"""


def test_what_is_written_and_never_wired_is_completed_with_warnings(adw: Adw, repo: Path) -> None:
    agent(adw, WRITTEN)
    run_plan(adw, PLANNED)
    found = {one["kind"]: one for one in shown(adw, "login.1")["checklist"]}
    assert found["integration"]["verdict"] == "fail"
    assert "nothing includes the router of app/login.py" in found["integration"]["evidence"]
    assert found["success"]["evidence"] == "`test -f app/login.py` exited with 0"
    assert found["criterion"]["verdict"] == "unknown"
    landed = git("rev-parse", "feature/login", cwd=repo).strip()
    assert {one["commit"] for one in found.values()} == {landed, None}
    for command in (["feature", "show", "login"], ["feature", "list"], ["phase", "list", "--all"],
                    ["phase", "show", "login.1"]):  # fmt: skip
        assert "completed with 2 warnings" in adw(*command).stdout, command
    shown_list = adw("feature", "checklist", "login").stdout
    assert f"(at {landed[:12]})" in shown_list and "phase judge" in shown_list


def test_a_blocking_checklist_sends_what_it_finds_to_the_agent(adw: Adw) -> None:
    one = agent(adw, WRITTEN, WIRED)
    run_plan(adw, f"---\nchecklist: block\n---\n{PLANNED}")
    assert statuses(adw, "login") == {1: "completed"}
    assert "nothing includes the router of app/login.py" in one.prompt(2)
    assert verdicts(adw, "login.1")["Endpoint: `POST /api/login` in `app/login.py` (Task 1)"] == (
        "pass"
    )


@pytest.mark.thorough
def test_what_a_later_phase_uses_is_no_concern_any_more(adw: Adw, repo: Path) -> None:
    agent(adw, WRITTEN, WORK, f"{WIRED}; {WORK}")
    point = "**Endpoint**: `POST /api/login` in `app/login.py` (Task 1)"
    tasks = [task(1, creates=["app/login.py", "app/never.py"]), task(2), task(3)]
    run_plan(adw, plan_text(tasks, integration=[point]))
    assert statuses(adw, "login") == dict.fromkeys((1, 2, 3), "completed")
    endpoint, module, never, _ = shown(adw, "login.1")["checklist"]
    assert (endpoint["verdict"], module["verdict"], never["verdict"]) == ("pass", "pass", "fail")
    assert "includes its router" in endpoint["evidence"]
    landed = git("rev-parse", "feature/login", cwd=repo).strip()
    assert endpoint["commit"] == module["commit"] == landed != never["commit"]
    assert "completed with 1 warning" in adw("feature", "list").stdout


def test_a_blocking_checklist_keeps_what_fails_from_being_merged(adw: Adw, repo: Path) -> None:
    agent(adw, WRITTEN, last="git commit --allow-empty -qm nothing; echo no")
    add_settings("[stages.checklist]", rounds=1)
    (repo / "base").touch()
    adw("feature", "start", write_plan(adw, f"---\nchecklist: block\n---\n{PLANNED}"), "--yes")
    work(adw)
    assert statuses(adw, "login") == {1: "failed"}
    assert reasons(adw, "login.1") == ["gate-failed"]
    assert "app/login.py" not in git("ls-tree", "-r", "--name-only", "feature/login", cwd=repo)


def test_a_command_that_the_plan_says_passes_is_run_at_the_commit(adw: Adw) -> None:
    agent(adw)
    run_plan(adw, plan_text([task(1)], success=["`test -f missing` passes"]))
    assert verdicts(adw, "login.1")["`test -f missing` passes"] == "fail"


@pytest.mark.thorough
def test_a_plan_s_commands_are_approved_with_it(adw: Adw) -> None:
    agent(adw)
    plan = write_plan(adw, plan_text([task(1)], success=["`touch ../../gone-wrong` passes"]))
    ran = adw("feature", "start", plan, code=9)
    assert "1 command and 1 prompt" in ran.stderr
    adw("feature", "start", plan, "--yes")
    adw("feature", "cancel", "login")
    changed = (adw.directory / plan).read_text().replace("gone-wrong", "gone-worse")
    (adw.directory / plan).write_text(changed)
    assert "nobody has approved" in adw("feature", "start", plan, code=9).stderr


def test_a_reader_judges_what_no_gate_can(adw: Adw) -> None:
    agent(adw)
    run_plan(adw, plan_text([task(1)]))
    [row] = [one for one in shown(adw, "login.1")["checklist"] if one["text"] == "it works"]
    judge = ["phase", "judge", "login.1", "--verdict", "warn", "-m", "slow on a phone"]
    adw(*judge, "--item", str(row["position"]))
    [row] = [one for one in shown(adw, "login.1")["checklist"] if one["text"] == "it works"]
    assert (row["verdict"], row["evidence"]) == ("warn", "read: slow on a phone")
    assert row["commit"] is not None
    assert "completed with 1 warning" in adw("phase", "list", "--all").stdout
    assert "has no point 99" in adw(*judge, "--item", "99", code=6).stderr


def test_a_reviewing_agent_judges_from_inside(adw: Adw) -> None:
    from tests.support.scripted_agent import OURS

    judge = f"{OURS} phase judge --item 1 --verdict pass -m 'app.py:3'"
    one = agent(adw, WORK, f"{judge}; echo reviewed")
    add_settings("[workflows.reviewed]", stages=["build", "review", "checklist", "ship"])
    add_settings("[stages.review]", agents=["one"])
    run_plan(adw, plan_text([task(1)]), "--workflow", "reviewed")
    assert "1. it works" in one.prompt(2)
    assert verdicts(adw, "login.1")["it works"] == "pass"


# ---- the issue ---------------------------------------------------------------------------------


def test_the_issue_shown_is_the_one_that_the_agent_gets(adw: Adw) -> None:
    one = agent(adw)
    plan = write_plan(adw, plan_text([task(1), task(2)]))
    adw("feature", "add", plan)
    ran = adw("phase", "issue", "login.1")
    assert "tokens; the whole plan to each agent:" in ran.stderr
    adw("feature", "start", "login", "--yes")
    work(adw)
    before, _, after = ran.stdout.partition("- Ports for servers you start: ")
    assert before in one.prompt(1)
    assert after.partition("Use no")[2] in one.prompt(1)


def test_a_phase_of_commands_has_no_issue(adw: Adw) -> None:
    from tests.support.features import phase, start

    start(adw, "x", phase(1))
    assert "no agent gets an issue" in adw("phase", "issue", "x.1", code=7).stderr


@pytest.mark.thorough
def test_a_checklist_survives_a_kill_of_everything(adw: Adw) -> None:
    agent(adw, WRITTEN)
    plan = write_plan(adw, PLANNED.replace("`test -f app/login.py` passes", "`sleep 1` passes"))
    adw("feature", "start", plan, "--yes")
    from tests.support.machine import settle

    def is_checking() -> bool:
        rows: list[dict[str, Any]] = shown(adw, "login.1")["attempts"]
        return any(one["stage"] == "checklist" for one in rows)

    settle(is_checking, "it never comes to the checklist")
    kill_all()
    work(adw)
    assert statuses(adw, "login") == {1: "completed"}
    assert verdicts(adw, "login.1")["`sleep 1` passes"] == "pass"
    database = store()
    [[text]] = database.execute("SELECT plan_text FROM features")
    database.close()
    assert "Part 1" in str(text)
    assert json.dumps(shown(adw, "login.1")["checklist"])


def test_a_worktree_in_the_making_keeps_no_feature_from_being_added(adw: Adw) -> None:
    adw("create", "mine")
    (adw.directory / ".git" / "worktrees" / "mine" / "HEAD").write_text("1234567890" * 4 + "\n")
    adw("feature", "add", str(write_feature(adw, "x", phase(1))))

"""The API does what the command line does, and says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adw_worktree.board.contents import documents as told
from adw_worktree.documents.phases import CallRow
from adw_worktree.documents.plans import CheckRow
from tests.support.board import BoardProcess
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw
from tests.support.features import (
    COMMIT,
    phase,
    start,
    state_dir,
    until,
    until_there,
    work,
    write_feature,
)
from tests.support.scripted_agent import scripted

PLAN = (CHECKOUT / "tests" / "whole" / "examples" / "login.md").read_text()


def add_plan(board: BoardProcess, text: str = PLAN) -> dict[str, Any]:
    """Add the feature of a plan."""
    added = board.post("/planned-features", {"plan": {"name": "login.md", "text": text}}, 201)
    told.FeatureDetail.model_validate(added)
    assert isinstance(added, dict)
    return added


def test_a_plan_is_checked_by_line(board: BoardProcess) -> None:
    good = board.post("/plans/check", {"name": "login.md", "text": PLAN})
    told.CheckedPlan.model_validate(good)
    assert (good["errors"], good["slug"]) == (0, "login")
    assert good["phases"][0]["depends_on_phases"] == []
    broken = PLAN.replace("Dependencies**: Task 1", "Dependencies**: Task 77")
    number = next(i for i, line in enumerate(broken.split("\n"), 1) if "Task 77" in line)
    bad = board.post("/plans/check", {"name": "x.md", "text": broken})
    assert bad["errors"] > 0
    assert bad["slug"] is None
    assert number in [one["line"] for one in bad["findings"] if one["level"] == "error"]


def test_a_plan_is_added_approved_and_started(
    board: BoardProcess, adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_feature(adw, "one", phase(1)).read_text()
    assert board.post("/plans/check", {"name": "one.md", "text": text})["errors"] > 0
    adw("feature", "add", str(write_feature(adw, "one", phase(1))))
    [row] = board.get("/planned-features?state=added")["items"]
    asks = board.post(f"/planned-features/{row['feature_id']}/execute", {}, 409)
    told.Asked.model_validate(asks)
    assert any("git commit" in line for line in asks["asks"])
    assert adw.json("feature", "show", "one")["feature"]["status"] == "added"
    wrong = {"approve": "0" * 64}
    board.post(f"/planned-features/{row['feature_id']}/execute", wrong, 409)
    right = {"approve": asks["digest"]}
    started = board.post(f"/planned-features/{row['feature_id']}/execute", right)
    told.FeatureDetail.model_validate(started)
    until(adw, "one.1", "completed")
    board.post("/planned-features/one/execute", right, 409)


def test_a_feature_of_a_plan_is_as_the_command_line_adds_it(
    board: BoardProcess, adw: Adw, repo: Path
) -> None:
    scripted(adw, "claude", COMMIT)
    added = add_plan(board)
    shown = adw.json("feature", "show", "login")
    assert added["feature"] == shown["feature"]
    assert [one["title"] for one in added["phases"]] == [one["title"] for one in shown["phases"]]
    again = board.post("/planned-features", {"plan": {"name": "login.md", "text": PLAN}}, 409)
    assert again["error"]["code"] == "feature-exists"
    bad = {"plan": {"name": "login.md", "text": "# nothing"}}
    assert board.post("/planned-features", bad, 422)["error"]["code"] == "plan-invalid"


def test_phases_are_steered(board: BoardProcess, adw: Adw, tmp_path: Path) -> None:
    start(adw, "x", phase(1, f"echo printed; touch {tmp_path}/there; sleep 60"), phase(2))
    until_there(tmp_path / "there")
    [first, second] = board.get("/queue?feature=x")["items"]
    paused = board.post(f"/queue/{first['queue_id']}/pause")
    told.QueueRow.model_validate(paused)
    assert paused["status"] == "paused"
    board.post("/queue/x.1/pause")
    board.post("/queue/x.1/resume")
    board.post("/queue/x.1/cancel")
    until(adw, "x.1", "cancelled")
    assert board.post("/queue/x.1/approve", None, 409)["error"]["code"] == "phase-not-in-state"
    work(adw)
    detail = board.get(f"/queue/{second['queue_id']}")
    told.PhaseDetail.model_validate(detail)
    assert detail["phase"]["status"] == "completed"
    assert board.get("/queue/x.2/diff")["patch"].startswith("diff --git")
    told.LogPart.model_validate(board.get("/queue/x.2/log"))
    for row in board.get("/queue/x.2/calls"):
        CallRow.model_validate(row)
    for row in board.get("/queue/x.2/checklist"):
        CheckRow.model_validate(row)


def test_a_feature_is_steered(board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    assert board.post("/planned-features/x/pause")["feature"]["status"] == "paused"
    assert board.post("/planned-features/x/resume")["feature"]["status"] == "running"
    answer = board.request("PATCH", "/api/v1/planned-features/x", {"priority": 7})
    assert answer.json()["feature"]["priority"] == 7
    assert (
        board.request("PATCH", "/api/v1/planned-features/x", {"priority": 101}).status_code == 422
    )
    deleted = board.request("DELETE", "/api/v1/planned-features/x")
    assert deleted.json()["feature"]["status"] == "cancelled"


def test_lists_come_in_parts_and_by_filters(board: BoardProcess, adw: Adw, repo: Path) -> None:
    for number in range(5):
        adw("feature", "add", str(write_feature(adw, f"f{number}", phase(1), phase(2))))
    start(adw, "run", phase(1, "sleep 60"))
    found, cursor = [], ""
    while True:
        part = board.get(f"/planned-features?limit=2{cursor}")
        told.FeaturePage.model_validate(part)
        assert len(part["items"]) <= 2
        found += [one["slug"] for one in part["items"]]
        if part["next"] is None:
            break
        cursor = f"&cursor={part['next']}"
    assert found == ["run", "f4", "f3", "f2", "f1", "f0"]
    running = board.get("/planned-features?state=running")["items"]
    assert [one["slug"] for one in running] == ["run"]
    assert board.get(f"/planned-features?repository={repo}&limit=1")["next"] is not None
    assert board.get("/planned-features?repository=/elsewhere")["items"] == []
    queue = board.get("/queue?limit=3")
    told.QueuePage.model_validate(queue)
    rest = board.get(f"/queue?limit=100&cursor={queue['next']}")
    names = [one["name"] for one in [*queue["items"], *rest["items"]]]
    assert names == sorted(set(names), key=names.index)
    assert len(names) == 11
    until(adw, "run.1", "running")
    assert [one["name"] for one in board.get("/queue?state=running")["items"]] == ["run.1"]
    assert [one["name"] for one in board.get("/queue?feature=f2")["items"]] == ["f2.1", "f2.2"]
    first = board.get("/events?limit=3")
    told.EventPage.model_validate(first)
    assert [one["id"] for one in first["items"]] == [1, 2, 3]
    assert board.get(f"/events?after={first['next']}&limit=1")["items"][0]["id"] == 4


WRONG: dict[str, tuple[str, str, object, int]] = {
    "no such feature": ("GET", "/planned-features/nothing", None, 404),
    "no such phase": ("GET", "/queue/nothing.1", None, 404),
    "no such id": ("GET", "/queue/999999", None, 404),
    "an id that no database can count": ("GET", "/queue/" + "9" * 30, None, 404),
    "no such address": ("GET", "/nothing", None, 404),
    "no such method": ("DELETE", "/queue", None, 405),
    "no cursor": ("GET", "/queue?cursor=x", None, 422),
    "no limit": ("GET", "/queue?limit=0", None, 422),
    "too large a limit": ("GET", "/queue?limit=1001", None, 422),
    "no state": ("GET", "/queue?state=asleep", None, 422),
    "no plan": ("POST", "/planned-features", {}, 422),
    "more than is known": ("POST", "/plans/check", {"name": "a.md", "text": "", "x": 1}, 422),
    "a name with a path": ("POST", "/plans/check", {"name": "../a.md", "text": ""}, 422),
    "a plan that is a list": ("POST", "/plans/check", [], 422),
    "another repository": (
        "POST",
        "/planned-features",
        {"plan": {"name": "login.md", "text": PLAN}, "repository": "/etc"},
        404,
    ),
    "a log with a path": ("GET", "/queue/x.1/log?log=../end.json", None, 422),
    "a log that is none": ("GET", "/queue/x.1/log?log=01-nothing.log", None, 404),
    "another attempt": ("GET", f"/queue/x.1/log?attempt={'0' * 32}", None, 404),
    "an empty comment": ("POST", "/queue/x.1/reject", {"message": "  "}, 422),
    "no budget": ("POST", "/queue/x.1/retry", {"budget_usd": -1}, 422),
}


def test_what_is_wrong_is_said(board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1))
    work(adw)
    for what, (method, path, body, code) in WRONG.items():
        answer = board.request(method, f"/api/v1{path}", body)
        assert answer.status_code == code, (what, answer.text)
        error = told.Refusal.model_validate(answer.json()).error
        assert error.message, what
        assert error.hint, what
        assert "Traceback" not in answer.text, what


def test_slots_are_shown(board: BoardProcess, adw: Adw) -> None:
    adw("create", "mine", "--slot", "3")
    pool = board.get("/slots")
    told.Slots.model_validate(pool)
    [held] = pool["held"]
    assert (held["slot"], held["adw_id"], held["state"]) == (3, "mine", "active")
    assert pool["allocated"] + pool["available"] + len(pool["blocked"]) == pool["total"]


@pytest.mark.file_store
def test_a_store_that_cannot_be_used_is_said_and_kept(board: BoardProcess) -> None:
    board.get("/home")
    file = state_dir() / "phases" / "phases.db"
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).unlink(missing_ok=True)
    file.write_bytes(b"this is no database, and long enough to be seen as none" * 40)
    before = file.read_bytes()
    answer = board.request("GET", "/api/v1/queue")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "store"
    assert board.request("GET", "/health").status_code == 503
    assert file.read_bytes() == before


def test_figures_are_for_prometheus(board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1), phase(2, "exit 1", attempts=1))
    work(adw)
    with board.following() as following:
        following.next()
        answer = board.request("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["adw_featuresrunning"] == 1
    assert (found["adw_phasescompleted"], found["adw_phasesfailed"]) == (1, 1)
    assert found["adw_phases_running_limit"] == 3
    assert found["adw_board_followers"] == 1
    assert found["adw_events_total"] > 5


def test_each_request_is_a_line_of_json(adw: Adw) -> None:
    board = BoardProcess(adw, "--log-json")
    board.get("/home")
    board.get("/queue/nothing.1", 404)
    lines = [json.loads(line) for line in board.end().splitlines() if line.startswith("{")]
    requests = [one for one in lines if one["message"] == "request"]
    assert [(one["path"], one["status"]) for one in requests] == [
        ("/api/v1/home", 200),
        ("/api/v1/queue/nothing.1", 404),
    ]
    assert all(one["at"] and one["level"] == "info" and one["ms"] >= 0 for one in requests)
    assert board.token not in json.dumps(lines)

"""What drove the older system drives this one: from a wish to merged work by its requests."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from adw_worktree.orchestration.running.webhook import Message, signed
from adw_worktree.orchestration.runs import drafts
from tests.support.board import BoardProcess
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw
from tests.support.features import (
    kill_all,
    phase,
    start,
    state_dir,
    statuses,
    store,
    until,
    work,
)
from tests.support.machine import settle
from tests.support.repositories import git
from tests.support.scripted_agent import scripted

PLAN = CHECKOUT / "tests" / "whole" / "examples" / "login.md"
_WORKS = "echo work >>$ADW_ID; git add $ADW_ID; git commit -qm work; sleep 4"
_LIMIT = 2


def report(board: BoardProcess, row: dict[str, Any], status: str = "completed", code: int = 200,
           **more: Any) -> Any:  # fmt: skip
    """Report on a phase as a workflow does, with the token."""
    names = ("queue_id", "feature_id", "phase_number", "adw_id")
    body = {**{name: row[name] for name in names}, "status": status, **more}
    answer = board.request("POST", "/workflow-complete", body)
    assert answer.status_code == code, answer.text
    return answer.json()


def test_a_wish_becomes_merged_work_by_the_requests_of_the_older_system(
    board: BoardProcess, adw: Adw
) -> None:
    (adw.directory.parent / "draft.md").write_text(PLAN.read_text())
    scripted(adw, "claude", f"cp {adw.directory.parent}/draft.md plans/log-in.md", last=_WORKS)
    wish = {"title": "Log in", "description": "People log in with name and password."}
    with board.following() as following:
        following.next()
        added = board.post("/planned-features", wish, 201)
        number = added["feature"]["feature_id"]
        assert added["phases"] == []
        board.post(f"/planned-features/{number}/execute", {}, 409)
        generating = board.post(f"/planned-features/{number}/generate-implementation", None, 202)
        assert generating["feature"]["drafting"] == "running"
        following.until(lambda one: one["data"].get("event", {}).get("kind") == "feature.planned")
        planned = board.get(f"/planned-features/{number}")
        assert (planned["feature"]["drafting"], len(planned["phases"])) == (None, 3)
        board.post(f"/planned-features/{number}/generate-implementation", None, 409)
        adw("feature", "list")
        asks = board.post(f"/planned-features/{number}/execute", {}, 409)
        limited(board)
        started = {"approve": asks["digest"]}
        board.post(f"/planned-features/{number}/execute", started)
        reported: set[int] = set()
        while len(reported) < 3:
            running = board.get("/queue?state=running")["items"]
            assert len(running) <= _LIMIT
            for row in running:
                if row["queue_id"] not in reported and _works(adw, row["name"]):
                    assert report(board, row)["changed"]
                    assert not report(board, row)["changed"], "the same report twice is one"
                    reported.add(row["queue_id"])
        following.until(lambda one: one["type"] == "workflow_completed")
    work(adw)
    assert set(statuses(adw, "log-in").values()) == {"completed"}


def limited(board: BoardProcess) -> None:
    """Let no more run at once."""
    from adw_worktree.orchestration.store.steering import set_limit
    from tests.support.features import store

    database = store()
    set_limit(database, _LIMIT)
    database.close()


def _works(adw: Adw, name: str) -> bool:
    """Return whether the agent of a phase has made its commit, and waits."""
    shown = adw.json("phase", "show", name)
    place, adw_id = shown["attempts"][-1]["worktree"], shown["phase"]["adw_id"]
    if place is None or not Path(place, adw_id).exists():
        return False
    return "work" in git("log", "-1", "--format=%s", "--", adw_id, cwd=Path(place))


def test_reports_that_are_not_right_are_refused(board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"), phase(2, "true", needs=[1], changes="none"))
    until(adw, "x.1", "running")
    [first, second] = board.get("/queue?feature=x")["items"]
    report(board, {**first, "adw_id": "another"}, code=409)
    report(board, {**first, "phase_number": 2}, code=409)
    report(board, {**first, "feature_id": 99}, code=409)
    report(board, {**first, "queue_id": 99}, code=404)
    report(board, first, "finished", 422)
    report(board, first, code=422, unknown=1)
    report(board, second, code=409)
    assert statuses(adw, "x") == {1: "running", 2: "queued"}
    failed = report(board, first, "failed", error_message="no such table")
    assert failed["changed"]
    until(adw, "x.1", "failed")
    assert not report(board, first, "failed")["changed"]
    report(board, first, code=409)
    row = board.get("/queue/x.1")["phase"]
    assert "no such table" in row["error_message"]
    assert statuses(adw, "x")[2] == "blocked"


def test_a_stranger_s_report_has_to_be_signed(board: BoardProcess, adw: Adw) -> None:
    secret = adw.json("board", "hook-secret")["secret"]
    start(adw, "x", phase(1, "sleep 60"))
    until(adw, "x.1", "running")
    [row] = board.get("/queue?feature=x")["items"]
    names = ("queue_id", "feature_id", "phase_number", "adw_id")
    body = json.dumps({**{name: row[name] for name in names}, "status": "completed"}).encode()
    now = int(time.time())
    message = Message(uuid.uuid4().hex, body)
    wrong = {
        "none": {"A": "b"},
        "empty": {**signed(message, now, secret), "webhook-signature": ""},
        "another secret": signed(message, now, "whsec_AAAA"),
        "old": signed(message, now - 330, secret),
        "early": signed(message, now + 330, secret),
        "another time": {**signed(message, now, secret), "webhook-timestamp": str(now - 1)},
        "another body": signed(Message(message.id, body + b" "), now, secret),
        "no time": {**signed(message, now, secret), "webhook-timestamp": "soon"},
    }
    for what, headers in wrong.items():
        assert board.send("/workflow-complete", body, headers) == 401, what
        assert board.send("/api/v1/queue/x.1/cancel", body, headers) == 401, what
    assert statuses(adw, "x") == {1: "running"}
    right = signed(message, now, secret)
    assert board.send("/api/v1/queue/x.1/cancel", body, right) == 401
    assert board.send("/workflow-complete", body, right) == 200
    settle(lambda: statuses(adw, "x")[1] != "running", "it goes on")


def test_a_draft_that_fails_is_told_and_can_be_repeated(board: BoardProcess, adw: Adw) -> None:
    draft = adw.directory.parent / "draft.md"
    draft.write_text(PLAN.read_text())
    agent = scripted(adw, "claude", "exit 1", f"cp {draft} plans/log-in-2.md")
    number = board.post("/planned-features", {"title": "Log in"}, 201)["feature"]["feature_id"]
    adw("feature", "draft", "log-in", code=9)
    row = board.get(f"/planned-features/{number}")["feature"]
    assert row["drafting"].startswith("failed: ")
    adw("feature", "draft", "log-in")
    assert agent.calls == 2
    shown = adw.json("feature", "show", "log-in")
    assert (shown["feature"]["drafting"], len(shown["phases"])) == (None, 3)
    assert adw("feature", "draft", "log-in", code=7).stderr


def test_a_plan_is_drafted_once_at_a_time_and_again_after_a_kill(
    board: BoardProcess, adw: Adw
) -> None:
    draft = adw.directory.parent / "draft.md"
    draft.write_text(PLAN.read_text())
    scripted(adw, "claude", "sleep 60", f"cp {draft} plans/log-in-2.md")
    board.post("/planned-features", {"title": "Log in"}, 201)
    process = adw.start("feature", "draft", "log-in", quiet=True)
    settle(lambda: (adw.directory.parent / "agent-claude" / "call-1" / "prompt").exists(), "none")
    answer = board.request("POST", "/api/v1/planned-features/log-in/generate-implementation")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    process.kill()
    process.wait()
    kill_all()
    adw("feature", "draft", "log-in")
    assert len(adw.json("feature", "show", "log-in")["phases"]) == 3


@pytest.mark.parametrize("title", ["", " ", "日本", "x" * 201, "a\nb", "a\u0000b"])
def test_a_title_that_is_none_is_refused(board: BoardProcess, title: str) -> None:
    board.post("/planned-features", {"title": title}, 422)
    board.post("/planned-features", {"title": "A", "plan": {"name": "a.md", "text": ""}}, 422)


def test_a_draft_whose_process_was_killed_is_noted(
    board: BoardProcess, adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(adw, "claude", last="sleep 60")
    board.post("/planned-features", {"title": "Log in"}, 201)
    board.post("/planned-features/log-in/generate-implementation", None, 202)
    locks = state_dir() / "phases" / "drafts"
    settle(lambda: bool(holders(locks)), "nobody drafts")
    board.get("/planned-features/log-in")
    for process in holders(locks):
        process.kill()
    assert board.get("/planned-features/log-in")["feature"]["drafting"] == "running", "not yet"
    monkeypatch.setattr(drafts, "_BEGINNING_SECONDS", 0.0)

    def noted() -> str | None:
        """Look for drafts that nobody makes; the killed one holds its lock for a moment yet."""
        database = store()
        drafts.note_interrupted(database, state_dir())
        database.close()
        found: str | None = board.get("/planned-features/log-in")["feature"]["drafting"]
        return found

    settle(lambda: noted() == "failed: it was interrupted", "not noted")
    board.post("/planned-features/log-in/generate-implementation", None, 202)


def holders(directory: Path) -> list[psutil.Process]:
    """Return the processes that have a file of a directory open."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(Path(one.path).parent == directory for one in process.open_files()):
                found.append(process)
    return found

"""Phases have their issues on GitHub, once each, whatever that does; no phase waits for it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from adw_worktree.orchestration.runs.issue_file import issue_file
from tests.support.command_line import Adw
from tests.support.features import (
    kill_all,
    nothing_is_left,
    only,
    phase,
    processes,
    prompted,
    shown,
    start,
    state_dir,
    statuses,
    store,
    work,
    write_feature,
)
from tests.support.forge import PLACE, TOKEN, Forge, Trouble, serving
from tests.support.machine import settle
from tests.support.receiver import Receiver, receiving
from tests.support.repositories import git
from tests.support.scripted_agent import COMMIT, add_settings, result, scripted

pytestmark = pytest.mark.file_store

BUILDS = f"{COMMIT}; {result('I told @everyone that ``` is `done`')}"


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test leaves running."""
    yield
    kill_all()


@pytest.fixture
def forge(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """Return a forge that has the repository and its issues, and whose token the user has."""
    forge = Forge()
    git("remote", "add", "origin", "git@github.com:acme/app.git", cwd=repo)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    with serving(forge):
        add_settings("", issues="github", github_url=forge.address)
        yield forge


def events(adw: Adw, kind: str, name: str = "x.1") -> list[dict[str, Any]]:
    """Return what the phase's events of a kind say."""
    return [one["data"] for one in shown(adw, name)["events"] if one["kind"] == kind]


def log() -> str:
    return (state_dir() / "phases" / "deliveries.log").read_text()


def deliver_now() -> None:
    """Let what is to be tried again later be tried now."""
    database = store()
    database.execute("UPDATE deliveries SET next_at = NULL")
    database.close()


def told(adw: Adw) -> None:
    """Wait until all events have been delivered or given up."""
    adw("list")
    database = store()
    undelivered = "SELECT 1 FROM deliveries WHERE pending = 1"
    settle(lambda: not database.execute(undelivered), "events are left")
    database.close()


def test_an_issue_is_there_while_its_phase_runs_and_closed_with_it(
    adw: Adw, forge: Forge, tmp_path: Path
) -> None:
    scripted(adw, "one", f"touch {tmp_path}/begun; until [ -e {tmp_path}/go ]; do sleep 0.05; done;"
             f" {BUILDS}", reads="claude")  # fmt: skip
    file = write_feature(adw, "x", only("one"), phase(2, "true", changes="none"))
    assert "becomes an issue on GitHub" in adw("feature", "start", str(file), "--yes").stderr
    settle(lambda: forge.issues != [], "the issue never comes")
    [issue] = forge.issues
    assert (issue["title"], issue["state"]) == ("x.1: Phase 1", "open")
    assert issue["labels"] == ["feature-1", "phase-1"]
    file = issue_file(state_dir(), 1, 1)
    mark, _, text = issue["body"].partition("\n")
    assert mark.startswith("<!-- adw-worktree ")
    assert text == file.read_text()
    assert "Do part 1." in text
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file.parents[1], file.parent, file)] == [
        0o700, 0o700, 0o600,
    ]  # fmt: skip
    (tmp_path / "go").touch()
    work(adw)
    told(adw)
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    [words] = forge.words(1)
    assert words.startswith("**Completed** in attempt 1, at commit ")
    assert words.endswith("````text\nI told @everyone that ``` is `done`\n````")
    assert shown(adw, "x.1")["phase"]["issue_number"] == 1
    assert shown(adw, "x.2")["phase"]["issue_number"] is None  # nobody gets its issue
    assert events(adw, "issue.created") == [{"number": 1, "url": issue["html_url"]}]
    assert adw.json("feature", "show", "x")["feature"]["issues"] == "github"


@pytest.mark.thorough
def test_the_token_is_nowhere_but_in_the_header(adw: Adw, forge: Forge) -> None:
    forge.troubles = [Trouble(500, body=b'{"message": "' + TOKEN.encode() + b'"}')]
    forge.answers.clear()
    scripted(adw, "one", BUILDS, reads="claude")
    start(adw, "x", only("one"))
    settle(lambda: forge.requests != [], "GitHub hears nothing")
    assert not [one for one in processes() if TOKEN in " ".join(_words(one))]
    forge.answers.set()
    work(adw)
    assert "answered 500 (***)" in log()
    deliver_now()
    told(adw)
    assert forge.issues[0]["state"] == "closed"
    files = [path for path in state_dir().rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.thorough
def test_a_phase_that_is_repeated_goes_on_in_its_issue(adw: Adw, forge: Forge) -> None:
    scripted(adw, "one", "exit 1", COMMIT)
    start(adw, "x", only("one"), prompted(2, 1, agents=["one"]))
    work(adw)
    told(adw)
    assert [one["state"] for one in forge.issues] == ["open"]
    assert forge.words(1)[0].startswith("**Failed** in attempt 1 (agent-error).\n\n```text\n")
    adw("phase", "cancel", "x.1")
    told(adw)
    assert forge.issues[0]["state_reason"] == "not_planned"
    assert forge.words(1)[1] == "**Cancelled**."
    adw("phase", "retry", "x.1")
    work(adw)
    told(adw)
    assert statuses(adw, "x")[1] == "completed"
    assert forge.words(1)[2] == "Begun again: attempt 2."
    assert forge.words(1)[3].startswith("**Completed** in attempt 2, at commit ")
    assert [one["state"] for one in forge.issues[:1]] == ["closed"]
    assert [one["title"] for one in forge.issues] == ["x.1: Phase 1", "x.2: Phase 2"]


@pytest.mark.thorough
def test_a_forge_that_is_down_holds_up_nothing_and_gets_all_later(
    adw: Adw, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Forge()
    with serving(gone):
        pass
    git("remote", "add", "origin", "https://github.com/acme/app", cwd=repo)
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    add_settings("", github_url=gone.address)
    scripted(adw, "one", BUILDS, reads="claude")
    file = write_feature(adw, "x", only("one"), issues="github")
    adw("feature", "start", str(file), "--yes", "--wait")
    assert statuses(adw, "x") == {1: "completed"}
    with serving(gone):
        settle(lambda: [one["state"] for one in gone.issues] == ["closed"], "it never comes")
        settle(nothing_is_left, "the coordinator stays")


@pytest.mark.thorough
def test_a_forge_that_says_nothing_holds_up_no_phase_and_nobody_else_who_is_told(
    adw: Adw, forge: Forge
) -> None:
    receiver = Receiver()
    with receiving(receiver):
        add_settings("", notify_url=receiver.address)
        forge.answers.clear()
        scripted(adw, "one", last=BUILDS, reads="claude")
        start(adw, "x", only("one"), prompted(2, 1, agents=["one"]))
        settle(lambda: receiver.kinds[-1:] == ["feature.completed"], "it is never over")
        assert forge.issues == []
        forge.answers.set()
        deliver_now()
        told(adw)
        assert [one["state"] for one in forge.issues] == ["closed", "closed"]


@pytest.mark.thorough
def test_a_limit_is_waited_for(adw: Adw, forge: Forge) -> None:
    forge.troubles = [Trouble(403, {"Retry-After": "3600"})]
    scripted(adw, "one", BUILDS, reads="claude")
    start(adw, "x", only("one"))
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    database = store()
    [[at, next_at]] = database.execute(
        "SELECT e.at, d.next_at FROM deliveries d JOIN events e ON e.kind = 'phase.issue'"
        " WHERE d.way = 'github'"
    )
    database.close()
    pause = datetime.fromisoformat(str(next_at)) - datetime.fromisoformat(str(at))
    assert pause >= timedelta(hours=1)
    assert len(forge.requests) == 1
    deliver_now()
    told(adw)
    assert forge.issues[0]["state"] == "closed"


@pytest.mark.thorough
def test_what_github_refuses_is_given_up_and_told_once(adw: Adw, forge: Forge) -> None:
    """A person turns issues off, say: there is no issue, and the work goes on."""
    forge.troubles = [Trouble(410, body=b'{"message": "Issues are disabled"}')]
    scripted(adw, "one", BUILDS, reads="claude")
    start(adw, "x", only("one"))
    work(adw)
    told(adw)
    settle(nothing_is_left, "the coordinator stays")
    assert statuses(adw, "x") == {1: "completed"}
    [failed] = events(adw, "issue.failed")
    assert failed["kind"] == "phase.issue"
    assert "answered 410 (Issues are disabled)" in failed["message"]
    assert "it is given up" in log()
    assert len(forge.requests) == 1
    assert forge.issues == []


@pytest.mark.thorough
def test_what_was_done_though_github_said_otherwise_is_not_done_again(
    adw: Adw, forge: Forge
) -> None:
    """An answer that is lost on its way: the issue is there, the comment is, and we do not know."""
    lost = Trouble(502, is_done=True)
    forge.troubles = [None, lost, None, None, lost]
    scripted(adw, "one", BUILDS, reads="claude")
    start(adw, "x", only("one"))
    settle(lambda: [one["state"] for one in forge.issues] == ["closed"], "it is never closed")
    assert forge.changes == ["POST", "POST", "PATCH"]
    assert len(forge.words(1)) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("point", ["issue.created", "issue.commented"])
def test_killed_before_it_is_noted_nothing_is_there_twice(
    adw: Adw, forge: Forge, point: str
) -> None:
    forge.drops_labels = True
    scripted(adw, "one", BUILDS, reads="claude")
    file = write_feature(adw, "x", only("one"))
    adw("feature", "start", str(file), "--yes", ADW_FAULT=f"{point}=kill")
    many = 1 if point == "issue.created" else 2
    settle(lambda: len(forge.changes) == many, "it never comes that far")
    work(adw)
    told(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert forge.changes == ["POST", "POST", "PATCH"]
    assert forge.issues[0]["state"] == "closed"
    path = PLACE if point == "issue.created" else f"{PLACE}/1/comments"
    looked = [one for one in forge.requests if (one.method, one.path) == ("GET", path)]
    assert len(looked) == 2  # else it was not killed there


def test_an_issue_that_cannot_be_written_stops_no_phase_and_is_told(adw: Adw, forge: Forge) -> None:
    scripted(adw, "one", BUILDS, reads="claude")
    adw("list")
    state_dir().mkdir(parents=True, exist_ok=True)
    (state_dir() / "issues").write_text("in the way")
    start(adw, "x", only("one"))
    work(adw)
    told(adw)
    assert statuses(adw, "x") == {1: "completed"}
    [noted] = events(adw, "phase.issue")
    assert "cannot be written: " in noted["error"]
    assert "cannot be written: " in events(adw, "issue.failed")[0]["message"]
    assert forge.requests == []


# ---- before it starts --------------------------------------------------------------------------


def test_without_a_token_or_a_repository_nothing_is_started(
    adw: Adw, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(adw, "one", BUILDS)
    file = str(write_feature(adw, "x", only("one"), issues="github"))
    assert "there is no origin" in adw("feature", "start", file, "--yes", code=3).stderr
    git("remote", "add", "origin", "https://me:word@git.acme.org/acme/app", cwd=repo)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    refused = adw("feature", "start", file, "--yes", code=3).stderr
    assert "need a token for git.acme.org, and gh has none" in refused
    assert "hint: gh auth login --hostname git.acme.org" in refused
    assert "word" not in refused
    assert adw.json("feature", "list")["features"] == []


def test_issues_on_github_are_approved_like_commands(adw: Adw, forge: Forge) -> None:
    scripted(adw, "one", BUILDS)
    file = str(write_feature(adw, "x", only("one"), issues="file"))
    adw("feature", "start", file, "--yes")
    work(adw)
    assert forge.requests == []
    assert issue_file(state_dir(), 1, 1).exists()
    write_feature(adw, "x", only("one"), issues="github")
    assert "nobody has approved" in adw("feature", "start", file, code=9).stderr


def test_a_repository_does_not_say_where_the_token_goes(adw: Adw, repo: Path) -> None:
    (repo / "adw-worktree.toml").write_text('github_url = "https://evil.example"\n')
    assert "github_url is not for a repository to set" in adw("list", code=3).stderr


@pytest.mark.parametrize(
    "address",
    ["http://git.acme.org/api/v3", "https://me:word@h/", "https://h/?a", "git.acme.org", "ftp://h"],
)
def test_an_api_that_would_give_the_token_away_is_refused(adw: Adw, address: str) -> None:
    add_settings("", github_url=address)
    assert "github_url must" in adw("list", code=3).stderr


def test_issues_take_two_words(adw: Adw) -> None:
    assert "issues must be one of file, github" in adw("list", code=3, ADW_ISSUES="gitlab").stderr

"""A feature is looked at again after it has landed; what is found becomes a phase, and nothing is
reverted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.orchestration.gates.addresses import check_address
from tests.support.command_line import Adw
from tests.support.features import (
    kill_all,
    nothing_is_left,
    only,
    phase,
    start,
    statuses,
    work,
)
from tests.support.free_ports import own_block
from tests.support.machine import settle
from tests.support.repositories import git, worktrees
from tests.support.scripted_agent import ScriptedAgent, add_settings, scripted

Serve = Callable[[Sequence[str], Path], subprocess.Popen[bytes]]
WORK = "echo $ADW_PHASE >>$ADW_ID; git add -A; git commit -qm work"


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test leaves running."""
    yield
    kill_all()


def verify(adw: Adw, *scripts: str, last: str = WORK, **terms: Any) -> ScriptedAgent:
    """Start a feature that is verified as soon as it has landed; let all be done."""
    agent = scripted(adw, "one", *scripts, last=last)
    add_settings("[stages.verify]", **{"delay": 0.1, **terms})
    start(adw, "x", only("one"), land="merge")
    work(adw)
    return agent


def verified(adw: Adw) -> str:
    """Return what came of it."""
    return str(adw.json("feature", "show", "x")["feature"]["verified"])


def test_what_passes_is_over(adw: Adw, repo: Path) -> None:
    (repo.parent / "there").touch()
    verify(adw, run=[f"test -f {repo.parent}/there", "git log -1 --format=%s | grep work"])
    assert verified(adw) == "passed"
    assert statuses(adw, "x") == {1: "completed"}
    assert worktrees(repo) == [str(repo)]
    assert "verify: passed" in adw("feature", "show", "x").stdout


def test_a_failure_reverts_nothing_and_becomes_a_phase_with_the_evidence(
    adw: Adw, repo: Path
) -> None:
    agent = verify(adw, WORK, f"touch fixed; {WORK}", run="test -f fixed || { echo OOPS; exit 3; }")
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}
    assert verified(adw) == "passed"
    assert "exit status 3" in agent.prompt(2) and "OOPS" in agent.prompt(2)
    subjects = git("log", "--format=%s", "main", cwd=repo).split("\n")
    assert subjects.count("work") == 2
    assert "fixed" in git("ls-tree", "--name-only", "main", cwd=repo)


@pytest.mark.thorough
def test_follow_ups_come_to_an_end(adw: Adw) -> None:
    agent = verify(adw, run="exit 1", rounds=2)
    assert statuses(adw, "x") == dict.fromkeys((1, 2, 3), "completed")
    assert agent.calls == 3
    assert verified(adw).startswith("failed: `exit 1` failed with exit status 1")
    assert "verify: failed" in adw("feature", "show", "x").stdout


@pytest.mark.thorough
def test_only_new_errors_of_a_log_count(adw: Adw, repo: Path) -> None:
    log = repo.parent / "app.log"
    log.write_text("ERROR old\n")
    verify(adw, logs=str(log), delay=1.0)
    assert verified(adw) == "passed"


@pytest.mark.thorough
def test_a_new_error_in_a_log_is_found_after_it_was_rotated_too(adw: Adw, repo: Path) -> None:
    log = repo.parent / "app.log"
    log.write_text("fine\n" * 100)
    rotate = f"mv {log} {log}.1; echo 'ERROR of today' >{log}"
    agent = verify(adw, run=rotate, logs=str(log), rounds=1)
    assert "ERROR of today" in agent.prompt(2)


@pytest.mark.thorough
def test_an_address_that_does_not_answer_is_found(adw: Adw, repo: Path, serve: Serve) -> None:
    (repo.parent / "page").touch()
    port = own_block() + 900
    serve([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], repo.parent)
    here = f"http://127.0.0.1:{port}"
    settle(lambda: check_address(here).verdict == "pass", "no server")
    agent = verify(adw, urls=[f"{here}/page", f"{here}/none", "http://127.0.0.1:9/"], rounds=1)
    assert f"pass: {here}/page answers 200" in agent.prompt(2)
    assert f"fail: {here}/none answers 404" in agent.prompt(2)
    assert "fail: http://127.0.0.1:9/ does not answer" in agent.prompt(2)


@pytest.mark.thorough
def test_commands_alone_have_nobody_to_follow_up(adw: Adw) -> None:
    add_settings("[stages.verify]", run="exit 1", delay=0.1)
    start(adw, "x", phase(1), land="merge")
    work(adw)
    assert statuses(adw, "x") == {1: "completed"}
    assert verified(adw).startswith("failed")


@pytest.mark.thorough
def test_a_feature_that_a_person_finishes_is_verified_too(adw: Adw) -> None:
    scripted(adw, "one", last=WORK)
    add_settings("[stages.verify]", run="true", delay=0.1)
    start(adw, "x", only("one"))
    work(adw)
    assert adw.json("feature", "show", "x")["feature"]["verify_at"] is None
    adw("feature", "finish", "x")
    work(adw)
    assert verified(adw) == "passed"


@pytest.mark.thorough
def test_killed_in_between_it_is_verified_once_more_and_followed_up_once(adw: Adw) -> None:
    agent = scripted(adw, "one", WORK, last=f"touch fixed; {WORK}")
    add_settings("[stages.verify]", run="test -f fixed", delay=0.1)
    from tests.support.features import write_feature

    file = write_feature(adw, "x", only("one"), land="merge")
    adw("feature", "start", str(file), "--yes", ADW_FAULT="verify.looked:1=kill")
    settle(lambda: adw.json("feature", "show", "x")["feature"]["landing"] == "landed", "no landing")
    kill_all()
    work(adw)
    settle(nothing_is_left, "something is left")
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}
    assert agent.calls == 2
    assert verified(adw) == "passed"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "nothing to look at"),
        ({"urls": ["ftp://x"]}, "stages.verify.urls"),
        ({"run": "true", "errors": "("}, "no regular expression"),
        ({"run": "true", "colour": "red"}, "stages.verify.colour"),
    ],
)
def test_a_verification_that_cannot_be_is_said_before_anything_starts(
    adw: Adw, values: dict[str, Any], said: str
) -> None:
    scripted(adw, "one", last=WORK)
    add_settings("[stages.verify]", **values)
    from tests.support.features import write_feature

    file = write_feature(adw, "x", only("one"))
    assert said in adw("feature", "start", str(file), "--yes", code=None).stderr
    assert adw.json("feature", "list")["features"] == []

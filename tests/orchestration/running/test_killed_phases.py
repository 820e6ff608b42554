"""Every process of phases killed, at each step and at random: no phase twice at once, none lost."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adw_worktree.system.faults import PHASE_POINTS
from tests.support.command_line import Adw
from tests.support.features import (
    COMMIT,
    assert_over,
    kill,
    kill_all,
    ours,
    phase,
    processes,
    reasons,
    shown,
    start,
    statuses,
    until_there,
    work,
    write_feature,
)
from tests.support.machine import settle
from tests.support.repositories import branches, git, worktrees
from tests.support.scripted_agent import add_settings, scripted
from tests.support.stress_size import count, stress_size


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test leaves running."""
    yield
    kill_all()


AGAIN = (
    'rm -f "$(git rev-parse --git-path index.lock)" "$(git rev-parse --git-path HEAD.lock)" '
    '"$(git rev-parse --git-common-dir)/refs/heads/$ADW_ID.lock"; '
    "echo $ADW_PHASE >$ADW_ID; git add $ADW_ID; "
    "git diff --cached --quiet || git commit -qm $ADW_ID"
)
"""A commit that is made once, however often it was cut short: git leaves its locks behind."""


def watched(tmp_path: Path, number: int, seconds: float) -> str:
    """Return a command that notes each run, and whether another is at it at the same time."""
    lock = f"exec 9>>{tmp_path}/lock{number}; flock -n 9 || echo two >>{tmp_path}/two; "
    return f"{lock}echo run >>{tmp_path}/runs{number}; sleep {seconds}"


def assert_all_came_through(adw: Adw, tmp_path: Path, numbers: range, slug: str = "f") -> None:
    settle(lambda: is_done(adw, slug), "it is never done")
    twice = (tmp_path / "two").read_text().split() if (tmp_path / "two").exists() else []
    landed = git("ls-tree", "--name-only", f"feature/{slug}", cwd=adw.directory).split()
    lost = {f"{slug}-p{number}" for number in numbers} - {*landed}
    count("phases", len(numbers))
    count("phases twice at once", len(twice))
    count("phases lost", len(lost))
    assert not twice
    assert not lost
    assert_over(adw)
    work(adw)  # what a killed runner had not tidied
    settle(lambda: worktrees(adw.directory) == [str(adw.directory)], "a worktree is left")
    assert {name for name in branches(adw.directory) if "-p" in name} == set()
    assert adw.json("status")["allocations"] == {}


def is_done(adw: Adw, slug: str) -> bool:
    """Have done what can be, and repeat what failed; return whether all is completed."""
    work(adw)
    return set(retried(adw, slug).values()) == {"completed"}


def start_killed(adw: Adw, file: Path, point: str, *, seconds: float) -> None:
    """Start a feature whose processes are killed at a step, then all that is left of them."""
    adw("feature", "start", str(file), "--yes", code=None, ADW_FAULT=f"{point}=kill")
    deadline = time.monotonic() + seconds
    while processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    kill_all()
    count("kills")
    if not adw.json("feature", "list")["features"]:
        adw("feature", "start", str(file), "--yes")  # killed before it was begun


SAMPLE = ("claim.committed", "command.started", "ship.landed", "end.written")


@pytest.mark.parametrize("point", stress_size(SAMPLE, PHASE_POINTS))
def test_killed_at_a_step_phases_come_through(adw: Adw, tmp_path: Path, point: str) -> None:
    one, two = (phase(number, watched(tmp_path, number, 0.05), AGAIN, attempts=1000)
                for number in (1, 2))  # fmt: skip
    file = write_feature(adw, "f", one, two | {"depends_on": [1]})
    start_killed(adw, file, point, seconds=2)
    assert_all_came_through(adw, tmp_path, range(1, 3))


OF_AGENTS = ("stage.started", "call.before", "call.noted", "ship.merged")


@pytest.mark.parametrize("point", stress_size(OF_AGENTS[:3], OF_AGENTS))
@pytest.mark.parametrize("nth", stress_size([1], [1, 2, 3]))
def test_killed_at_a_step_agents_come_through(
    adw: Adw, tmp_path: Path, point: str, nth: int
) -> None:
    """Two work at once, so that the branch moves under one of them; each call is a row."""
    add_settings("[stages.test]", run="test -e $ADW_ID")
    noted = watched(tmp_path, 0, 0.05).replace("lock0", "lock$ADW_ID")
    agent = scripted(adw, "one", last=f"{noted}; {AGAIN}")
    prompts = [{"number": number, "title": f"Phase {number}", "prompt": "Do it.",
                "agents": ["one"], "attempts": 1000} for number in (1, 2)]  # fmt: skip
    file = write_feature(adw, "f", *prompts)
    start_killed(adw, file, f"{point}:{nth}", seconds=3)
    assert_all_came_through(adw, tmp_path, range(1, 3))
    rows = [call for number in (1, 2) for one in shown(adw, f"f.{number}")["attempts"]
            for call in one["calls"]]  # fmt: skip
    assert len(rows) >= agent.calls


@pytest.mark.thorough
def test_killed_at_random_moments_phases_come_through(adw: Adw, tmp_path: Path) -> None:
    choice = stress_size(random.Random(1), random.Random())
    deadline = time.monotonic() + stress_size(6.0, 600.0)
    for turn in itertools.count():
        directory = tmp_path / f"{turn}"
        directory.mkdir()
        come_through_kills(adw, directory, f"f{turn}", choice, deadline)
        if time.monotonic() > deadline:
            break
    assert adw.json("doctor")["problems"] == []


def come_through_kills(
    adw: Adw, tmp_path: Path, slug: str, choice: random.Random, deadline: float
) -> None:
    """Run a feature and kill what it runs, until it is done or the time is up."""
    numbers = range(1, stress_size(8, 100) + 1)
    phases = []
    for number in numbers:
        needs = [one for one in range(max(1, number - 3), number) if choice.random() < 0.4]
        command = watched(tmp_path, number, choice.choice([0, 0.1, 0.3]))
        phases.append(phase(number, command, AGAIN, needs=needs, attempts=1000))
    file = str(write_feature(adw, slug, *phases))
    adw("feature", "start", file, "--yes", "--max-running", str(stress_size(3, 10)))
    while time.monotonic() < deadline:
        time.sleep(choice.uniform(0.3, 1.5))
        found = processes()
        count("kills", kill(found if choice.random() < 0.15 else found and [choice.choice(found)]))
        if choice.random() < 0.5:
            adw("list", code=None)
        if set(retried(adw, slug).values()) == {"completed"}:
            break
    retried(adw, slug)
    assert_all_came_through(adw, tmp_path, numbers, slug)


def retried(adw: Adw, slug: str) -> dict[int, str]:
    """Repeat what failed since a command of its own was killed; return the statuses before."""
    found = statuses(adw, slug)
    if {"failed", "review"} & {*found.values()}:
        adw("feature", "retry", slug, code=None)  # an attempt may not have ended yet
    return found


@pytest.mark.thorough
def test_one_who_waits_sees_to_it_when_all_else_is_killed(adw: Adw, tmp_path: Path) -> None:
    file = write_feature(adw, "f", phase(1, watched(tmp_path, 1, 1.0), COMMIT), phase(2, needs=[1]))
    waiting = adw.start("feature", "start", str(file), "--yes", "--wait")
    until_there(tmp_path / "runs1")
    kill([one for one in processes() if one.pid != waiting.pid])
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert_all_came_through(adw, tmp_path, range(1, 3))


@pytest.mark.thorough
def test_who_stands_by_may_be_killed(adw: Adw, tmp_path: Path) -> None:
    start(adw, "f", phase(1, f"touch {tmp_path}/on; sleep 1", changes="none"), phase(2, needs=[1]))
    until_there(tmp_path / "on")
    settle(lambda: len(ours()) == 4, "nobody stands by")
    youngest = max(ours(), key=lambda one: one.create_time())
    kill([youngest])
    work(adw)
    assert statuses(adw, "f") == {1: "completed", 2: "completed"}
    assert reasons(adw, "f.2") == ["completed"]

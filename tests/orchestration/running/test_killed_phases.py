"""Every process of phases killed, at each step and at random: no phase twice at once, none lost."""

from __future__ import annotations

import json
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
    start,
    statuses,
    until_there,
    work,
    write_feature,
)
from tests.support.machine import settle
from tests.support.repositories import branches, git, worktrees
from tests.support.stress_size import count, stress_size


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test leaves running."""
    yield
    kill_all()


def watched(tmp_path: Path, number: int, seconds: float) -> str:
    """Return a command that notes each run, and whether another is at it at the same time."""
    lock = f"exec 9>>{tmp_path}/lock{number}; flock -n 9 || echo two >>{tmp_path}/two; "
    return f"{lock}echo run >>{tmp_path}/runs{number}; sleep {seconds}"


def assert_all_came_through(adw: Adw, tmp_path: Path, numbers: range) -> None:
    work(adw)
    assert statuses(adw, "f") == dict.fromkeys(numbers, "completed")
    assert not (tmp_path / "two").exists(), "a phase ran twice at once"
    assert_over(adw)
    landed = git("ls-tree", "--name-only", "feature/f", cwd=adw.directory).split()
    assert sorted(landed) == sorted(["README", *(f"f-p{number}" for number in numbers)])
    work(adw)  # what a killed runner had not tidied
    settle(lambda: worktrees(adw.directory) == [str(adw.directory)], "a worktree is left")
    assert branches(adw.directory) == {"main", "feature/f"}
    assert adw.json("status")["allocations"] == {}


SAMPLE = ("claim.committed", "command.started", "ship.landed", "end.written")


@pytest.mark.parametrize("point", stress_size(SAMPLE, PHASE_POINTS))
def test_killed_at_a_step_phases_come_through(adw: Adw, tmp_path: Path, point: str) -> None:
    one, two = (phase(number, watched(tmp_path, number, 0.05), COMMIT, attempts=1000)
                for number in (1, 2))  # fmt: skip
    file = write_feature(adw, "f", one, two | {"depends_on": [1]})
    adw("feature", "start", str(file), "--yes", code=None, ADW_FAULT=f"{point}=kill")
    deadline = time.monotonic() + 2
    while processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    kill_all()
    count("kills")
    if not adw.json("feature", "list")["features"]:
        adw("feature", "start", str(file), "--yes")  # killed before it was begun
    assert_all_came_through(adw, tmp_path, range(1, 3))


def test_killed_at_random_moments_phases_come_through(adw: Adw, tmp_path: Path) -> None:
    numbers = range(1, stress_size(8, 100) + 1)
    choice = random.Random(stress_size(1, random.randrange(1 << 30)))
    phases = []
    for number in numbers:
        needs = [one for one in range(max(1, number - 3), number) if choice.random() < 0.4]
        command = watched(tmp_path, number, choice.choice([0, 0.1, 0.3]))
        phases.append(phase(number, command, COMMIT, needs=needs, attempts=1000))
    adw("feature", "start", str(write_feature(adw, "f", *phases)), "--yes")
    end = time.monotonic() + stress_size(6, 600)
    kills = 0
    while time.monotonic() < end:
        time.sleep(choice.uniform(0.3, 1.5))
        found = processes()
        kills += kill(found if choice.random() < 0.15 else found and [choice.choice(found)])
        if choice.random() < 0.5:
            adw("list", code=None)
    count("kills", kills)
    failed = [number for number, status in statuses(adw, "f").items() if status == "failed"]
    for number in failed:  # a command of its own that was killed has failed for good
        adw("phase", "retry", f"f.{number}")
    assert_all_came_through(adw, tmp_path, numbers)
    assert json.loads(adw("doctor", "--json", code=None).stdout)["problems"] is not None


def test_one_who_waits_sees_to_it_when_all_else_is_killed(adw: Adw, tmp_path: Path) -> None:
    file = write_feature(adw, "f", phase(1, watched(tmp_path, 1, 1.0), COMMIT), phase(2, needs=[1]))
    waiting = adw.start("feature", "start", str(file), "--yes", "--wait")
    until_there(tmp_path / "runs1")
    kill([one for one in processes() if one.pid != waiting.pid])
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert_all_came_through(adw, tmp_path, range(1, 3))


def test_who_stands_by_may_be_killed(adw: Adw, tmp_path: Path) -> None:
    start(adw, "f", phase(1, f"touch {tmp_path}/on; sleep 1", changes="none"), phase(2, needs=[1]))
    until_there(tmp_path / "on")
    settle(lambda: len(ours()) == 4, "nobody stands by")
    youngest = max(ours(), key=lambda one: one.create_time())
    kill([youngest])
    work(adw)
    assert statuses(adw, "f") == {1: "completed", 2: "completed"}
    assert reasons(adw, "f.2") == ["completed"]

"""The benchmark: that it compares what it says it does. No time is held to anything here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.machine import Room
from benchmarks.measure import (
    Failed,
    Scene,
    Timing,
    Way,
    as_data,
    from_data,
    interleave,
    ratio,
    spread,
)
from benchmarks.rows.table import ROWS
from benchmarks.scenes import Workshop, require_worktrees
from tests.support import browser
from tests.support.checkout import CHECKOUT


class Clock:
    """A clock that goes only when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: float) -> Callable[[int], None]:
        def step(_number: int) -> None:
            self.order.append(name)
            self.now += seconds

        return step

    def settle(self) -> float:
        self.now += 100
        return 0.25


def test_ways_take_turns_and_only_what_one_waits_for_is_timed() -> None:
    clock = Clock()
    ways = [
        Way(
            name,
            {"row": clock.work(name, seconds)},
            before=clock.work(f"before {name}", 50),
            after=clock.work(f"after {name}", 50),
        )
        for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 3.0))
    ]
    timings = interleave(ways, 3, settle=clock.settle, clock=clock)["row"]
    assert [one.label for one in timings] == ["a", "b", "c"]
    assert [one.seconds for one in timings] == [[1.0] * 3, [2.0] * 3, [3.0] * 3]
    assert timings[0].lingering == [0.25] * 3
    turns = [name for name in clock.order if " " not in name]
    # A round that is not counted comes first.
    assert "".join(turns) == "cab" + "abc" + "bca" + "cab"


def test_what_lies_between_two_steps_is_not_timed() -> None:
    clock = Clock()
    steps = {"create": clock.work("create", 1.0), "remove": clock.work("remove", 2.0)}
    way = Way("a", steps, between=lambda: clock.work("look", 30.0)(0))
    found = interleave([way], 1, settle=clock.settle, clock=clock)
    assert found["create"][0].seconds == [1.0]
    assert found["remove"][0].seconds == [2.0]
    assert clock.order == ["create", "look", "remove"] * 2


def test_a_peer_that_fails_is_a_result_and_ours_that_fails_ends_it() -> None:
    def fail(_number: int) -> None:
        raise Failed("no such command")

    clock = Clock()
    good = Way("good", {"row": clock.work("good", 1.0)})
    found = interleave([good, Way("peer", {"row": fail}, may_fail=True)], 2, clock=clock)["row"]
    assert found[1] == Timing("peer", failed="no such command")
    assert found[0].seconds == [1.0, 1.0]
    with pytest.raises(Failed):
        interleave([good, Way("ours", {"row": fail})], 2, clock=clock)


def test_medians_quartiles_and_ratios() -> None:
    found = spread([5.0, 1.0, 2.0, 3.0, 4.0])
    assert (found.median, found.low, found.high) == (3.0, 2.0, 4.0)
    assert spread([7.0]).high == 7.0
    assert ratio(Timing("a", [1.0, 3.0]), Timing("b", [4.0])) == 0.5
    assert ratio(Timing("a", failed="gone"), Timing("b", [4.0])) is None


SCENES = [
    Scene("create", "10 files", [
        Timing("git worktree add", [0.008]),
        Timing("adw-worktree", [0.05, 0.07], lingering=[0.5, 0.5]),
        Timing("peer 1.0", failed="it made no worktree"),
    ], "git worktree add", 10),
]  # fmt: skip


def test_report_says_what_was_found() -> None:
    text = report.document({"machine": {"cores": "2"}}, SCENES, ["create"])
    assert "| git worktree add | **8.00 ms** |" in text
    assert "| adw-worktree | 60.0 ms (55.0–65.0), 7.50× |" in text
    assert "- peer 1.0, 10 files: failed: it made no worktree" in text
    assert "in the background goes on for 500 ms more" in text
    assert 'src="benchmarks/create.svg"' in text
    assert "cores 2" in text


def test_figures_come_back_from_the_file_they_were_written_to() -> None:
    assert from_data(json.loads(json.dumps(as_data(SCENES)))) == SCENES


def test_every_row_has_a_heading() -> None:
    shown = {row for row in report.TITLES if row != "remove"}  # which is measured with `create`
    assert shown == set(ROWS)


def test_repositories_are_of_the_size_they_are_said_to_be(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    repo, other = shop.repository(70), shop.repository(70)
    assert repo != other
    assert len(list(repo.glob("part-*/*.txt"))) == 70
    room = shop.room()
    room.git("diff-index", "--quiet", "HEAD", cwd=repo)
    require_worktrees(repo, 0)
    room.git("worktree", "add", "--quiet", "w", cwd=repo)
    with pytest.raises(Failed, match="1 worktrees in place of 0"):
        require_worktrees(repo, 0)
    with pytest.raises(Failed, match="exited 1"):
        room.run("false", cwd=repo)
    with pytest.raises(Failed, match="nonsense"):
        room.run("nonsense", cwd=repo)


def test_rooms_know_nothing_of_the_callers_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("ADW_SLOTS", "3")
    env = Room(tmp_path, {"ADW_SPARES": "1"}).env
    assert env["HOME"] == str(tmp_path)
    assert env["ADW_SPARES"] == "1"
    assert not {"GIT_DIR", "ADW_SLOTS"} & env.keys()


@pytest.mark.thorough
def test_a_run_writes_figures_and_a_report(tmp_path: Path) -> None:
    words = [
        "--quick",
        "--only",
        "startup",
        "--only",
        "completion",
        "--only",
        "hooks",
        "--repeat",
        "1",
        "--no-peers",
    ]
    places = ["--out", str(tmp_path / "out"), "--scratch", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks", *words, *places]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    subprocess.run(command, cwd=CHECKOUT, env=env, check=True, capture_output=True)
    figures = json.loads((tmp_path / "out" / "benchmarks.json").read_text())
    assert {scene["row"] for scene in figures["scenes"]} == {"startup", "completion", "hooks"}
    assert all(len(one["seconds"]) == 1 for one in figures["scenes"][0]["timings"])
    text = (tmp_path / "out" / "benchmarks.md").read_text()
    assert "A quick run" in text
    assert "git commit, 1 worktree" in text
    assert [path.name for path in tmp_path.glob("adw-bench-*")] == []


@pytest.mark.thorough
def test_a_run_of_the_board_writes_figures_and_a_report(tmp_path: Path) -> None:
    if browser.program() is None:
        pytest.skip("no Chromium is installed")
    command = [sys.executable, "-m", "benchmarks.board", "--quick", "--out", str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    subprocess.run(command, cwd=CHECKOUT, env=env, check=True, capture_output=True)
    figures = json.loads((tmp_path / "benchmarks-board.json").read_text())
    assert [len(found) for found in figures["pixels"].values()] == [5, 10]
    [load] = figures["loads"].values()
    assert load["failed"] == 0
    assert sum(map(len, load["seconds"].values())) > 2
    text = (tmp_path / "benchmarks-board.md").read_text()
    assert "A quick run" in text
    assert "| 2 |" in text

"""A slot in doubt is handed out last, and is in doubt no longer than there is a reason."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.pool import doubts
from adw_worktree.project import open_project
from tests.support.command_line import Adw
from tests.support.repositories import git


@pytest.fixture
def hidden(adw: Adw) -> Path:
    """Return where the worktree of slot 0 is out of sight; the slot was freed."""
    tree = Path(adw.json("create", "a")["path"])
    place = adw.directory.parent / "hidden"
    tree.rename(place)
    assert adw.json("status")["allocated"] == 0
    assert in_doubt(adw) == {0}
    return place


def state_of(adw: Adw) -> Path:
    return open_project(adw.directory).state_dir


def in_doubt(adw: Adw) -> set[int]:
    return doubts.doubtful_slots(state_of(adw))


def rewrite(adw: Adw, **changed: Any) -> None:
    """Change the records in the file."""
    file = state_of(adw) / "doubtful.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps([one | changed if isinstance(one, dict) else one
                                for one in document]))  # fmt: skip


def test_doubt_lasts_while_the_worktree_may_turn_up_again(adw: Adw, hidden: Path) -> None:
    assert adw.json("create", "b")["slot"] == 1
    assert in_doubt(adw) == {0}
    hidden.rename(adw.directory / "trees" / "a")
    adw("reconcile")
    assert in_doubt(adw) == set()


def test_doubt_ends_with_gits_entry(adw: Adw, hidden: Path) -> None:
    git("worktree", "prune", "--expire=now", cwd=adw.directory)
    assert in_doubt(adw) == set()
    assert adw.json("create", "b")["slot"] == 0


def test_doubt_ends_when_another_worktree_has_the_entry(adw: Adw, hidden: Path) -> None:
    adw("create", "b")
    receipts = [adw.directory / ".git" / "worktrees" / name / "adw-worktree.json" for name in "ab"]
    shutil.copy(receipts[1], receipts[0])
    assert in_doubt(adw) == set()


def test_doubt_ends_when_the_lease_has_another_slot(adw: Adw, hidden: Path) -> None:
    adw("reserve", "r", "--slot", "0")
    adw("release", "r")
    state = state_of(adw)
    lease = open_project(adw.directory).pool.reserve("x", wanted=5)
    doubts.doubt(state, [lease], None)
    assert in_doubt(adw) == {5}
    doubts.settle(state, [lease._replace(slot=7)])
    assert in_doubt(adw) == set()


def test_doubt_stays_while_its_repository_is_out_of_sight(adw: Adw, hidden: Path) -> None:
    state = state_of(adw)
    adw.directory.rename(adw.directory.parent / "away")
    assert doubts.doubtful_slots(state) == {0}


@pytest.mark.parametrize(("days", "stays"), [(-2, False), (0, True), (29, True), (31, False)])
def test_doubt_ends_after_a_month(adw: Adw, hidden: Path, days: int, stays: bool) -> None:
    rewrite(adw, since=(datetime.now(UTC) - timedelta(days=days)).isoformat())
    assert in_doubt(adw) == ({0} if stays else set())


def test_plain_numbers_of_earlier_versions_are_in_doubt_for_a_month(adw: Adw, hidden: Path) -> None:
    file = state_of(adw) / "doubtful.json"
    file.write_text("[3, 4]\n")
    assert in_doubt(adw) == {3, 4}
    long_ago = time.time() - 31 * 86400
    os.utime(file, (long_ago, long_ago))
    assert in_doubt(adw) == set()


def test_earlier_versions_read_the_numbers(adw: Adw, hidden: Path) -> None:
    """They look at the whole numbers in the list, and nothing else."""
    stored = json.loads((state_of(adw) / "doubtful.json").read_text())
    assert [one for one in stored if isinstance(one, int)] == [0]


@pytest.mark.parametrize(
    "changed", [{"since": 5}, {"since": "yesterday"}, {"admin": 5}, {"slot": "x"}, {"token": []}]
)
def test_damaged_record_leaves_the_plain_number(
    adw: Adw, hidden: Path, changed: dict[str, Any]
) -> None:
    rewrite(adw, **changed)
    assert in_doubt(adw) <= {0}
    adw("create", "b")

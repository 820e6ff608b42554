"""The repositories that are measured on: made once for each size, and copied for each way."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from .machine import Room, settle
from .measure import Failed

FILES_IN_A_DIRECTORY = 50
# Far apart and away from what servers use, so that a pool of 10,000 slots has room.
SERVICES = "backend=20000,frontend=40000"


class Workshop:
    """A scratch directory, and the rooms and repositories made in it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._numbers: Iterator[int] = count(1)

    def room(self, **settings: str) -> Room:
        """Make a home for one tool, with settings of ours as ADW_* variables."""
        home = self.scratch / f"home-{next(self._numbers)}"
        home.mkdir()
        return Room(home, {"ADW_STATE_HOME": str(home / "state"), **settings})

    def repository(self, files: int) -> Path:
        """Return a fresh repository with one commit of so many files, on `main`."""
        model = self.scratch / f"model-{files}"
        room = Room(self.scratch)
        if not model.exists():
            _fill(model, files)
            room.git("init", "--quiet", "--initial-branch=main", cwd=model)
            # Nothing of git's own may begin in the background of what is timed.
            room.git("config", "gc.auto", "0", cwd=model)
            room.git("config", "maintenance.auto", "false", cwd=model)
            room.git("add", ".", cwd=model)
            room.git("commit", "--quiet", "-m", "first", cwd=model)
        copy = self.scratch / f"repo-{next(self._numbers)}" / "app"
        shutil.copytree(model, copy, symlinks=True)
        # A copy has other inodes than the index says; the next status would have to mend that.
        room.git("update-index", "-q", "--refresh", cwd=copy)
        return copy


def _fill(directory: Path, files: int) -> None:
    """Write files of about 2 KiB each, which differ."""
    directory.mkdir(parents=True)
    for number in range(files):
        if number % FILES_IN_A_DIRECTORY == 0:
            folder = directory / f"part-{number // FILES_IN_A_DIRECTORY:04}"
            folder.mkdir()
        line = f"file {number} has a line that is like the others\n"
        (folder / f"file-{number:05}.txt").write_text(line * 40)


def worktrees_of(repo: Path) -> int:
    """Return how many linked worktrees git has in `repo`."""
    admin = repo / ".git" / "worktrees"
    return len(list(admin.iterdir())) if admin.is_dir() else 0


def work_in(room: Room, repo: Path) -> None:
    """Have git write the index of each linked worktree anew, as the first `git add` would.

    One that is as young as its files makes git read all of them, at every look; nobody who works
    in a worktree for longer than a second removes it like that.
    """
    for admin in sorted((repo / ".git" / "worktrees").iterdir()):
        index = admin / "index"
        time.sleep(max(0.0, math.floor(index.stat().st_mtime) + 1.0 - time.time()))
        tree = Path((admin / "gitdir").read_text().strip()).parent
        room.git("update-index", "--refresh", "--force-write-index", cwd=tree)


def require_worktrees(repo: Path, wanted: int) -> None:
    """Raise Failed if there are not so many linked worktrees."""
    found = worktrees_of(repo)
    if found != wanted:
        raise Failed(f"{found} worktrees in place of {wanted}")


def grow(repo: Path, room: Room, wanted: int) -> None:
    """Add worktrees with leases until there are so many: git makes them, the tool adopts them."""
    for number in range(worktrees_of(repo), wanted):
        room.git("worktree", "add", "--quiet", f"trees/w{number}", cwd=repo)
    adopting = Room(room.home, {**room.settings, "ADW_ADOPT": "true"})
    adopting.adw("reconcile", cwd=repo)
    settle()

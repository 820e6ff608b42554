"""A worktree comes back while others go: the directory that holds all may go with the last one."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from adw_worktree.project import open_project
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.restore import restore


@pytest.mark.parametrize("of_all", ["trees", ".git/worktrees"])
def test_it_comes_back_though_the_directory_of_all_goes(repo: Path, of_all: str) -> None:
    project, over = open_project(repo), threading.Event()
    create(project, "a")
    (repo / "trees" / "a" / "work").write_text("x")

    def take_away() -> None:
        while not over.wait(0.001):
            with suppress(OSError):
                (repo / of_all).rmdir()

    thread = threading.Thread(target=take_away)
    thread.start()
    try:
        for _ in range(20):
            remove(project, "a", Consent(force=True))
            restore(project, "a")
            assert (repo / "trees" / "a" / "work").read_text() == "x"
    finally:
        over.set()
        thread.join()

"""Settings that lead git from a linked worktree to the main checkout: nothing there changes.

With `core.worktree` in the shared configuration and `extensions.worktreeConfig` on, git takes the
main checkout for the worktree of whatever git directory it finds. Work there that nobody committed
would be lost to the first `git reset --hard` of ours.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Adw, user_hook
from tests.support.machine import settle
from tests.support.repositories import git, make_repo


class Misled:
    """A repository whose settings mislead git, with work in its main checkout."""

    def __init__(self, place: Path) -> None:
        self.repo = make_repo(place / "app")
        for name in ("one", "two"):
            (self.repo / name).write_text(f"{name}\n")
        self._git("add", "--all")
        self._git("commit", "--quiet", "-m", "two files")
        self._git("branch", "target")
        self._git("config", "core.worktree", str(self.repo))
        self._git("config", "extensions.worktreeConfig", "true")
        (self.repo / "README").write_text("precious\n")
        (self.repo / "one").write_text("staged\n")
        self._git("add", "one")
        (self.repo / "new").write_text("untracked\n")
        self.adw = Adw(self.repo)
        self.before = self.picture()

    def _git(self, *args: str) -> str:
        return git(f"--git-dir={self.repo}/.git", f"--work-tree={self.repo}", *args, cwd=self.repo)

    def picture(self) -> list[str]:
        """Return what is in the main checkout, its index and its HEAD."""
        files = [path for path in self.repo.iterdir() if path.is_file()]
        return [
            *sorted(f"{path.name}: {path.read_text()}" for path in files),
            self._git("ls-files", "--stage"),
            self._git("status", "--porcelain"),
            self._git("symbolic-ref", "HEAD"),
            self._git("rev-parse", "HEAD"),
        ]

    def __call__(self, *args: str, spares: int = 0) -> None:
        """Run a command, and see that the main checkout is as it was."""
        self.adw(*args, ADW_SPARES=str(spares))
        assert self.picture() == self.before, args

    def git_in(self, name: str, *args: str, admin: str | None = None) -> str:
        """Run git in an ADW's worktree, named as a person would have to."""
        tree = self.repo / "trees" / name
        where = [f"--git-dir={self.repo}/.git/worktrees/{admin or name}", f"--work-tree={tree}"]
        return git(*where, *args, cwd=tree)

    def commit_in(self, name: str, file: str, admin: str | None = None) -> None:
        (self.repo / "trees" / name / file).write_text(f"{file} of {name}\n")
        self.git_in(name, "add", file, admin=admin)
        self.git_in(name, "commit", "--quiet", "-m", file, admin=admin)


@pytest.fixture
def misled(tmp_path: Path) -> Misled:
    return Misled(tmp_path)


def test_create_fills_the_worktree_and_leaves_the_main_checkout(misled: Misled) -> None:
    misled("create", "a")
    assert misled.git_in("a", "status", "--porcelain") == ""
    assert (misled.repo / "trees" / "a" / "one").read_text() == "one\n"
    misled("create", "b", "--detach", "--from", "target")
    assert (misled.repo / "trees" / "b" / "two").read_text() == "two\n"


def test_create_from_a_spare(misled: Misled) -> None:
    misled("spares", "fill", "--wait", spares=1)
    misled("create", "a", "--from", "main~1", spares=1)
    assert not (misled.repo / "trees" / "a" / "one").exists()
    settle(lambda: "filling" not in misled.adw("spares", "status").stdout, "never filled")
    misled("spares", "drop")


@pytest.mark.parametrize("way", ["--merge", "--squash", "--rebase"])
def test_finish_merges_what_was_committed(misled: Misled, way: str) -> None:
    misled("create", "a", "--from", "target")
    misled.commit_in("a", "work")
    misled("create", "other", "--branch", "target")
    misled.commit_in("other", "meanwhile")
    misled("finish", "a", "--into", "target", way)
    assert not (misled.repo / "trees" / "a").exists()
    assert (misled.repo / "trees" / "other" / "work").read_text() == "work of a\n"
    assert misled.git_in("other", "status", "--porcelain") == ""


def test_remove_sees_the_work_of_the_worktree_and_restore_brings_it_back(misled: Misled) -> None:
    """Asked inside of it, git tells of the main checkout."""
    misled("create", "a")
    misled("create", "b")
    misled("remove", "b")
    (misled.repo / "trees" / "a" / "README").write_text("changed\n")
    misled.adw("remove", "a", code=7)
    misled("remove", "a", "--force")
    misled("restore", "a")
    assert misled.git_in("a", "status", "--porcelain") == " M README\n"
    misled("rename", "a", "c")
    assert misled.git_in("c", "branch", "--show-current", admin="a") == "c\n"
    (misled.repo / "trees" / "c").rename(misled.repo / "trees" / "moved")
    misled("reconcile")
    assert misled.git_in("moved", "status", "--porcelain", admin="a") == " M README\n"
    misled("lock", "c")
    misled("unlock", "c")


def test_submodules_are_filled_in_the_worktree(misled: Misled, tmp_path: Path) -> None:
    lib = make_repo(tmp_path / "lib")
    git("config", "--global", "protocol.file.allow", "always", cwd=lib)
    misled._git("stash", "push", "--quiet", "--include-untracked")
    misled._git("submodule", "--quiet", "add", str(lib), "lib")
    misled._git("commit", "--quiet", "-m", "with a part")
    misled._git("stash", "pop", "--quiet", "--index")
    (misled.repo / "lib" / "README").write_text("precious\n")
    misled.before = misled.picture()
    misled("create", "a")
    assert (misled.repo / "trees" / "a" / "lib" / "README").read_text() == "hello\n"
    assert (misled.repo / "lib" / "README").read_text() == "precious\n"


def test_gits_own_hooks_run_in_the_worktree(misled: Misled) -> None:
    """One that installs or formats would do so in the main checkout."""
    hook = misled.repo / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\npwd >>made-by-the-hook\n")
    hook.chmod(0o755)
    misled("create", "a")
    tree = misled.repo / "trees" / "a"
    assert (tree / "made-by-the-hook").read_text() == f"{tree}\n"


def test_a_create_that_fails_takes_back_its_own_worktree_alone(misled: Misled) -> None:
    user_hook("post-create", "exit 1")
    misled.adw("create", "a", code=9)
    assert misled.picture() == misled.before
    assert not (misled.repo / "trees").exists()

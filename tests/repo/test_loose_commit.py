"""A branch whose ref is a file of its own is read without git; any other is left to git."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.repo.refs import branch_commit, loose_commit
from tests.support.repositories import git


def test_a_loose_branch_is_read_as_git_reads_it(repo: Path) -> None:
    git("branch", "feature/x", cwd=repo)
    assert loose_commit(repo / ".git", "feature/x") == branch_commit(repo, "feature/x") is not None


def test_what_is_no_plain_file_is_left_to_git(repo: Path) -> None:
    common = repo / ".git"
    assert loose_commit(common, "none") is None
    git("symbolic-ref", "refs/heads/link", "refs/heads/main", cwd=repo)
    assert loose_commit(common, "link") is None
    git("pack-refs", "--all", cwd=repo)
    assert loose_commit(common, "main") is None
    (common / "refs" / "heads" / "broken").write_text("0" * 39 + "\n")
    assert loose_commit(common, "broken") is None
    (common / "refs" / "heads" / "folder").mkdir()
    assert loose_commit(common, "folder") is None

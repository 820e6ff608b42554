"""How git is started: what may write is given its git directory and worktree by name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from adw_worktree.errors import GitFailed
from adw_worktree.repo.git import Checkout, run_git
from tests.support.checkout import PACKAGE
from tests.support.repositories import git, make_repo

WRITES = (
    "add", "am", "apply", "bisect", "branch", "checkout", "checkout-index", "cherry-pick", "clean",
    "commit", "commit-tree", "config", "fetch", "gc", "hook", "init", "merge", "merge-tree",
    "mktree", "pull", "push", "read-tree", "rebase", "reflog", "remote", "replace", "reset",
    "restore", "revert", "rm", "sparse-checkout", "stash", "submodule", "switch", "symbolic-ref",
    "tag", "update-index", "update-ref", "worktree add", "worktree lock", "worktree move",
    "worktree prune", "worktree remove", "worktree repair", "worktree unlock", "write-tree",
)  # fmt: skip
"""Commands of git that change refs, objects, settings, an index or files."""


@pytest.mark.parametrize("command", WRITES)
@pytest.mark.parametrize("before", [[], ["-c", "a.b=c"], ["--literal-pathspecs"], ["--no-pager"]])
def test_a_command_that_writes_is_not_run_where_it_would_find_its_target_itself(
    repo: Path, command: str, before: list[str]
) -> None:
    """`core.worktree` would have `reset --hard` throw away the work of the main checkout."""
    with pytest.raises(ValueError, match="is no Checkout"):
        run_git([*before, *command.split()], repo)


@pytest.mark.parametrize("command", ["status", "diff", "diff-files", "diff-index", "ls-files"])
def test_a_command_that_looks_at_files_is_given_its_worktree(repo: Path, command: str) -> None:
    """It would find the main checkout clean, and the worktree would be removed with its work."""
    with pytest.raises(ValueError, match="is no Checkout"):
        run_git([command], repo)


def test_a_checkout_is_meant_whatever_the_settings_say(repo: Path, tmp_path: Path) -> None:
    git("worktree", "add", "--quiet", "../tree", cwd=repo)
    for setting in (("core.worktree", str(repo)), ("extensions.worktreeConfig", "true")):
        git("config", *setting, cwd=repo)
    git("config", "core.bare", "true", cwd=repo)
    (repo / "README").write_text("precious\n")
    (tmp_path / "tree" / "README").write_text("changed\n")
    admin = repo / ".git" / "worktrees" / "tree"
    run_git(["reset", "--hard", "--quiet"], Checkout(admin, tmp_path / "tree"))
    assert (repo / "README").read_text() == "precious\n"
    assert (tmp_path / "tree" / "README").read_text() == "hello\n"


def test_without_a_worktree_no_file_is_touched(repo: Path) -> None:
    """Git would take the directory that it runs in for the worktree."""
    with pytest.raises(GitFailed):
        run_git(["reset", "--hard"], Checkout(repo / ".git"))
    assert not (repo / ".git" / "README").exists()


def test_a_checkout_is_named_to_the_hooks_that_git_runs(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.write_text('#!/bin/sh\npwd; echo "$GIT_DIR"; echo "$GIT_WORK_TREE"\n')
    hook.chmod(0o755)
    ran = run_git(["hook", "run", "post-checkout"], Checkout(repo / ".git", repo))
    assert ran.stderr.split() == [str(repo), str(repo / ".git"), str(repo)]


def test_every_call_of_run_git_says_where() -> None:
    """Two places and no more: by position the checkout, or the directory of what only reads."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "run_git":
                assert len(node.args) == 2, f"{path}:{node.lineno}"

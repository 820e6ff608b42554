"""Real repositories, and what git says of them."""

from __future__ import annotations

import fnmatch
import os
import subprocess
from pathlib import Path


def git(*args: str, cwd: Path, check: bool = True) -> str:
    """Run git as a person would and return its stdout."""
    done = subprocess.run(
        ["git", *args], cwd=cwd, check=False, capture_output=True, text=True, errors="replace"
    )
    if check and done.returncode != 0:
        raise AssertionError(f"git {args} exited {done.returncode}: {done.stderr}")
    return done.stdout


def git_in(place: Path, *words: str) -> str:
    """Return what git says in a repository or worktree."""
    return git(*words, cwd=place)


def make_repo(path: Path) -> Path:
    """Make a repository with one commit on `main`."""
    path.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", cwd=path)
    (path / "README").write_text("hello\n")
    git("add", "README", cwd=path)
    git("commit", "--quiet", "-m", "first", cwd=path)
    return path


def branches(repo: Path) -> set[str]:
    return set(git("for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=repo).split())


def worktrees(repo: Path) -> list[str]:
    listed = git("worktree", "list", "--porcelain", cwd=repo).splitlines()
    return [line.removeprefix("worktree ") for line in listed if line.startswith("worktree ")]


def anywhere(directory: Path, pattern: str) -> list[Path]:
    """Return what has such a name below `directory`, from which others may be deleting."""
    return [
        Path(folder, name)
        for folder, folders, files in os.walk(directory)
        for name in fnmatch.filter([*folders, *files], pattern)
    ]

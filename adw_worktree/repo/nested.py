"""Repositories inside a worktree, submodules or not, and what only they have.

They go with the worktree, files, refs and objects: those of submodules lie in git's admin directory
of it, the others among its files. What holds here: nothing is changed; what cannot be looked into
counts as work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from adw_worktree.errors import GitFailed
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.index import changed_unseen, load_index, unseen_in_words
from adw_worktree.repo.repository import admin_directories, worktree_of_admin
from adw_worktree.repo.status import is_as_committed, status_codes
from adw_worktree.repo.unfinished import unfinished
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.parallel import side_by_side
from adw_worktree.system.paths import exists, is_dir, is_symlink
from adw_worktree.system.text import named

_FETCHED = ("refs/remotes/", "refs/prefetch/")
"""Refs that others made."""


class Nested(NamedTuple):
    """A repository inside a worktree."""

    path: str
    """Where it is checked out, from the worktree around all; or what git calls it."""
    git_directory: Path
    worktree: Path | None
    """None if it is not checked out."""
    elsewhere: Path | None
    """The git directory that the main worktree has of the same submodule, there or not."""
    seen: bool = False
    """Whether the `git status` around it has looked at its files."""


def work_in_nested(outer: Checkout, gitlinks: Iterable[str], *, seen: bool) -> list[str]:
    """Return, in words, what would be lost with the repositories inside a worktree.

    `gitlinks` are the paths at which its index has them, `seen` says whether its `git status` has
    looked at their files. Raises OSError.
    """
    found: list[str] = []
    nested = list(_find(outer, gitlinks, "", _main_copy(outer.git_directory), found, seen=seen))
    for lost in side_by_side(_work_of, nested):
        found += lost
    return found


def work_in_modules(admin: Path) -> list[str]:
    """Return, in words, what submodules hold whose worktree is gone or out of sight."""
    nested = _modules(admin, "", _main_copy(admin), set())
    return [lost for one in nested for lost in _work_of(one)]


def _main_copy(admin: Path) -> Path | None:
    """Return the git directory that the main worktree's submodules have theirs in."""
    return admin.parent.parent if admin.parent.name == "worktrees" else None


# ---- which there are ---------------------------------------------------------------------------


def _find(
    outer: Checkout,
    gitlinks: Iterable[str],
    prefix: str,
    copy: Path | None,
    found: list[str],
    *,
    seen: bool,
) -> Iterator[Nested]:
    """Yield the repositories in a checkout; add to `found` the files of those that are not one."""
    known = set()
    for link in gitlinks:
        place, path = outer.directory / link, f"{prefix}{link}"
        if is_symlink(place) or not is_dir(place):
            continue  # shown by `git status`
        if not exists(place / ".git"):
            files = _count_files(place)
            if files:
                found.append(f"{files} untracked in {path}, which is not checked out")
            continue
        git_directory = _git_directory_of(place)
        if git_directory is None:
            found.append(f"whatever is in {path}, which is no repository any more")
            continue
        known.add(os.path.realpath(git_directory))
        elsewhere = _counterpart(git_directory, outer.git_directory, copy)
        yield Nested(path, git_directory, place, elsewhere, seen)
    yield from _modules(outer.git_directory, prefix, copy, known)


def _modules(
    git_directory: Path, prefix: str, copy: Path | None, known: set[str]
) -> Iterator[Nested]:
    """Yield submodules that are not checked out, but were: git keeps their repositories."""
    top = git_directory / "modules"
    for folder, names, files in os.walk(top):
        if "HEAD" in files and "objects" in names:
            names.clear()
            if os.path.realpath(folder) in known:
                continue
            name = os.path.relpath(folder, top)
            elsewhere = _counterpart(Path(folder), git_directory, copy)
            yield Nested(f"{prefix}{name}", Path(folder), None, elsewhere)


def _counterpart(git_directory: Path, around: Path, copy: Path | None) -> Path | None:
    real, top = os.path.realpath(git_directory), os.path.realpath(around)
    if copy is None or not real.startswith(f"{top}{os.sep}"):
        return None
    return copy / os.path.relpath(real, top)


def _git_directory_of(place: Path) -> Path | None:
    """Return the git directory that a `.git` is or names; None if there is none."""
    link = place / ".git"
    if not is_dir(link):
        text = link.read_text(encoding="utf-8", errors="surrogateescape")
        if not text.startswith("gitdir: "):
            return None
        link = place / text.removeprefix("gitdir: ").rstrip("\n")
    return link if exists(link / "HEAD") else None


def _count_files(directory: Path) -> int:
    """Return how many files there are; a directory that nobody may read counts as one."""
    closed: list[OSError] = []
    return sum(len(files) for _, _, files in os.walk(directory, onerror=closed.append)) + len(
        closed
    )


# ---- what each has -----------------------------------------------------------------------------


def _work_of(nested: Nested) -> list[str]:
    """Return, in words, what only this repository has, and what is nested in it."""
    try:
        return _work_in(nested)
    except GitFailed as exc:
        return [f"whatever is in {nested.path}, which git cannot look into ({exc.message})"]


def _work_in(nested: Nested) -> list[str]:
    git_directory, path = nested.git_directory, nested.path
    found = [*_own_commits(nested), *_own_worktrees(nested)]
    waiting = unfinished(git_directory)
    if waiting is not None:
        found.append(f"{waiting} in progress in {path}")
    if nested.worktree is None:
        if not is_as_committed(git_directory):
            found.append(f"staged changes in {path}")
        found += [
            lost
            for one in _modules(git_directory, f"{path}/", nested.elsewhere, set())
            for lost in _work_of(one)
        ]
        return found
    checkout = Checkout(git_directory, nested.worktree)
    index = load_index(checkout)
    found += unseen_in_words(changed_unseen(checkout, index.marked), path)
    codes = [] if nested.seen else status_codes(checkout)
    if codes:
        found.append(f"{len(codes)} changed or untracked in {path}")
    # Git's own look into a submodule leaves out the inner ones that it is told to ignore.
    seen = not nested.seen
    inner = _find(checkout, index.gitlinks, f"{path}/", nested.elsewhere, found, seen=seen)
    for one in list(inner):
        found += _work_of(one)
    return found


def _own_commits(nested: Nested) -> Iterator[str]:
    """Yield the stash, and commits that no remote has, with the names of what they are on."""
    # Its own setting of a worktree may lead to a directory that is not there any more.
    checkout = Checkout(nested.git_directory, nested.git_directory)
    refs = ["for-each-ref", "--format=%(objectname) %(*objectname) %(refname)"]
    if run_git([*refs, "refs/stash"], checkout).stdout:
        yield f"a stash in {nested.path}"
    without = [f"--exclude={kind}*" for kind in _FETCHED]
    command = ["rev-list", "--ignore-missing", "--exclude=refs/stash", *without, "--all"]
    command += ["--not", "--remotes", "--stdin"]
    elsewhere = _commits_of(nested.elsewhere)
    if not run_git([*command, "--max-count=1"], checkout, stdin=elsewhere).stdout:
        return
    own = set(run_git(command, checkout, stdin=elsewhere).stdout.split())
    names = []
    for line in run_git(refs, checkout).stdout.split("\n")[:-1]:
        commit, peeled, name = line.split(" ", 2)
        if not name.startswith((*_FETCHED, "refs/stash")) and own & {commit, peeled}:
            names.append(name.removeprefix("refs/heads/").removeprefix("refs/"))
    on = f" ({named(names)})" if names else ""
    yield f"unpushed commits in {nested.path}{on}"


def _commits_of(git_directory: Path | None) -> str:
    """Return what makes `git rev-list --stdin` leave out the commits of another repository."""
    if git_directory is None or not exists(git_directory / "HEAD"):
        return ""
    there = Checkout(git_directory, git_directory)
    told = run_git(["rev-parse", "--all", "HEAD"], there, check=False).stdout
    return "".join(f"^{word}\n" for word in told.split() if word != "HEAD")


def _own_worktrees(nested: Nested) -> Iterator[str]:
    """Yield the worktrees elsewhere that cannot be without the repository."""
    for admin in admin_directories(nested.git_directory / "worktrees"):
        worktree = worktree_of_admin(admin)
        if worktree is not None and exists(worktree):
            yield f"a worktree of {nested.path} at {worktree}"

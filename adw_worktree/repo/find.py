"""Finding the repository that a directory is in, as git finds it.

What holds here: the everyday shapes are read from the files, without starting git; whatever is
unusual (bare, inside `.git`, another owner, `core.worktree`, includes, variables that guide git's
search) is asked of git. Both give the same answer (tests/repo/test_find.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from adw_worktree.errors import AdwError, GitFailed, NotARepository
from adw_worktree.repo.git import Checkout, GitResult, git_failure, is_git_directory, run_git
from adw_worktree.repo.repository import (
    Repository,
    admin_directories,
    admin_directory,
    leads_to,
    worktree_of_admin,
)
from adw_worktree.system.paths import is_dir

_GUIDES = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
_TRUE = ("true", "yes", "on", "1")
_ELSEWHERE = "adw-worktree -C DIR …, with DIR inside a repository"


def find_repository(directory: Path, *, known: bool = False) -> Repository:
    """Return the repository that `directory` is in, found as git finds it.

    `known` says that it is a git directory which was found before: git is not asked whether a bare
    repository may be used that is only met (safe.bareRepository). Raises NotARepository outside of
    one; GitFailed if git itself cannot run.
    """
    try:
        present = is_dir(directory)
    except OSError as exc:  # a name that is too long
        raise NotARepository(
            f"{directory} cannot be looked into: {exc.strerror}", hint=_ELSEWHERE
        ) from exc
    if not present:
        raise NotARepository(
            f"{directory} is no directory"
            if os.path.lexists(directory)
            else f"the directory {directory} does not exist",
            hint=_ELSEWHERE,
        )
    return _read(directory.resolve()) or _ask_git(directory, known=known)


def _ask_git(directory: Path, *, known: bool = False) -> Repository:
    questions = ["--git-common-dir", "--is-inside-work-tree"]
    answer = run_git(["rev-parse", *questions], directory, check=False, climbing=not known)
    if answer.returncode != 0:
        raise _not_found(directory, answer)
    # The path comes first and may hold newlines.
    common, inside = answer.stdout.removesuffix("\n").rsplit("\n", 1)
    place = directory.resolve()
    common_dir = (place / common).resolve()
    worktree = _linked_around(place, common_dir)
    if worktree is None and inside == "true":
        worktree = _toplevel(directory)
    return Repository(common_dir, _main_worktree(common_dir, worktree or place), worktree)


def _not_found(directory: Path, answer: GitResult) -> AdwError:
    """Return the error for a directory in which git finds no repository that it can use."""
    if "not a git repository (or any " in answer.stderr:
        return NotARepository(f"{directory} is not inside a git repository", hint=_ELSEWHERE)
    place = directory.resolve()
    top = next((one for one in (place, *place.parents) if os.path.lexists(one / ".git")), place)
    admin = admin_directory(top)
    if admin is None or is_dir(admin):
        return git_failure(["git", "rev-parse"], place, answer.returncode, answer.stderr)
    return GitFailed(
        f"{top / '.git'} leads to {admin}, which is not there", hint=_way_back(top, admin)
    )


def _way_back(worktree: Path, admin: Path) -> str:
    """Return what to do about a worktree whose admin directory is not where it was."""
    if is_dir(admin.parent.parent):
        return (
            f"git has no entry for it any more: take what you need out of {worktree}, and delete it"
        )
    repair = f"worktree repair {quote(str(worktree))}"
    for place in worktree.parents:  # moved together, as with trees/ inside the main worktree
        if is_dir(place / ".git" / "worktrees" / admin.name):
            return f"git -C {quote(str(place))} {repair}"
    return f"git -C MAIN {repair} (MAIN is where the main worktree is now)"


def repository_at(common_dir: Path) -> Repository:
    """Return the repository whose common git directory is `common_dir`.

    Raises NotARepository if there is none.
    """
    found = find_repository(common_dir, known=_is_own(common_dir))
    if found.common_dir != common_dir.resolve():
        raise NotARepository(f"{common_dir} is not a git directory", hint=_ELSEWHERE)
    return found


def _is_own(directory: Path) -> bool:
    """Whether it is our user's: else, named to git, it would be used against safe.directory."""
    try:
        return directory.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _toplevel(directory: Path) -> Path:
    answer = run_git(["rev-parse", "--show-toplevel"], directory, climbing=True)
    return Path(answer.stdout.removesuffix("\n"))


def _linked_around(place: Path, common_dir: Path) -> Path | None:
    """Return the linked worktree that `place` lies in; None in a main worktree.

    A `core.worktree` that all worktrees share misleads git: it would name the main one.
    """
    top = next((one for one in (place, *place.parents) if os.path.lexists(one / ".git")), None)
    admin = admin_directory(top) if top is not None else None
    if admin is None or admin.parent.resolve() != common_dir / "worktrees":
        return None
    return top


def _main_worktree(common_dir: Path, around: Path) -> Path | None:
    """Return the main worktree's path, or None for a bare repository.

    Asked in a linked worktree, git calls a bare repository not bare, so the repository itself is
    asked, and git reads all the files that may say so. Where the main worktree does not hold `.git`
    itself (`--separate-git-dir`, a symbolic link), nothing but its own `.git` leads the way:
    it is looked for around `around`, where the search began, and around the linked worktrees.
    """
    bare, placed = _asked_itself(common_dir)
    if bare:
        return None
    if placed:
        return (common_dir / placed).resolve()
    linked = map(worktree_of_admin, admin_directories(common_dir / "worktrees"))
    places = [around, common_dir.parent, *(place for place in linked if place is not None)]
    found = (main_around(common_dir, place) for place in places)
    return next((main for main in found if main is not None), None)


def is_bare(common_dir: Path) -> bool:
    """Whether git takes the repository for bare, whatever worktrees it has."""
    return _asked_itself(common_dir)[0]


def _asked_itself(common_dir: Path) -> tuple[bool, str]:
    """Return the settings `core.bare` and `core.worktree`, from all the files that git reads."""
    question = ["config", "-z", "--get-regexp", r"^core\.(bare|worktree)$"]
    answer = run_git(question, Checkout(common_dir), check=False).stdout
    found = dict(one.split("\n", 1) for one in answer.split("\0") if "\n" in one)
    # A key without a value is true (git-config(1)), and comes without a line break.
    bare = "core.bare\0" in answer or found.get("core.bare", "").lower() in _TRUE
    return bare, found.get("core.worktree", "")


def main_around(common_dir: Path, place: Path) -> Path | None:
    """Return the main worktree of the repository at `common_dir` that `place` lies in, or None."""
    return next((one for one in (place, *place.parents) if leads_to(one, common_dir)), None)


# ---- without git -------------------------------------------------------------------------------


def _read(directory: Path) -> Repository | None:
    """Return the repository as its files tell it; None where git has to be asked."""
    if any(name in os.environ for name in _GUIDES):
        return None
    try:
        device = directory.stat().st_dev
        for place in (directory, *directory.parents):
            if place.stat().st_dev != device or is_git_directory(place):
                return None
            if os.path.lexists(place / ".git"):
                return _read_at(place)
    except OSError:
        return None
    return None


def _read_at(worktree: Path) -> Repository | None:
    """Return the repository of the worktree whose top is `worktree`. Raises OSError."""
    common_dir, mine = worktree / ".git", [worktree, worktree / ".git"]
    if not is_dir(common_dir):
        admin = admin_directory(worktree)
        if admin is None:
            return None
        common_dir = admin / os.fsdecode((admin / "commondir").read_bytes()).rstrip("\n")
        mine.append(admin)
    common_dir = common_dir.resolve()
    owners = {os.lstat(path).st_uid for path in (*mine, common_dir)}
    if owners != {os.geteuid()} or common_dir.name != ".git" or not is_git_directory(common_dir):
        return None
    if not _is_everyday((common_dir / "config").read_bytes()):
        return None
    if worktree.is_relative_to(common_dir.parent):
        return Repository(common_dir, common_dir.parent, worktree)
    # Of a git directory kept elsewhere, which may be called .git, too, this one tells the way.
    return Repository(common_dir, main_around(common_dir, worktree) or common_dir.parent, worktree)


def _is_everyday(config: bytes) -> bool:
    """Whether git's configuration says once that the repository is not bare, and no more of what a
    repository is: no setting does that this reading does not know to be harmless."""
    not_bare = 0
    for line in config.lower().split(b"\n"):
        name, _, value = (part.strip(b" \t") for part in line.partition(b"="))
        if b"[include" in line or name.startswith(b"worktree"):
            return False
        if name.endswith(b"bare"):
            if (name, value) != (b"bare", b"false"):
                return False
            not_bare += 1
    return not_bare == 1

"""Finding the repository that a directory is in, as git finds it.

What holds here: the everyday shapes are read from the files, without starting git; whatever is
unusual (bare, inside `.git`, another owner, `core.worktree`, includes, variables that guide git's
search) is asked of git. Both give the same answer (tests/repo/test_find.py).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from shlex import quote

from adw_worktree.errors import AdwError, GitFailed, NotARepository
from adw_worktree.repo.git import GitResult, git_failure, is_git_directory, run_git
from adw_worktree.repo.repository import Repository, admin_directory, list_worktrees
from adw_worktree.system.paths import is_dir

_GUIDES = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
_NOT_BARE = rb"(?m)^[ \t]*bare[ \t]*=[ \t]*false[ \t]*$"
# Settings that change what a repository is, or that this reading does not know to be harmless.
_ELSEWHERE = "adw-worktree -C DIR …, with DIR inside a repository"
_UNUSUAL = rb"(?im)\[include|^[ \t]*worktree(config)?\b|bare[ \t]*=(?![ \t]*false)"


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
    questions = ["--git-common-dir", "--is-bare-repository", "--is-inside-work-tree"]
    answer = run_git(["rev-parse", *questions], directory, check=False, climbing=not known)
    if answer.returncode != 0:
        raise _not_found(directory, answer)
    # The path comes first and may hold newlines; the two booleans are the last two lines.
    common, bare, inside = answer.stdout.removesuffix("\n").rsplit("\n", 2)
    common_dir = (directory.resolve() / common).resolve()
    worktree = _toplevel(directory) if inside == "true" else None
    return Repository(common_dir, _main_worktree(common_dir, bare == "true", worktree), worktree)


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


def _main_worktree(common_dir: Path, bare: bool, worktree: Path | None) -> Path | None:
    """Return the main worktree's path, or None for a bare repository.

    Asked inside a linked worktree, git calls a bare repository not bare, and a main worktree may
    lie elsewhere than above `.git` (`core.worktree`, `--separate-git-dir`). So the repository
    itself is asked.
    """
    if bare:
        return None
    told = run_git(["config", "--file", str(common_dir / "config"), "--type=bool", "core.bare"],
                   common_dir, check=False)  # fmt: skip
    if told.stdout.strip() == "true":
        return None
    if common_dir.name == ".git":
        return common_dir.parent
    placed = run_git(
        ["config", "--file", str(common_dir / "config"), "core.worktree"], common_dir, check=False
    ).stdout.removesuffix("\n")
    if placed:
        return (common_dir / placed).resolve()
    # --separate-git-dir records no way back: only the main worktree itself knows.
    if worktree is not None and not is_dir(worktree / ".git"):
        listed = list_worktrees(common_dir)
        if all(entry.path != worktree for entry in listed[1:]):
            return worktree
    return None


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
    config = (common_dir / "config").read_bytes()
    if re.search(_UNUSUAL, config) or len(re.findall(_NOT_BARE, config)) != 1:
        return None
    return Repository(common_dir, common_dir.parent, worktree)

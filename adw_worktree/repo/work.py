"""What work a worktree or a branch holds that removing it would lose. Reads; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from adw_worktree.errors import WorktreeUnavailable
from adw_worktree.repo.git import run_git
from adw_worktree.repo.integrated import is_on_a_ref
from adw_worktree.repo.refs import head_branch
from adw_worktree.repo.repository import (
    Repository,
    admin_directories,
    admin_directory,
    worktree_of_admin,
)
from adw_worktree.system.parallel import side_by_side
from adw_worktree.system.paths import exists, is_dir, is_file

# Files in git's admin directory while an operation waits for its user (gitrepository-layout(5)).
_UNFINISHED = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
}


class Uncommitted(NamedTuple):
    """What is in a worktree and in no commit."""

    changed: int = 0
    """Files changed, staged or in conflict, submodules included."""
    untracked: int = 0
    """Files git does not know and does not ignore."""
    unfinished: str | None = None
    """The operation that waits for its user."""
    submodules: tuple[str, ...] = ()
    """Submodules with commits that no remote of theirs has; they would go with the worktree."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.untracked or self.unfinished or self.submodules)

    def __str__(self) -> str:
        parts = [
            f"{self.changed} changed" if self.changed else "",
            f"{self.untracked} untracked" if self.untracked else "",
            f"{self.unfinished} in progress" if self.unfinished else "",
            f"unpushed commits in {', '.join(self.submodules)}" if self.submodules else "",
        ]
        return ", ".join(part for part in parts if part)


def uncommitted(worktree: Path, admin: Path, ours: Sequence[str] = ()) -> Uncommitted:
    """Return what the worktree of the admin directory holds that is in no commit.

    Also if its `.git` file is lost. `ours` are files that are nobody's work. Raises GitFailed.
    """
    codes = status_codes(worktree, admin)
    untracked = codes.count("??")
    modules = _submodules(worktree, admin)
    unpushed = tuple(path for path in modules if _has_unpushed(worktree / path))
    own = status_codes(worktree, admin, ours).count("??") if untracked and ours else 0
    return Uncommitted(len(codes) - untracked, untracked - own, unfinished(admin), unpushed)


def status_codes(worktree: Path, admin: Path | None = None, only: Sequence[str] = ()) -> list[str]:
    """Return the two letters that `git status` has for each file that is not as committed.

    `admin` is the git directory, if that is not to be what the worktree says. `only` names the
    files to look at. Raises GitFailed.
    """
    where = _named(worktree, admin) if admin else []
    where.append("--literal-pathspecs")
    status = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=none"]
    return _codes(run_git([*where, *status, "--", *only], worktree).stdout)


def _named(worktree: Path, admin: Path) -> list[str]:
    return [f"--git-dir={admin}", f"--work-tree={worktree}"]


def unfinished(git_directory: Path) -> str | None:
    """Return the operation that waits for its user in the worktree of that git directory."""
    found = [word for name, word in _UNFINISHED.items() if exists(git_directory / name)]
    return found[0] if found else None


def own_admin(repo: Repository, worktree: Path) -> Path:
    """Return git's admin directory of the worktree that it lists at `worktree`.

    Whoever works there can write to its `.git` file: one that is lost hides nothing, since git is
    told the admin directory; one that leads elsewhere may be another worktree's. Raises
    WorktreeUnavailable.
    """
    for admin in admin_directories(repo.admin_root):
        if worktree_of_admin(admin) == worktree and not _leads_elsewhere(worktree, admin):
            return admin
    link, repair = worktree / ".git", f"git -C {quote(str(repo.home))} worktree repair"
    if is_dir(link):
        what, hint = "is a directory", f"move it away, then {repair}"
    else:
        what = f"leads to {admin_directory(worktree) or 'another repository'}"
        hint = f"{repair}, if the files beside it are of this worktree"
    raise WorktreeUnavailable(f"git lists {worktree}, but {link} {what}", hint=hint)


def require_linked(repo: Repository, worktree: Path) -> Path:
    """Return the admin directory of a worktree that is fit to run git in.

    Raises WorktreeUnavailable.
    """
    admin = own_admin(repo, worktree)
    if admin_directory(worktree) is None:
        raise WorktreeUnavailable(
            f"{worktree} is there, but its .git file is lost",
            hint=f"git -C {quote(str(repo.home))} worktree repair",
        )
    return admin


def _leads_elsewhere(worktree: Path, admin: Path) -> bool:
    """Whether its `.git` is, or names, something that is not `admin`."""
    said, link = admin_directory(worktree), worktree / ".git"
    if said is not None:
        return said.name != admin.name or said.parent.resolve() != admin.parent.resolve()
    if not exists(link):
        return False
    return is_dir(link) or not run_git(["rev-parse", "--git-dir"], worktree, check=False).returncode


def is_pruning_safe(repo: Repository, admin: Path) -> bool:
    """Whether git's admin directory of a vanished worktree holds nothing that is nowhere else.

    That is an unfinished operation, or the last name of commits on no branch.
    """
    if unfinished(admin):
        return False
    if head_branch(admin) is not None:
        return True
    try:
        commit = (admin / "HEAD").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return False
    return is_on_a_ref(repo, commit)


def are_pruning_safe(repo: Repository, admins: Sequence[Path]) -> list[bool]:
    """Return `is_pruning_safe` of each admin directory."""
    return side_by_side(lambda admin: is_pruning_safe(repo, admin), admins)


def _codes(status: str) -> list[str]:
    """Return the letters of each entry of `git status -z`."""
    codes = []
    items = iter(status.split("\0"))
    for item in items:
        if item:
            codes.append(item[:2])
            if set(item[:2]) & set("RC"):  # in the index, or (`git add -N`) in the worktree alone
                next(items, None)  # the other name of a rename
    return codes


def _submodules(worktree: Path, admin: Path) -> list[str]:
    """Return the paths of the submodules that are checked out in `worktree`."""
    if not is_file(worktree / ".gitmodules"):
        return []
    from configparser import Error

    import git

    try:
        with git.Repo(worktree) as repository:
            return [str(module.path) for module in repository.submodules if module.module_exists()]
    except (Error, git.GitError, ValueError, KeyError, TypeError, AttributeError, OSError):
        # A commit may bring any .gitmodules; the index tells, too.
        command = [*_named(worktree, admin), "ls-files", "--stage", "-z"]
        listed = run_git(command, worktree).stdout.split("\0")
        paths = [line.partition("\t")[2] for line in listed if line.startswith("160000 ")]
        return [path for path in paths if exists(worktree / path / ".git")]


def _has_unpushed(submodule: Path) -> bool:
    """Whether the submodule has commits that none of its remote branches has."""
    command = ["rev-list", "--max-count=1", "HEAD", "--branches", "--not", "--remotes"]
    answer = run_git(command, submodule, check=False)
    return answer.returncode != 0 or bool(answer.stdout.strip())

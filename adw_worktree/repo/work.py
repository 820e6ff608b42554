"""What work a worktree or a branch holds that removing it would lose. Reads; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote

from adw_worktree.errors import WorktreeUnavailable
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.integrated import is_on_a_ref
from adw_worktree.repo.refs import head_branch
from adw_worktree.repo.repository import (
    Repository,
    admin_directories,
    admin_directory,
    worktree_of_admin,
)
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.parallel import side_by_side
from adw_worktree.system.paths import exists, is_dir

# Files in git's admin directory while an operation waits for its user (gitrepository-layout(5)).
_UNFINISHED = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
}


# What the index has, and the index of nearly no worktree: looked for before git is asked.
_GITLINK_MODE = (0o160000).to_bytes(4, "big")
_SPLIT_INDEX = b"link\0"


class Uncommitted(NamedTuple):
    """What is in a worktree and in no commit."""

    changed: int = 0
    """Files changed, staged or in conflict, submodules included."""
    untracked: int = 0
    """Files git does not know and does not ignore."""
    unfinished: str | None = None
    """The operation that waits for its user."""
    submodules: tuple[str, ...] = ()
    """Submodules, and other repositories inside, with commits that no remote of theirs has."""

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
    codes = status_codes(Checkout(admin, worktree))
    untracked = codes.count("??")
    inside = _repositories_inside(worktree, admin)
    unpushed = sorted(name for name, git_dir in inside if _has_unpushed(git_dir))
    own = status_codes(Checkout(admin, worktree), ours).count("??") if untracked and ours else 0
    return Uncommitted(len(codes) - untracked, untracked - own, unfinished(admin), tuple(unpushed))


def status_codes(checkout: Checkout, only: Sequence[str] = ()) -> list[str]:
    """Return the two letters that `git status` has for each file that is not as committed.

    `only` names the files to look at; without it, all. Raises GitFailed.
    """
    status = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=none"]
    return _codes(run_git(["--literal-pathspecs", *status, "--", *only], checkout).stdout)


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

    That is an unfinished operation, the last name of commits on no branch, or commits in a
    submodule.
    """
    if unfinished(admin) or any(_has_unpushed(git_dir) for _, git_dir in _submodules(admin)):
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


def _repositories_inside(worktree: Path, git_dir: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and git directory of each repository that would go with `worktree`."""
    yield from _submodules(git_dir)
    for path in _gitlinks(worktree, git_dir):
        inner = worktree / path
        if is_dir(inner / ".git"):  # else it is a submodule's, and leads to where that is stored
            yield path, inner / ".git"
            for name, further in _repositories_inside(inner, inner / ".git"):
                yield f"{path}/{name}", further


def _submodules(git_dir: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and git directory of each submodule that is stored in `git_dir`.

    They are there as long as that is, checked out or not. A submodule's own are in its.
    """
    root = git_dir / "modules"
    for place, folders, files in os.walk(root):
        if "HEAD" in files:
            yield place[len(str(root)) + 1 :].replace("/modules/", "/"), Path(place)
            folders[:] = [name for name in folders if name == "modules"]


def _gitlinks(worktree: Path, git_dir: Path) -> list[str]:
    """Return the paths of the repositories that the index has, whatever `.gitmodules` says."""
    index = git_dir / "index"
    content = index.read_bytes() if exists(index) else b""
    if _GITLINK_MODE not in content and _SPLIT_INDEX not in content:
        return []
    listed = run_git(["ls-files", "--stage", "-z"], Checkout(git_dir, worktree)).stdout
    lines = [line for line in listed.split("\0") if line.startswith("160000 ")]
    return [line.partition("\t")[2] for line in lines]


def _has_unpushed(git_dir: Path) -> bool:
    """Whether the repository has commits, on branches or stashed, that no remote of its has."""
    ours = ["--exclude=refs/remotes/*", "--exclude=refs/tags/*", "--all", "--not", "--remotes"]
    # Its own setting of a worktree may lead to a directory that is not there any more.
    command = ["rev-list", "--max-count=1", *ours]
    answer = run_git(command, Checkout(git_dir), check=False)
    return answer.returncode != 0 or bool(answer.stdout.strip())

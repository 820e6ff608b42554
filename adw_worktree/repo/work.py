"""What work a worktree or a branch holds that removing it would lose. Reads; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shlex import quote

from adw_worktree.errors import AdwError, GitFailed, WorktreeUnavailable
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.index import Index, changed_unseen, load_index, unseen_in_words
from adw_worktree.repo.integrated import is_on_a_ref
from adw_worktree.repo.nested import work_in_modules, work_in_nested
from adw_worktree.repo.refs import head_branch, refs_of_worktree, resolve_commit
from adw_worktree.repo.repository import (
    Repository,
    admin_directories,
    admin_directory,
    worktree_of_admin,
)
from adw_worktree.repo.status import is_as_committed, status_codes
from adw_worktree.repo.unfinished import unfinished
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.parallel import side_by_side
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.system.text import named

_LARGE_INDEX_BYTES = 1_000_000


class Uncommitted(NamedTuple):
    """What is in a worktree and in no commit."""

    changed: int = 0
    """Files changed, staged or in conflict, submodules included."""
    untracked: int = 0
    """Files git does not know and does not ignore."""
    unfinished: str | None = None
    """The operation that waits for its user."""
    unseen: tuple[str, ...] = ()
    """In words, what `git status` does not show and what would go with the worktree."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.untracked or self.unfinished or self.unseen)

    def __str__(self) -> str:
        parts = [
            f"{self.changed} changed" if self.changed else "",
            f"{self.untracked} untracked" if self.untracked else "",
            f"{self.unfinished} in progress" if self.unfinished else "",
            named(self.unseen) if self.unseen else "",
        ]
        return ", ".join(part for part in parts if part)


def uncommitted(worktree: Path, admin: Path, ours: Sequence[str] = ()) -> Uncommitted:
    """Return what the worktree of the admin directory holds that is in no commit.

    Also if its `.git` file is lost. `ours` are files that are nobody's work. Raises GitFailed.
    """
    checkout = Checkout(admin, worktree)
    index, (codes, seen) = _looked_at(checkout)
    unseen = unseen_in_words(changed_unseen(checkout, index.marked))
    unseen += work_in_nested(checkout, index.gitlinks, seen=seen)
    waiting = unfinished(admin)
    unseen += [f"the ref {name}" for name in _own_refs(admin, waiting)]
    untracked = codes.count("??")
    own = status_codes(checkout, only=ours).count("??") if untracked and ours else 0
    return Uncommitted(len(codes) - untracked, untracked - own, waiting, tuple(unseen))


def _looked_at(checkout: Checkout) -> tuple[Index, tuple[list[str], bool]]:
    """Return the index, and what `git status` tells, at once where either takes a while."""
    look = partial(_status, checkout)
    index = checkout.git_directory / "index"
    if not exists(index) or index.stat().st_size < _LARGE_INDEX_BYTES:
        return load_index(checkout), look()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        status = beside.submit(look)
        return load_index(checkout), status.result()


def _status(checkout: Checkout) -> tuple[list[str], bool]:
    """Return the codes of `git status`, and whether it could look at submodules."""
    try:
        return status_codes(checkout), True
    except GitFailed:
        return status_codes(checkout, submodules=False), False  # or that is what fails


def _own_refs(admin: Path, waiting: str | None) -> list[str]:
    """Return the refs that go with the worktree, but for those of a bisection in progress."""
    refs = refs_of_worktree(admin)
    return [name for name in refs if not (waiting and name.startswith("refs/bisect/"))]


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


def held_by_entry(repo: Repository, admin: Path) -> list[str]:
    """Return, in words, what only git's admin directory of a vanished worktree holds.

    That is an unfinished operation, staged changes, the last name of commits, or what submodules
    have. Its worktree may be somewhere else, and lost without it.
    """
    try:
        waiting = unfinished(admin)
        held = [f"{waiting} in progress"] if waiting else []
        held += [f"the ref {name}" for name in _own_refs(admin, waiting)]
        if head_branch(admin) is None:
            commit = resolve_commit(Checkout(admin), "HEAD")
            if commit is None or not is_on_a_ref(repo, commit):
                held.append("commits on no branch")
        if not is_as_committed(admin):
            held.append("staged changes")
        return held + work_in_modules(admin)
    except (AdwError, OSError) as exc:
        return [f"whatever cannot be looked into ({exc})"]


def held_by_entries(repo: Repository, admins: Sequence[Path]) -> list[list[str]]:
    """Return `held_by_entry` of each admin directory."""
    return side_by_side(lambda admin: held_by_entry(repo, admin), admins)

"""What became of a lease's worktree: alive, gone, or unknown. Reads a few small files; no process.

What holds here: only `gone` frees a slot, and it takes evidence. What is locked, moved, not
mounted or cannot be read is `unknown`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from adw_worktree.pool.env_header import vouches_for
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.receipts import has_receipt, receipt_token
from adw_worktree.repo.repository import admin_directory, name_each_other, worktree_of_admin
from adw_worktree.settings.model import DEFAULT_ENV_FILE
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from adw_worktree.pool.lease import Verdict

    LeaseState = Literal["active", "pending", "reserved", "unknown"]


class Finding(NamedTuple):
    """A verdict and what it rests on."""

    verdict: Verdict
    reason: str
    path: Path | None = None
    """Where the worktree is, as far as known."""
    moved_to: Path | None = None
    """Where a directory that somebody moved by hand was found; git does not know it there yet."""
    doubtful: bool = False
    """Whether `gone` rests on a directory's absence alone, while git still lists it."""


class Standing(NamedTuple):
    """A lease as every report shows it."""

    state: LeaseState
    """`reserved` without a worktree, `unknown` if that is not to be seen."""
    path: Path | None
    """Where the worktree is, or was seen last."""
    locked: bool = False


def standing_of(lease: Lease, finding: Finding, common_dir: Path | None) -> Standing:
    """Return how `lease`, of whose worktree `finding` was found, stands."""
    if lease.path is None:
        return Standing("reserved", None)
    linked = common_dir is not None and lease.admin_id is not None
    locked = linked and _is_locked(f"{common_dir}/worktrees/{lease.admin_id}")
    state: LeaseState = "active" if finding.verdict == "alive" else "unknown"
    state = "pending" if lease.state == "pending" else state
    return Standing(state, finding.path or Path(lease.path), locked)


def _is_locked(admin: str) -> bool:
    """Whether git keeps the worktree of `admin` from being removed; no if that cannot be seen."""
    try:
        return exists(f"{admin}/locked")
    except OSError:
        return False


class Sweep(NamedTuple):
    """What became of the worktrees of leases, at one look at each."""

    released: list[tuple[Lease, Finding]]
    """The leases whose worktrees were gone, with the evidence."""
    kept: list[tuple[Lease, Finding]]
    """The others that have a worktree; those in the making are not looked at."""


class Seen:
    """What a look a moment ago has found of leases, so that none is looked at twice."""

    def __init__(self, found: Iterable[tuple[Lease, Finding]]) -> None:
        self._by_token = {lease.token: (lease, finding) for lease, finding in found}

    def finding(self, lease: Lease) -> Finding | None:
        """Return what was found of `lease`; None if it was another lease then, or none."""
        before, finding = self._by_token.get(lease.token, (None, None))
        return finding if before == lease else None


def judge(lease: Lease, common_dir: Path, env_file: str | None = DEFAULT_ENV_FILE) -> Finding:
    """Return what became of the worktree of `lease`, in the repository at `common_dir`.

    `env_file` is what its settings call the env file, None if they are not known.
    A lease without a worktree is `unknown`: nothing but a person or its age can end it.
    """
    if lease.path is None:
        return Finding("unknown", "reserved without a worktree")
    path = Path(lease.path)
    if lease.admin_id is None:
        return _judge_unlinked(lease, path, common_dir)
    if _is_plainly_alive(lease, f"{common_dir}/worktrees/{lease.admin_id}"):
        return _alive(path)
    admin = common_dir / "worktrees" / lease.admin_id
    try:
        admin.stat()
    except FileNotFoundError:
        return _judge_unlinked(lease, path, common_dir)
    except OSError as exc:
        return Finding("unknown", f"git's admin directory cannot be read: {exc.strerror}", path)
    return _judge_linked(lease, admin, common_dir, env_file)


def _is_plainly_alive(lease: Lease, admin: str) -> bool:
    """Whether three files, read once each, leave nothing to be looked into by `_judge_linked`.

    Of nearly every lease that is all: the receipt is its own, and git's entry and the worktree's
    `.git` file name each other.
    """
    return name_each_other(str(lease.path), admin) and receipt_token(admin) == lease.token


def _alive(worktree: Path) -> Finding:
    return Finding("alive", "its worktree is there", worktree)


def _judge_linked(lease: Lease, admin: Path, common_dir: Path, env_file: str | None) -> Finding:
    """Judge a lease whose admin directory exists: still its own, and the tree there?"""
    token = receipt_token(admin)
    named = worktree_of_admin(admin)
    if named is None:
        return _judge_nameless(lease)
    if token is not None and token != lease.token:
        return Finding("gone", "another worktree has its place")
    identity = _identity(named)
    link = _identity(named / ".git")
    for place in (identity, link):
        if isinstance(place, OSError):
            return Finding("unknown", f"{named} cannot be read: {place.strerror}", named)
    ours = identity is not None and _is_recorded(lease, identity)
    foreign = _foreign_owner(named, admin) if link is not None else None
    if foreign is not None and receipt_token(foreign) == lease.token:
        return Finding("gone", f"this repository is a copy; the worktree belongs to {foreign}")
    replaced = foreign is not None or is_dir(named / ".git")
    linked = admin_directory(named) if foreign is None else None
    if linked is not None and linked.name != admin.name and is_dir(linked):
        return Finding("unknown", f"{named}/.git leads to another worktree's entry", named)
    if identity is not None and link is not None and not replaced:
        if token is None and not vouches_for(named, lease, env_file):
            if has_receipt(admin):  # a new worktree has none, so it may well be the lease's
                seen = Finding("unknown", "its receipt cannot be read", named)
                return _alive(named) if ours else seen
            if env_file is None:  # it may be the lease's, with the env file under its own name
                return Finding("unknown", "its receipt is missing", named)
            # An equal inode proves nothing: a new directory often gets the one just freed.
            return Finding("gone", "another worktree has its place")
        return _alive(named)
    if ours and not replaced:
        return Finding("unknown", f"{named} is there, but its .git file is missing", named)
    if exists(admin / "locked"):
        return Finding("unknown", "locked, and its directory is missing", named)
    return _judge_missing(lease, named, common_dir)


def _judge_nameless(lease: Lease) -> Finding:
    """Judge a lease whose admin directory does not say where the worktree is: git was cut short."""
    path = Path(lease.path or "")
    try:
        found = path if _links_back(lease, path) else _beside(lease, path.parent)
    except OSError:
        found = None
    return Finding("unknown", "git does not know where it is", found, moved_to=found)


def _foreign_owner(worktree: Path, admin: Path) -> Path | None:
    """Return the admin directory of another repository that the worktree belongs to, if it does.

    Both must name each other: after its repository was moved, a worktree names what is no more.
    """
    linked = admin_directory(worktree)
    if linked is None or worktree_of_admin(linked) != worktree:
        return None
    return None if linked.parent.resolve() == admin.parent.resolve() else linked


def _judge_unlinked(lease: Lease, path: Path, common_dir: Path) -> Finding:
    """Judge a lease that git has no admin directory for (any more, or yet)."""
    identity = _identity(path)
    if isinstance(identity, OSError):
        return Finding("unknown", f"{path} cannot be read: {identity.strerror}", path)
    if identity is None:
        found = _judge_missing(lease, path, common_dir)
        return Finding(found.verdict, found.reason, found.path, found.moved_to)
    if lease.inode is not None and not _is_recorded(lease, identity):
        return Finding("gone", "git removed it, and something else has its place")
    return Finding("unknown", f"git lists it no more, but {path} is there", path)


def _judge_missing(lease: Lease, path: Path, common_dir: Path) -> Finding:
    """Judge a worktree whose directory is not where it was: deleted, moved, or not mounted?"""
    ancestor = next((parent for parent in path.parents if is_dir(parent)), Path(path.anchor))
    try:
        found = ancestor.stat()
        home = common_dir.stat()
        beside = _beside(lease, ancestor) if ancestor == path.parent else None
    except OSError as exc:
        return Finding("unknown", f"{ancestor} cannot be read: {exc.strerror}", path)
    beside = beside or _under(lease, path, common_dir.parent)
    if beside is not None:
        return Finding("unknown", f"moved to {beside}", beside, moved_to=beside)
    was_at_home = lease.device == lease.home_device and found.st_dev == home.st_dev
    if lease.device is not None and lease.device != found.st_dev and not was_at_home:
        return Finding("unknown", f"the file system of {path} is not mounted", path)
    return Finding("gone", "its directory is gone", doubtful=True)


def _beside(lease: Lease, parent: Path) -> Path | None:
    """Return the directory in `parent` that has the recorded inode. Raises OSError."""
    if lease.inode is None:
        return None
    with os.scandir(parent) as found:
        for item in found:
            if item.is_dir(follow_symlinks=False) and item.inode() == lease.inode:
                return Path(item.path) if _links_back(lease, Path(item.path)) else None
    return None


def _under(lease: Lease, path: Path, home: Path) -> Path | None:
    """Return where the worktree lies if the repository was moved to `home` with it inside."""
    for depth in range(1, len(path.parts)):
        candidate = home.joinpath(*path.parts[depth:])
        identity = _identity(candidate)
        if identity is not None and _is_recorded(lease, identity):
            return candidate if _links_back(lease, candidate) else None
    return None


def _links_back(lease: Lease, directory: Path) -> bool:
    """Whether `directory` is a worktree of the lease's admin id, not a stranger's reused inode."""
    admin = admin_directory(directory)
    if admin is None or admin.name != lease.admin_id:
        return False
    # Another repository's of the same name is that one's, whose inode it may be by chance.
    return worktree_of_admin(admin) != directory or receipt_token(admin) == lease.token


def _identity(path: Path) -> os.stat_result | OSError | None:
    """Return the directory's stat, None if there is none, or why it cannot be known."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        return exc
    return found


def _is_recorded(lease: Lease, identity: os.stat_result | OSError) -> bool:
    """Whether the directory is the one the lease was made for.

    The inode alone is compared: device numbers change with a reboot.
    """
    return isinstance(identity, os.stat_result) and identity.st_ino == lease.inode

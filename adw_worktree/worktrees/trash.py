"""The trash: removed worktrees that held work, kept for a while in the common git directory.

An entry is the directory `adw-worktree/trash/<name>`: the worktree's files (`tree`), git's admin
directory of it (`admin`) and what is known of it (`entry.json`). The ref
`refs/adw-worktree/trash/<name>` keeps its commits, and what was staged, from git's collection.

What holds here: on its way in, an entry's name ends in `.removing`, on its way out in `.restoring`
or `.deleting`, and `<name>.lock` is held by whoever moves it. One whose lock is free was
interrupted, and is finished by the next command; so every step can be taken twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adw_worktree.adw_id import can_name, check_adw_id
from adw_worktree.errors import AdwError, FileUnusable, InvalidAdwId
from adw_worktree.repo.git import run_git
from adw_worktree.repo.repository import Repository
from adw_worktree.system import background, deleting
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import discard, held, try_lock
from adw_worktree.system.mounts import require_unmounted
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Way = Literal["removing", "restoring", "deleting", "stuck"]

_WAYS: tuple[Way, ...] = ("removing", "restoring", "deleting")
_SCHEMA_VERSION = 1
_RECORD = "entry.json"
_EXPIRED = "expired"
# An entry goes only if it was too old in two passes this far apart: a clock that was wrong for an
# hour empties nothing.
_SECOND_LOOK = timedelta(days=1)


class Entry(NamedTuple):
    """A removed worktree."""

    name: str
    path: str
    """Where the worktree was, or is to be again."""
    admin_id: str
    """The name git had for it, or is to have."""
    commit: str | None
    """What HEAD was at."""
    branch: str | None
    """The branch HEAD was on."""
    adw_id: str | None
    """None for a worktree without a lease."""
    token: str | None
    """The lease's."""
    slot: int | None
    branch_dropped_at: str | None
    """The commit of the branch that is deleted with the worktree; None if the branch stays."""
    upstream: str | None
    """The ref that a branch which is deleted was tracking."""
    removed_at: str
    """ISO 8601, UTC."""
    kept: bool
    """Whether it held work; otherwise it is deleted at once."""


_ALWAYS_THERE = ("name", "path", "admin_id", "removed_at", "kept")


def new_name(adw_id: str | None) -> str:
    """Return a name for an entry that nothing had before."""
    return f"{adw_id or 'worktree'}-{os.urandom(6).hex()}"


def place(repo: Repository, name: str, way: Way | None = None) -> Path:
    """Return where the entry lies, or lies while it is on its way."""
    return repo.tool_dir / "trash" / (f"{name}.{way}" if way else name)


def save(directory: Path, entry: Entry) -> None:
    """Write down what is known of the entry. Raises OSError."""
    document = {"schema_version": _SCHEMA_VERSION, **entry._asdict()}
    write_atomically(
        directory / _RECORD,
        json.dumps(document, indent=2).encode() + b"\n",
        mode=0o600,
        shared=True,
    )


def load(directory: Path) -> Entry | None:
    """Return the entry in `directory`; None if nothing there can be read as one."""
    try:
        document = json.loads((directory / _RECORD).read_bytes())
        if document.pop("schema_version") != _SCHEMA_VERSION:
            return None
        entry = Entry(**document)
        _require_types(entry)
        if entry.adw_id is not None:
            check_adw_id(entry.adw_id)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, InvalidAdwId):
        return None
    whole = entry.admin_id not in ("", ".", "..") and "/" not in entry.admin_id
    named = directory.name in (entry.name, f"{entry.name}.removing", f"{entry.name}.restoring")
    return entry if whole and named and Path(entry.path).is_absolute() else None


def _require_types(entry: Entry) -> None:
    """Raise ValueError or TypeError if a field holds what it never does."""
    for name, value in entry._asdict().items():
        kind = {"kept": bool, "slot": int}.get(name, str)
        if not isinstance(value, kind) and not (value is None and name not in _ALWAYS_THERE):
            raise TypeError(name)
        if isinstance(value, str) and not can_name(value):
            raise ValueError(name)
    if datetime.fromisoformat(entry.removed_at).tzinfo is None:
        raise ValueError("removed_at")
    if entry.branch_dropped_at is not None:
        int(entry.branch_dropped_at, 16)


def kept_entries(repo: Repository) -> list[Entry]:
    """Return what can be restored, the newest first."""
    found = [load(place(repo, name)) for name in _names(repo) if not _is_moving(name)]
    kept = [entry for entry in found if entry is not None and entry.kept]
    return sorted(kept, key=lambda entry: entry.removed_at, reverse=True)


def interrupted(repo: Repository) -> list[tuple[str, Way]]:
    """Return the names of entries that are on their way, and which; some may be moving just now."""
    moving: list[tuple[str, Way]] = []
    for name in _names(repo):
        for way in _WAYS:
            if name.endswith(f".{way}"):
                moving.append((name.removesuffix(f".{way}"), way))
    return moving


def tokens(repo: Repository) -> set[str]:
    """Return the lease tokens of all that is kept, or that is on its way in or out.

    Raises FileUnusable if there is something that does not tell.
    """
    found: set[str] = set()
    for name in _names(repo):
        directory = place(repo, name)
        if name.endswith((".deleting", ".lock", ".stuck")):
            continue
        if not exists(directory / _RECORD) and exists(directory):
            continue  # on its way in, and its lease still there
        entry = load(directory)
        if entry is None and not exists(directory / _RECORD):
            return tokens(repo)  # it went on its way since
        if entry is None:
            raise FileUnusable(f"{directory} cannot be read", hint=f"look into {directory}")
        if entry.kept and entry.token is not None:
            found.add(entry.token)
    return found


def abandoned(repo: Repository) -> list[tuple[str, Way]]:
    """Return those that are on their way and that nobody moves any more."""
    found = []
    for name, way in interrupted(repo):
        with moving(repo, name) as ours:
            if ours and not (way == "deleting" and _is_locked(place(repo, name, way))):
                found.append((name, way))
    return found


def _is_locked(directory: Path) -> bool:
    """Whether somebody deletes the files in a directory just now; see `finish_deleting`."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True  # it was, and they are gone
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def moving(repo: Repository, name: str) -> Iterator[bool]:
    """Hold the entry's lock; False if another process has it."""
    path = place(repo, name).with_name(f"{name}.lock")
    lock = try_lock(path)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        discard(lock)


@contextmanager
def taken(repo: Repository, name: str, timeout: float) -> Iterator[None]:
    """Hold the entry's lock, after whoever sweeps it away as stray. Raises LockTimeout."""
    path = place(repo, name).with_name(f"{name}.lock")
    with held(path, timeout, f"{name} in the trash"):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def drop_stray_locks(repo: Repository) -> None:
    """Take away the locks of processes that died before or after an entry was on its way."""
    names = set(_names(repo))
    for name in names:
        entry = name.removesuffix(".lock")
        if name != entry and not {f"{entry}.{way}" for way in _WAYS} & names:
            with moving(repo, entry):
                pass


def protect(repo: Repository, entry: Entry) -> None:
    """Keep what only the worktree names from git's collection, while git still has its entry.

    Raises GitFailed, OSError if that cannot be.
    """
    from adw_worktree.worktrees.trash_objects import holding_commit

    kept = holding_commit(repo, repo.admin_root / entry.admin_id, entry.commit)
    if kept is None:
        return
    reached("trash-ref.before")
    run_git(["update-ref", _ref(entry.name), kept], repo.checkout, shielded=True)
    reached("trash-ref.after")


def forget(repo: Repository, entry: Entry, way: Way | None = None) -> None:
    """Delete the entry, on its `way` or kept, and let git collect its commits. Raises OSError."""
    place(repo, entry.name, way).rename(place(repo, entry.name, "deleting"))
    reached("trash.given-up")
    finish_deleting(repo, entry.name, has_ref=entry.kept)


def finish_deleting(repo: Repository, name: str, *, has_ref: bool = True) -> None:
    """Delete what is left of the entry, its files while the caller goes on.

    Whoever deletes them has their directory locked. What cannot be deleted gets another name, and
    is tried again by `purge`. Raises OSError.
    """
    directory = place(repo, name, "deleting")
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # whoever deleted its files has just come to an end
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if has_ref:
                reached("trash-unref.before")
                run_git(["update-ref", "-d", _ref(name)], repo.checkout, check=False, shielded=True)
                reached("trash-unref.after")
            stuck = str(place(repo, name, "stuck"))
            # -I -S: the file needs nothing but Python, and starts in a fifth of the time.
            command = [sys.executable, "-I", "-S", deleting.__file__, str(directory), stuck]
            if not background.start(command, directory.parent, keeping=descriptor):
                delete(directory)
    finally:
        os.close(descriptor)


def stuck(repo: Repository) -> list[Path]:
    """Return the directories whose files could not be deleted."""
    names = [name for name in _names(repo) if name.endswith(".stuck")]
    return [place(repo, name) for name in names]


def purge(repo: Repository, days: float) -> None:
    """Delete what was not to be kept, and what was kept for more than `days`.

    What cannot be deleted stays, and is tried again by the next call.
    """
    try:
        names = _names(repo)
    except OSError:
        return
    for name in names:
        directory = place(repo, name)
        if name.endswith(".stuck"):
            with suppress(OSError, AdwError):
                require_unmounted(directory)
                directory.rename(directory.with_suffix(".deleting"))
                finish_deleting(repo, directory.stem)
        if _is_moving(name) or not is_dir(directory):
            continue
        entry = load(directory)
        try:
            if entry is not None and (not entry.kept or _is_expired(entry, directory, days)):
                require_unmounted(directory)
                with moving(repo, name) as ours:
                    if ours:
                        forget(repo, entry)
        except (AdwError, OSError):
            continue


def delete(directory: Path) -> None:
    """Delete a directory with all that is in it, but nothing mounted there. Raises OSError."""
    if not os.path.lexists(directory):
        return
    deleting.delete_tree(directory)
    reached("trash.deleted")


def kept_until(entry: Entry, days: float) -> datetime:
    """Return when the entry may be deleted."""
    removed = datetime.fromisoformat(entry.removed_at)
    latest = datetime.max.replace(tzinfo=UTC)
    # A clock may have been set to any year.
    return removed + timedelta(days=days) if removed < latest - timedelta(days=days) else latest


def now() -> str:
    """Return the time as entries record it."""
    return datetime.now(UTC).isoformat()


def moved_to(entry: Entry, *, adw_id: str, path: Path, admin_id: str) -> Entry:
    """Return the entry with the place it is to have again."""
    return entry._replace(adw_id=adw_id, path=str(path), admin_id=admin_id)


def _names(repo: Repository) -> list[str]:
    try:
        return sorted(os.listdir(repo.tool_dir / "trash"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_moving(name: str) -> bool:
    return name.endswith((*(f".{way}" for way in _WAYS), ".lock", ".stuck"))


def _is_expired(entry: Entry, directory: Path, days: float) -> bool:
    mark = directory / _EXPIRED
    if datetime.now(UTC) < kept_until(entry, days):
        mark.unlink(missing_ok=True)
        return False
    try:
        age = time.time() - mark.stat().st_mtime
    except FileNotFoundError:
        mark.touch()
        reached("trash.expired")
        return days == 0
    return age >= _SECOND_LOOK.total_seconds() or days == 0


def _ref(name: str) -> str:
    return f"refs/adw-worktree/trash/{name}"

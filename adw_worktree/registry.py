"""The state directory: the machine-wide lock, the list of ledgers, the slots in doubt.

Each ledger has an entry file of its own, so that damage to one says nothing of the others. The
entry keeps the leases as they last were: while a repository is not mounted its slots stay taken.

Everything here but `machine_lock` is called with the machine lock held.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
from binascii import crc32
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from .atomic import write_atomically
from .errors import LedgerError, LedgerTooNew, is_disk_failure
from .faults import reached
from .locks import held
from .model import Lease, can_name
from .schema import DocumentDamaged, lease_document, read_document


class Entry(NamedTuple):
    """What the machine knows of one ledger."""

    ledger: Path
    common_dir: Path
    device: int
    """st_dev and `inode` st_ino of the common git directory, to know it when it was renamed."""
    inode: int
    identity: str
    """The name that the repository itself carries, see `identity_of`."""
    leases: Mapping[str, Lease]
    """As they were when a slot was last taken or given back."""


def machine_lock(state_dir: Path, timeout: float) -> AbstractContextManager[None]:
    """Return the lock that every hand-out of a slot on this machine takes first."""
    return held(state_dir / "machine.lock", timeout, "the pool of this machine")


def prepare_state_directory(state_dir: Path) -> None:
    """Make the state directory, private to the user. Raises LedgerError if that cannot be.

    One that is there and writable by its group is shared by that group, and so is what is made in
    it.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if state_dir.stat().st_mode & stat.S_IWOTH:
            raise LedgerError(
                f"the state directory {state_dir} can be written to by everybody",
                hint=f"chmod o-w {quote(str(state_dir))}, or choose another with ADW_STATE_HOME",
            )
        folder = state_dir / "ledgers"
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            reached("state.directory")
            if _shared(state_dir):
                os.chown(folder, -1, state_dir.stat().st_gid)
                folder.chmod(0o2770)
        if _shared(state_dir):
            _make_shared_lock(state_dir, state_dir / "machine.lock")
    except OSError as exc:
        raise LedgerError(
            f"the state directory {state_dir} cannot be made: {exc.strerror}",
            hint="make it writable, or choose another with ADW_STATE_HOME",
        ) from exc


def entries(state_dir: Path, own: Path | None = None) -> Iterator[Entry]:
    """Yield the entry of every ledger on this machine.

    Raises LedgerError on one that cannot be read: its slots are unknown, which is not free. But the
    file `own`, if it is damaged, is left out: what it said stands in the ledger itself.
    """
    folder = state_dir / "ledgers"
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return
    for file in files:
        try:
            yield _load(file)
        except LedgerTooNew:
            raise
        except LedgerError:
            if file != own:
                raise


def entry_file(state_dir: Path, ledger: Path, common_dir: Path) -> Path:
    """Return the file for the entry of a ledger; another clone at its path has another."""
    return _entry_file(state_dir, ledger, common_dir.stat().st_ino, identity_of(common_dir))


def file_of(state_dir: Path, entry: Entry) -> Path:
    """Return the file that `entry` is recorded in."""
    return _entry_file(state_dir, entry.ledger, entry.inode, entry.identity)


def entry_of(state_dir: Path, ledger: Path, common_dir: Path) -> Entry | None:
    """Return the entry of the ledger at `ledger`, or None if there is none that can be read."""
    return _sound(entry_file(state_dir, ledger, common_dir))


def remembered(state_dir: Path, ledger: Path, common_dir: Path) -> list[Lease]:
    """Return the leases that the entry of a lost ledger has, none if it is missing or damaged.

    Raises LedgerError if the disk or its permissions keep us from it: what it has is unknown then.
    """
    file = entry_file(state_dir, ledger, common_dir)
    try:
        return list(_load(file).leases.values())
    except LedgerError as exc:
        if isinstance(exc.__cause__, OSError) and is_disk_failure(exc.__cause__):
            raise
        return []


def record(state_dir: Path, entry: Entry) -> None:
    """Write down `entry` in place of its ledger's earlier one; set a damaged one aside."""
    file = file_of(state_dir, entry)
    document = {
        "schema_version": 1,
        "ledger": str(entry.ledger),
        "common_dir": str(entry.common_dir),
        "device": entry.device,
        "inode": entry.inode,
        "identity": entry.identity,
        "leases": lease_document(entry.leases.values()),
    }
    data = json.dumps(document, indent=2).encode() + b"\n"
    try:
        if os.path.lexists(file) and _sound(file) is None:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            file.rename(file.with_name(f"{file.name}.corrupt-{now}"))
        _write(state_dir, file, data)
    except OSError as exc:
        raise _unwritable(state_dir, exc) from exc


def forget(state_dir: Path, entry: Entry) -> None:
    """Take the ledger of `entry` off the list. Raises LedgerError."""
    try:
        file_of(state_dir, entry).unlink(missing_ok=True)
    except OSError as exc:
        raise _unwritable(state_dir, exc) from exc
    reached("registry.forgotten")


def leftovers(state_dir: Path) -> list[Path]:
    """Return the entry files whose writer may have died: a temporary one lies beside them."""
    found = (state_dir / "ledgers").glob(".*.json.tmp")
    return [file.with_name(file.name.removeprefix(".").removesuffix(".tmp")) for file in found]


def is_there(entry: Entry) -> bool:
    """Whether the very repository of `entry` can be seen at its path, not another in its place."""
    return is_at(entry, entry.common_dir)


def is_at(entry: Entry, common_dir: Path) -> bool:
    """Whether the repository of `entry` is at `common_dir`.

    Of the file system's numbers the inode alone: device numbers change with a reboot.
    """
    try:
        same = common_dir.stat().st_ino == entry.inode
    except OSError:
        return False
    # An entry from before repositories had names has none.
    return same and entry.identity in ("", identity_of(common_dir))


def identity_of(common_dir: Path) -> str:
    """Return the random name that a repository got when it first held a slot; empty before.

    A new repository often gets the inode of one that was deleted, and a copy has the name of its
    original: only both together tell a repository.
    """
    try:
        name = _read(common_dir / "adw-worktree" / "identity").decode("ascii").strip()
    except (OSError, ValueError):
        return ""
    return name if re.fullmatch("[0-9a-f]{32}", name) else ""


def ensure_identity(common_dir: Path) -> str:
    """Return the repository's name; the machine lock is held. Raises LedgerError."""
    name = identity_of(common_dir)
    if not name:
        name = os.urandom(16).hex()
        try:
            (common_dir / "adw-worktree").mkdir(exist_ok=True)
            write_atomically(common_dir / "adw-worktree" / "identity", f"{name}\n".encode())
        except OSError as exc:
            raise _unwritable(common_dir, exc) from exc
    return name


def locate(entry: Entry) -> Entry | None:
    """Return `entry` where its repository is now, or None if the repository is gone.

    A common git directory that is missing, or has another in its place, was renamed if a directory
    beside it, or its own name one level further up, has its inode; it is gone if it cannot be a
    file system that is not mounted. What cannot be told is returned as it was.
    """
    if is_there(entry):
        return entry
    try:
        place = next(path for path in _upwards(entry.common_dir) if _is_present(path))
        same_file_system = place.stat().st_dev == entry.device
    except OSError:
        return entry  # not ours to look into, which is not gone
    renamed = _renamed(entry)
    if renamed is not None:
        return renamed
    return None if same_file_system else entry


def doubtful_slots(state_dir: Path) -> set[int]:
    """Return the slots that were freed on circumstantial evidence and not handed out since."""
    try:
        stored = json.loads(_read(state_dir / "doubtful.json"))
    except (OSError, ValueError, RecursionError):
        return set()  # only an order of preference is lost
    if not isinstance(stored, list):
        return set()
    return {slot for slot in stored if isinstance(slot, int)}


def doubt(state_dir: Path | None, slots: set[int]) -> None:
    """Have `slots` handed out last from now on. Without a state directory there is no doubt."""
    if slots and state_dir is not None:
        _record_doubtful(state_dir, doubtful_slots(state_dir) | slots)


def settle_doubt(state_dir: Path | None, slot: int) -> None:
    """Forget that `slot` was in doubt: it is leased again."""
    doubtful = doubtful_slots(state_dir) if state_dir is not None else set()
    if state_dir is not None and slot in doubtful:
        _record_doubtful(state_dir, doubtful - {slot})


def _record_doubtful(state_dir: Path, slots: Iterable[int]) -> None:
    data = json.dumps(sorted(slots)).encode() + b"\n"
    try:
        _write(state_dir, state_dir / "doubtful.json", data)
    except OSError as exc:
        raise _unwritable(state_dir, exc) from exc


def _shared(state_dir: Path) -> bool:
    """Whether the state directory is its group's, not one user's."""
    return bool(state_dir.stat().st_mode & stat.S_IWGRP)


def _write(state_dir: Path, path: Path, data: bytes) -> None:
    shared = _shared(state_dir)
    write_atomically(path, data, mode=0o660 if shared else 0o600)
    if shared:
        os.chown(path, -1, state_dir.stat().st_gid)


def _make_shared_lock(state_dir: Path, path: Path) -> None:
    """Make the lock file for the whole group; it appears with its permissions or not at all."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchown(descriptor, -1, state_dir.stat().st_gid)
        os.fchmod(descriptor, 0o660)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(descriptor)
        draft.unlink()


def _unwritable(state_dir: Path, exc: OSError) -> LedgerError:
    return LedgerError(
        f"the registry in {state_dir} cannot be written: {exc.strerror}",
        hint="free some space or make the directory writable",
    )


def _entry_file(state_dir: Path, ledger: Path, inode: int, identity: str) -> Path:
    # The identity is random: the rest tells copies of one repository from each other.
    place = crc32(os.fsencode(ledger))
    return state_dir / "ledgers" / f"{identity or 'unnamed'}-{inode:x}-{place:08x}.json"


def _sound(file: Path) -> Entry | None:
    try:
        return _load(file)
    except LedgerError:
        return None


def _read(file: Path) -> bytes:
    """Return the bytes of a regular file; OSError for a pipe or a device, which might never end."""
    with open(
        file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)
    ) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(file))
        return opened.read()


_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


def _load(file: Path) -> Entry:
    try:
        document: dict[str, Any] = json.loads(_read(file))
        version = document["schema_version"]
        if type(version) is int and version > 1:
            raise LedgerTooNew(
                f"the registry entry {file} was written by a later adw-worktree",
                hint="upgrade adw-worktree",
            )
        if version != 1:
            raise DocumentDamaged(f"its schema version is {version!r}")
        return Entry(
            ledger=_absolute(document["ledger"]),
            common_dir=_absolute(document["common_dir"]),
            device=int(document["device"]),
            inode=int(document["inode"]),
            identity=str(document.get("identity", "")),
            leases=read_document(document["leases"]),
        )
    except (*_DAMAGE, DocumentDamaged) as exc:
        name = quote(str(file))
        raise LedgerError(
            f"the registry entry {file} cannot be read: {exc}",
            hint=f"find out which repository's it was, then: mv {name} {name}.damaged",
        ) from exc


def _absolute(text: str) -> Path:
    """Return a path of an entry. Raises DocumentDamaged.

    A relative one is looked for in the directory of whoever asks, and its repository taken for
    gone, and its slots for free.
    """
    if not text.startswith("/") or not can_name(text):
        raise DocumentDamaged(f"{text!a} is no absolute path")
    return Path(text)


def _renamed(entry: Entry) -> Entry | None:
    """Return `entry` at the place its directory was renamed to, if that is near."""
    # `<repo>/.git`: the repository's own directory was renamed. `<repo>.git`: itself.
    tail = Path(entry.common_dir.name) if entry.common_dir.name in (".git", ".bare") else Path()
    around = entry.common_dir.parent.parent if tail.name else entry.common_dir.parent
    try:
        candidates = [path / tail for path in around.iterdir()]
    except OSError:
        return None
    for candidate in candidates:
        if is_at(entry, candidate):
            return entry._replace(common_dir=candidate, ledger=_follow(entry, candidate))
    return None


def _follow(entry: Entry, common_dir: Path) -> Path:
    """Return the ledger's path after its repository moved to `common_dir`."""
    for old, new in ((entry.common_dir.parent, common_dir.parent), (entry.common_dir, common_dir)):
        if entry.ledger.is_relative_to(old) and (new / entry.ledger.relative_to(old)).exists():
            return new / entry.ledger.relative_to(old)
    return entry.ledger


def _upwards(path: Path) -> list[Path]:
    return [path, *path.parents]


def _is_present(path: Path) -> bool:
    """Whether there is something at `path`. Raises OSError if that cannot be seen."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True

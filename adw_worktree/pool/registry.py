"""The registry: every ledger of this machine, what it holds, and where its repository is now.

Each ledger has an entry file of its own, so that damage to one says nothing of the others. The
entry keeps the leases as they last were: while a repository is not mounted its slots stay taken.

Everything here is called with the machine lock held.
"""

from __future__ import annotations

import json
import os
from binascii import crc32
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from adw_worktree.adw_id import can_name
from adw_worktree.errors import LedgerError, LedgerTooNew, is_disk_failure, remedy
from adw_worktree.pool.document import (
    DocumentDamaged,
    decode_leases,
    encode_leases,
    read_document,
)
from adw_worktree.pool.identity import ensure_identity, identity_of
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.state_directory import unwritable, write_file
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, from_stored, stored
from adw_worktree.system.records import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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


def ledgers(state_dir: Path) -> Path:
    """Return the directory that the entries lie in."""
    return state_dir / "ledgers"


def entries(state_dir: Path, own: Path | None = None) -> Iterator[Entry]:
    """Yield the entry of every ledger on this machine, but for the file `own`.

    Raises LedgerError on one that cannot be read: its slots are unknown, which is not free. What
    `own` says stands in the ledger itself.
    """
    for file in _files(state_dir):
        if file != own:
            yield _load(file)


def readable_entries(state_dir: Path) -> tuple[list[Entry], list[LedgerError]]:
    """Return the entries that can be read, and what is wrong with the others.

    For whoever gives no slot out and may do without some; it needs no lock.
    """
    found, wrong = [], []
    for file in _files(state_dir):
        try:
            found.append(_load(file))
        except LedgerError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError):  # forgotten just now
                wrong.append(exc)
    return found, wrong


def entry_file(state_dir: Path, ledger: Path, common_dir: Path) -> Path:
    """Return the file for the entry of a ledger; another clone at its path has another."""
    return _entry_file(state_dir, ledger, common_dir.stat().st_ino, identity_of(common_dir))


def file_of(state_dir: Path, entry: Entry) -> Path:
    """Return the file that `entry` is recorded in."""
    return _entry_file(state_dir, entry.ledger, entry.inode, entry.identity)


def entry_of(state_dir: Path, ledger: Path, common_dir: Path) -> Entry | None:
    """Return the entry of the ledger at `ledger`, or None if there is none that can be read.

    Raises LedgerTooNew.
    """
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


def new_entry(ledger: Path, common_dir: Path, leases: Mapping[str, Lease]) -> Entry:
    """Return the entry of a ledger with these leases; its repository has a name from now on.

    Raises LedgerError.
    """
    found = common_dir.stat()
    identity = ensure_identity(common_dir)
    return Entry(ledger, common_dir, found.st_dev, found.st_ino, identity, leases)


def has_just(entry: Entry | None, leases: Mapping[str, Lease]) -> bool:
    """Whether the entry has the same ADWs with the same slots as `leases`."""
    if entry is None:
        return not leases
    if entry.leases == leases:
        return True
    of_entry, of_ledger = (
        {(lease.adw_id, lease.token, lease.slot) for lease in some.values()}
        for some in (entry.leases, leases)
    )
    return of_entry == of_ledger


def known_ledger(state_dir: Path, common_dir: Path) -> Path | None:
    """Return the ledger that is there and was last used for the repository at `common_dir`."""
    identity = identity_of(common_dir)
    if not identity:
        return None
    of_this = f"{identity}-{common_dir.stat().st_ino:x}-"
    for file in _files(state_dir):
        entry = _sound(file) if file.name.startswith(of_this) else None
        if entry is not None and is_at(entry, common_dir):
            ledger = entry.ledger if is_there(entry) else _follow(entry, common_dir)
            if os.path.lexists(ledger):
                return ledger
    return None


def record(state_dir: Path, entry: Entry, before: Entry | None = None) -> None:
    """Write down `entry` in place of its ledger's earlier one; set a damaged one aside.

    `before` is the earlier one, if it was read since the lock was taken. Raises LedgerTooNew.
    """
    file = file_of(state_dir, entry)
    document = {
        "schema_version": 1,
        "ledger": stored(entry.ledger),
        "common_dir": stored(entry.common_dir),
        "device": entry.device,
        "inode": entry.inode,
        "identity": entry.identity,
    }
    leases = encode_leases(entry.leases.values())
    data = b"".join([json.dumps(document)[:-1].encode(), _LEASES, leases, _END])
    try:
        if before is None and os.path.lexists(file) and _sound(file) is None:
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            file.rename(file.with_name(f"{file.name}.corrupt-{now}"))
        write_file(state_dir, file, data)
    except OSError as exc:
        raise unwritable(state_dir, exc) from exc


def forget(state_dir: Path, entry: Entry) -> None:
    """Take the ledger of `entry` off the list. Raises LedgerError."""
    try:
        file_of(state_dir, entry).unlink(missing_ok=True)
    except OSError as exc:
        raise unwritable(state_dir, exc) from exc
    reached("registry.forgotten")


def leftovers(state_dir: Path) -> list[Path]:
    """Return the entry files whose writer may have died: a temporary one lies beside them."""
    with suppress(OSError):
        found = [file for file in ledgers(state_dir).iterdir() if file.name.endswith(".json.tmp")]
        return [file.with_name(file.name.removeprefix(".").removesuffix(".tmp")) for file in found]
    return []


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


def _files(state_dir: Path) -> list[Path]:
    try:
        return sorted(path for path in ledgers(state_dir).iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []


def _entry_file(state_dir: Path, ledger: Path, inode: int, identity: str) -> Path:
    # The identity is random: the rest tells copies of one repository from each other.
    place = crc32(os.fsencode(ledger))
    return ledgers(state_dir) / f"{identity or 'unnamed'}-{inode:x}-{place:08x}.json"


def _sound(file: Path) -> Entry | None:
    try:
        return _load(file)
    except LedgerTooNew:
        raise
    except LedgerError:
        return None


_LEASES = b', "leases": '
"""What stands in an entry between the rest and the leases, which are written as in the ledger."""
_END = b"}\n"

_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


def _load(file: Path) -> Entry:
    try:
        return _parsed(read_file(file))
    except LedgerTooNew as exc:
        raise LedgerTooNew(
            f"the registry entry {file} was written by a later adw-worktree",
            hint="upgrade adw-worktree",
        ) from exc
    except (*_DAMAGE, DocumentDamaged) as exc:
        raise _unreadable(file, exc) from exc


def _unreadable(file: Path, exc: Exception) -> LedgerError:
    name = quote(str(file))
    # What it said stands in its repository's ledger, and that writes it anew.
    hint = (
        "in each repository that you use: adw-worktree reconcile (writes the entry anew if it is "
        f"that one's); if it is none's: mv {name} {name}.damaged"
    )
    reason = str(exc)
    if isinstance(exc, OSError):
        reason, hint = str(exc.strerror), remedy(exc, file) if is_disk_failure(exc) else hint
    elif isinstance(exc, KeyError):
        reason = f"it has no {exc}"
    elif not isinstance(exc, ValueError | DocumentDamaged):
        reason = "it has not the shape of one"
    return LedgerError(f"the registry entry {file} cannot be read: {reason}", hint=hint)


def _parsed(data: bytes) -> Entry:
    """Return what the bytes of an entry say.

    Raises LedgerTooNew, DocumentDamaged, or what is in _DAMAGE.
    """
    document, leases = _taken_apart(data)
    version = document["schema_version"]
    if type(version) is int and version > 1:
        raise LedgerTooNew(f"its schema version is {version}", hint="upgrade adw-worktree")
    if version != 1:
        raise DocumentDamaged(f"its schema version is {version!r}")
    return Entry(
        ledger=_absolute(document["ledger"]),
        common_dir=_absolute(document["common_dir"]),
        device=int(document["device"]),
        inode=int(document["inode"]),
        identity=str(document.get("identity", "")),
        leases=read_document(document["leases"]) if leases is None else leases,
    )


def _taken_apart(data: bytes) -> tuple[dict[str, Any], Mapping[str, Lease] | None]:
    """Return what an entry says, and the leases in it; None for them if they are not written as in
    a ledger, of which they are a copy to the byte.

    So they are read only once. Raises what is in _DAMAGE.
    """
    start, end = data.find(_LEASES), len(data) - len(_END)
    if start >= 0 and data.endswith(_END):
        with suppress(ValueError, DocumentDamaged, LedgerTooNew):
            leases, older = decode_leases(data, start + len(_LEASES), end)
            if not older:
                return json.loads(data[:start] + b"}"), leases
    return json.loads(data), None


def _absolute(text: str) -> Path:
    """Return a path of an entry. Raises DocumentDamaged.

    A relative one is looked for in the directory of whoever asks, and its repository taken for
    gone, and its slots for free.
    """
    if not text.startswith("/") or not can_name(text):
        raise DocumentDamaged(f"{text!a} is no absolute path")
    return Path(from_stored(text))


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
        if entry.ledger.is_relative_to(old) and exists(new / entry.ledger.relative_to(old)):
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

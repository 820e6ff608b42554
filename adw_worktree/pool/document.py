"""The ledger's document: how leases are written, and how bytes are believed.

Entries whose fields are plainly what this tool writes are read as they stand. Any other came from
outside (a person, a merge, an older version), and pydantic, which is slow to load, says what is
wrong with it.

Shape: an object keyed by ADW id, and the reserved key `_schema`, which no ADW id can be.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from operator import attrgetter, is_

from adw_worktree.adw_id import can_name, check_adw_id
from adw_worktree.errors import AdwError, LedgerTooNew
from adw_worktree.pool.lease import SCHEMA_VERSION, Lease
from adw_worktree.pool.lease_record import DATABASE_CHARACTERS, SERVICE, lease_record
from adw_worktree.settings.model import DEFAULT_SERVICES
from adw_worktree.system.memo import Memory, Recent
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import from_stored, stored
from adw_worktree.system.text import HEX_DIGITS, is_made_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adw_worktree.pool.lease import State

_SCHEMA = "_schema"
# Fields that are left out of the file while their value is None.
_OPTIONAL = (
    "path",
    "branch",
    "admin_id",
    "device",
    "inode",
    "home_device",
    "database",
    "new_branch_at",
    "reserved",
)
_FURTHER = Lease._fields[-len(_OPTIONAL) :]
"""The same as a lease has them, last: there may be thousands, and names take longer than places."""

# Reading a ledger again checks only what is new in it, and writing it encodes only that.
_documents: Recent[dict[str, Lease]] = Recent(16_000_000)
_entries: Memory[str, tuple[dict[str, Any], Lease]] = Memory(30_000)
_texts: Memory[str, tuple[Lease, str, bool]] = Memory(30_000)


_encode = json.JSONEncoder(separators=(",\n    ", ": ")).encode


class DocumentDamaged(Exception):
    """The bytes are no ledger of any version; the text says what is wrong."""


def encode_leases(leases: Iterable[Lease]) -> bytes:
    """Return the ledger's bytes: JSON for people to read, sorted by slot."""
    global _last
    ordered = sorted(leases, key=attrgetter("slot"))
    last = _last if _last.all_plain else _NOTHING
    alike = _in_common(ordered, last.leases)
    if alike == len(ordered) == len(last.leases) and last.data:
        return last.data  # the ledger has it by now, and the registry is next
    texts, all_plain = last.texts[:alike], True
    rest = ordered[alike:]
    at_end = _in_common(rest[::-1], last.leases[alike:][::-1])
    for lease in rest[: len(rest) - at_end]:
        text, plain = _written(lease)
        texts.append(text)
        all_plain = all_plain and plain
    texts += last.texts[len(last.texts) - at_end :]
    header = json.dumps({_SCHEMA: {"version": SCHEMA_VERSION}}, indent=2)[2:-2]
    data = ("{\n" + ",\n".join([header, *texts]) + "\n}\n").encode()
    if all_plain:
        _documents.keep(data, dict(zip(map(attrgetter("adw_id"), ordered), ordered, strict=True)))
    _last = _Encoded(ordered, texts, all_plain, data)
    return data


class _Encoded(NamedTuple):
    """A document that was encoded: the next one has most of it in common."""

    leases: list[Lease]
    texts: list[str]
    all_plain: bool
    data: bytes


_NOTHING = _Encoded([], [], True, b"")
_last = _NOTHING


def _in_common(some: list[Lease], others: list[Lease]) -> int:
    """Return how many of the very same leases both begin with."""
    same = list(map(is_, some, others))
    return same.index(False) if False in same else len(same)


def _written(lease: Lease) -> tuple[str, bool]:
    """Return the entry of a lease as text, and whether it is plain.

    The text is that of `json.dumps(…, indent=2)` within the document: that is written in Python and
    takes five times as long.
    """
    known = _texts.recall(lease.token)
    if known is not None and known[0] is lease:
        return known[1:]
    entry = encode_lease(lease)
    if "services" in entry:
        text = json.dumps({lease.adw_id: entry}, indent=2)[2:-2]
    else:
        fields = _encode(entry)[1:-1]
        text = f'  "{lease.adw_id}": {{\n    {fields}\n  }}'
    read = _entries.recall(lease.token)
    plain = (read is not None and read[1] is lease) or _is_plain(lease.adw_id, entry)
    if plain:
        _entries.keep(lease.token, (entry, lease))
    _texts.keep(lease.token, (lease, text, plain))
    return text, plain


def decode_leases(
    data: bytes, start: int = 0, end: int | None = None
) -> tuple[dict[str, Lease], bool]:
    """Return the leases by ADW id, and whether `data` is in the older shape.

    The older shape has only `backend`, `frontend` and a naive local `allocated_at` per id. With
    `start` and `end`, the ledger stands between them.

    Raises DocumentDamaged if it is no ledger or contradicts itself, LedgerTooNew if a later
    version wrote it.
    """
    known = _documents.recall(data, start, end)
    if known is not None:
        return dict(known), False
    data = data[start:end]
    document = _parse(data)
    if _SCHEMA not in document:
        return _decode_older(document), True
    leases = read_document(document)
    _documents.keep(data, dict(leases))
    return leases, False


def read_document(document: Mapping[str, Any]) -> dict[str, Lease]:
    """Return the leases of a document in the present shape; raises as `decode_leases` does."""
    entries = {key: entry for key, entry in document.items() if key != _SCHEMA}
    header = document.get(_SCHEMA)
    if not isinstance(header, dict):
        raise DocumentDamaged(f"its {_SCHEMA} is no object")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DocumentDamaged(f"its schema version is {version!r}")
    if version > SCHEMA_VERSION:
        raise LedgerTooNew(
            f"its schema version is {version}; this adw-worktree knows up to {SCHEMA_VERSION}",
            hint="upgrade adw-worktree",
        )
    leases = {key: decode_lease(key, entry) for key, entry in entries.items()}
    _check_distinct(leases.values())
    return leases


def encode_lease(lease: Lease) -> dict[str, Any]:
    """Return one entry: what older readers expect first, then the rest."""
    ports = lease.ports
    entry: dict[str, Any] = {
        "backend": ports["backend"],
        "frontend": ports["frontend"],
        "allocated_at": lease.allocated_at.isoformat(),
        "slot": lease.slot,
        "state": lease.state,
        "token": lease.token,
    }
    if ports.keys() - DEFAULT_SERVICES.keys():
        entry["services"] = {
            name: port for name, port in ports.items() if name not in DEFAULT_SERVICES
        }
    for name in _OPTIONAL:
        value = getattr(lease, name)
        if value is not None:
            entry[name] = stored(value) if isinstance(value, str) else value
    return entry


def decode_lease(adw_id: str, entry: object) -> Lease:
    """Return the lease that `entry` describes, every field checked.

    Raises DocumentDamaged naming the ADW id and the field.
    """
    if isinstance(entry, dict):
        token = entry.get("token")
        known = _entries.recall(token) if isinstance(token, str) else None
        if known is not None and known[1].adw_id == adw_id and known[0] == entry:
            return known[1]
        if _is_plain(adw_id, entry):
            lease = _believe(adw_id, entry)
            _entries.keep(lease.token, (entry, lease))
            return lease
    from pydantic import ValidationError

    try:
        check_adw_id(adw_id)
        checked = lease_record().model_validate(entry)
    except AdwError as exc:
        raise DocumentDamaged(exc.message) from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "entry"
        raise DocumentDamaged(f"{adw_id}: {where}: {first['msg']}") from exc
    return _believe(adw_id, checked.model_dump(exclude_none=True))


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data, object_pairs_hook=_distinct_keys)
    except (ValueError, RecursionError) as exc:
        raise DocumentDamaged(f"it is not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise DocumentDamaged(f"it holds {type(document).__name__}, not an object")
    return document


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; a merge may leave a key in it twice, and JSON would take the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DocumentDamaged(f"it has {twice!r} twice")
    return found


def _is_plain(adw_id: str, entry: Mapping[str, Any]) -> bool:
    """Whether every field is what this tool writes: then `lease_record` would take it, too."""
    try:
        check_adw_id(adw_id)
        services = entry.get("services", {})
        allocated_at = datetime.fromisoformat(entry["allocated_at"])
        allocated_at.astimezone(UTC)
        ports = [*(entry[name] for name in DEFAULT_SERVICES), *services.values()]
        numbers = [entry.get(name, 0) for name in ("device", "inode", "home_device")]
        return (
            _has_plain_texts(entry)
            and all(re.fullmatch(SERVICE, name) for name in services)
            and set(map(type, [entry["slot"], *numbers, *ports])) == {int}
            and 0 <= entry["slot"] <= 9999
            and 0 < min(ports) <= max(ports) < 65536
            and entry["state"] in ("pending", "active")
            and type(entry.get("reserved", True)) is bool
            and allocated_at.tzinfo is not None
        )
    except (AdwError, ArithmeticError, KeyError, TypeError, ValueError,
            AttributeError):  # fmt: skip
        return False


def _has_plain_texts(entry: Mapping[str, Any]) -> bool:
    """Whether what has to be text is, of its length and signs. Raises TypeError if it is none.

    Without patterns: every command reads a lease, and compiling them takes longer than that.
    """
    token, commit = entry["token"], entry.get("new_branch_at", "0" * 40)
    path, branch = entry.get("path", "/"), entry.get("branch", "x")
    admin_id, database = entry.get("admin_id", "x"), entry.get("database", "x")
    return (
        can_name("".join([token, commit, path, branch, admin_id, database]))
        and len(token) == 32
        and is_made_of(HEX_DIGITS, token)
        and 40 <= len(commit) <= 64
        and is_made_of(HEX_DIGITS, commit)
        and path.startswith("/")
        and len(path) <= 4096
        and 0 < len(branch) <= 4096
        and 0 < len(admin_id) <= 255
        and "/" not in admin_id
        and admin_id not in (".", "..")
        and 0 < len(database) <= 63
        and is_made_of(DATABASE_CHARACTERS, database)
    )


def _believe(adw_id: str, entry: Mapping[str, Any]) -> Lease:
    """Return the lease of an entry whose fields are known to be right."""
    allocated_at = entry["allocated_at"]
    if isinstance(allocated_at, str):
        allocated_at = datetime.fromisoformat(allocated_at)
    ports = {name: entry[name] for name in DEFAULT_SERVICES}
    if "services" in entry:
        ports |= entry["services"]
    state: State = entry["state"]
    further: list[Any] = [
        from_stored(value) if isinstance(value, str) else value
        for value in map(entry.get, _FURTHER)
    ]
    return Lease(adw_id, entry["slot"], ports, allocated_at, state, entry["token"], *further)


def _decode_older(document: Mapping[str, Any]) -> dict[str, Lease]:
    """Return the leases of a document in the older shape, under new tokens.

    The slot is what both ports agree on. Raises DocumentDamaged if they do not, or if two ids
    share one: that scheme could do both, and only the worktrees can tell who is right.
    """

    leases = {}
    for adw_id, entry in document.items():
        if not isinstance(entry, dict):
            raise DocumentDamaged(f"{adw_id!r} is not an object")
        slots = {entry.get(name, -1) - base if isinstance(entry.get(name), int) else None
                 for name, base in DEFAULT_SERVICES.items()}  # fmt: skip
        slot = slots.pop()
        if slots or slot is None:
            raise DocumentDamaged(f"{adw_id!r} has no two ports of one slot")
        stated = {"state": "active", "slot": slot, "token": os.urandom(16).hex()}
        aware = {"allocated_at": _aware(adw_id, entry.get("allocated_at"))}
        leases[adw_id] = decode_lease(adw_id, {**entry, **stated, **aware})
    _check_distinct(leases.values())
    return leases


def _aware(adw_id: str, text: object) -> str:
    """Return a timestamp of the older shape, local and naive, as UTC with its offset."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as exc:
        raise DocumentDamaged(f"{adw_id!r}: allocated_at is {text!r}") from exc


def _check_distinct(leases: Iterable[Lease]) -> None:
    holders: dict[int, str] = {}
    for lease in leases:
        other = holders.setdefault(lease.slot, lease.adw_id)
        if other != lease.adw_id:
            raise DocumentDamaged(f"slot {lease.slot} is held by both {other} and {lease.adw_id}")

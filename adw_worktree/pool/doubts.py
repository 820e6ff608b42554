"""Slots in doubt: freed because their worktrees were out of sight, and handed out last therefore.

`doubtful.json` in the state directory lists them twice: as plain numbers, which is all that earlier
versions read and write, and as records that say whose they were, and since when.

What holds here: a doubt ends. It does when the slot is leased again, when git's entry of the
worktree is gone or belongs to another lease, and after `_DAYS` in any case. All but
`doubtful_slots` is called with the machine lock held.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adw_worktree.pool.lease import Lease
from adw_worktree.pool.receipts import receipt_token
from adw_worktree.pool.state_directory import unwritable, write_file
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, from_stored, is_dir, stored
from adw_worktree.system.records import read_file

_DAYS = timedelta(days=30)
_CLOCKS_DIFFER = timedelta(days=1)


class Doubt(NamedTuple):
    """A slot whose last worktree may turn up again."""

    slot: int
    since: str
    """ISO 8601, UTC."""
    admin: str | None = None
    """Git's admin directory of the worktree; None if it is not known."""
    token: str | None = None
    """The lease's; None if it is not known."""


def doubtful_slots(state_dir: Path) -> set[int]:
    """Return the slots that are in doubt now."""
    return {doubt.slot for doubt in _load(state_dir)}


def doubt(state_dir: Path | None, leases: Iterable[Lease], common_dir: Path | None) -> None:
    """Have the slots of `leases` handed out last from now on.

    Without a state directory there is no doubt.
    """
    leases = list(leases)
    if state_dir is None or not leases:
        return
    before = _load(state_dir)
    known = {one.token for one in before}  # whose doubt does not begin anew
    now = datetime.now(UTC).isoformat()
    new = [Doubt(one.slot, now, _admin_of(one, common_dir), one.token)
           for one in leases if one.token not in known]  # fmt: skip
    if new:
        slots = {one.slot for one in new}
        _save(state_dir, [*(one for one in before if one.slot not in slots), *new])


def settle(state_dir: Path | None, leases: Iterable[Lease]) -> None:
    """Forget the doubts about the slots of `leases`, and about those that they had before."""
    doubts = _load(state_dir) if state_dir is not None else []
    if state_dir is None or not doubts:
        return
    leases = list(leases)
    slots, tokens = {one.slot for one in leases}, {one.token for one in leases}
    left = [one for one in doubts if one.slot not in slots and one.token not in tokens]
    if left != doubts:
        _save(state_dir, left)


def is_doubted(lease: Lease, common_dir: Path | None) -> bool:
    """Whether a doubt about the slot of `lease` that begins now would last."""
    return _holds(Doubt(lease.slot, "", _admin_of(lease, common_dir), lease.token))


def _admin_of(lease: Lease, common_dir: Path | None) -> str | None:
    if common_dir is None or lease.admin_id is None:
        return None
    return stored(common_dir / "worktrees" / lease.admin_id)


def _load(state_dir: Path) -> list[Doubt]:
    """Return the doubts that have not ended; of a file that cannot be read, none."""
    file = state_dir / "doubtful.json"
    try:
        document = json.loads(read_file(file))
        changed = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat()
    except (OSError, ValueError, RecursionError, OverflowError):
        return []  # only an order of preference is lost
    if not isinstance(document, list):
        return []
    plain = [Doubt(slot, changed) for slot in document if isinstance(slot, int)]
    found = {one.slot: one for one in (*plain, *filter(None, map(_decoded, document)))}
    return [one for one in found.values() if _is_young(one.since) and _holds(one)]


def _decoded(record: object) -> Doubt | None:
    """Return the doubt that a record tells of, None if it is not one."""
    if not isinstance(record, dict):
        return None
    slot, since, admin, token = (record.get(key) for key in Doubt._fields)
    if not isinstance(slot, int) or not isinstance(since, str):
        return None
    known = all(one is None or isinstance(one, str) for one in (admin, token))
    return Doubt(slot, since, admin, token) if known else None


def _is_young(since: str) -> bool:
    """Whether a doubt from then on has not lasted too long; not if its time makes no sense."""
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(since)
    except (ValueError, TypeError, OverflowError):
        return False
    return -_CLOCKS_DIFFER <= age <= _DAYS


def _holds(one: Doubt) -> bool:
    """Whether the worktree may turn up again: git still has its entry, as far as can be seen."""
    if one.admin is None:
        return True
    admin = Path(from_stored(one.admin))
    try:
        if not exists(admin):
            # With its repository it may be out of sight itself.
            return not is_dir(admin.parent.parent)
    except OSError:
        return True
    there = receipt_token(admin)
    return None in (there, one.token) or there == one.token


def _save(state_dir: Path, doubts: Iterable[Doubt]) -> None:
    ordered = sorted(doubts, key=lambda one: one.slot)
    document = [*(one.slot for one in ordered), *(one._asdict() for one in ordered)]
    try:
        write_file(state_dir, state_dir / "doubtful.json", json.dumps(document).encode() + b"\n")
    except OSError as exc:
        raise unwritable(state_dir, exc) from exc

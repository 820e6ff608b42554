"""Receipts: the copy of a lease inside git's admin directory of its worktree.

It moves with the worktree and git deletes it with the worktree, so its token proves that an admin
directory is still the one the lease was made for. A lost ledger is rebuilt from receipts.
"""

from __future__ import annotations

import errno
import json
from pathlib import Path

from adw_worktree.pool.document import DocumentDamaged, decode_lease, encode_lease
from adw_worktree.pool.lease import Lease
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.records import read_small
from adw_worktree.system.sharing import mode_in

RECEIPT = "adw-worktree.json"


def write_receipt(admin: Path, lease: Lease, *, synced: bool = True) -> None:
    """Leave the receipt of `lease` in the admin directory; `synced` as for `write_atomically`.

    Raises OSError.
    """
    entry = {"adw_id": lease.adw_id, **encode_lease(lease)}
    data = json.dumps(entry, indent=2).encode() + b"\n"
    mode = receipt_mode(admin)
    write_atomically(admin / RECEIPT, data, mode=mode, lasting=synced, synced=synced)


def receipt_mode(admin: Path) -> int:
    """Return the permissions of a receipt: a group that shares the repository can read it.

    git does not open the admin directory itself to the group, only the one that it lies in.
    """
    return mode_in(admin.parent.stat().st_mode, 0o600)


def receipt_token(admin: Path | str) -> str | None:
    """Return the token in the receipt, or None if there is no receipt that can be read."""
    entry = _load(admin)
    token = entry.get("token") if entry else None
    return token if isinstance(token, str) else None


def has_receipt(admin: Path) -> bool:
    """Whether there is a receipt, also one that cannot be read: only what is missing is not."""
    try:
        (admin / RECEIPT).lstat()
    except OSError as exc:
        return exc.errno not in (errno.ENOENT, errno.ENOTDIR)
    return True


def load_receipt(admin: Path) -> Lease | None:
    """Return the lease that the receipt in `admin` describes, or None without a valid one."""
    entry = _load(admin)
    if entry is None:
        return None
    adw_id = entry.pop("adw_id", None)
    if not isinstance(adw_id, str):
        return None
    try:
        return decode_lease(adw_id, entry)
    except DocumentDamaged:
        return None


def _load(admin: Path | str) -> dict[str, object] | None:
    try:
        entry = json.loads(read_small(f"{admin}/{RECEIPT}"))
    except (OSError, ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None

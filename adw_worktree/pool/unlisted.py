"""Leases that a ledger has forgotten though their worktrees live. Reads a few small files.

A ledger that git tracks steps back with `git stash` or `git checkout`; or somebody deleted an
entry.

What holds here: receipts count at every hand-out. Only those of worktrees that the ledger does not
know are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from adw_worktree.pool.lease import Lease, clash
from adw_worktree.pool.receipts import load_receipt
from adw_worktree.pool.registry import Entry
from adw_worktree.pool.verdict import judge


def unlisted_leases(
    common_dir: Path,
    leases: Collection[Lease],
    env_file: str | None,
    entry: Callable[[], Entry | None],
) -> list[Lease]:
    """Return the leases that receipts name and that are not among `leases`, as they are now.

    A worktree that is out of sight counts if the registry's `entry` still has its lease: else that
    was given back, and only the receipt is left. `env_file` is as for `judge`.
    """
    root = common_dir / "worktrees"
    try:
        names = os.listdir(root)
    except OSError:
        return []  # git makes it with the first worktree
    tokens = {lease.token for lease in leases}
    found = []
    for name in sorted(set(names) - {lease.admin_id for lease in leases}):
        lease = load_receipt(root / name)
        if lease is not None and lease.token not in tokens:
            found.append(lease._replace(admin_id=name))
    return _counting(found, common_dir, env_file, entry)


def forgotten_worktrees(
    entry: Entry, leases: Collection[Lease], env_file: str | None
) -> list[Lease]:
    """Return the leases of `entry` that are not among `leases` and whose worktrees are not gone."""
    lost = [lease for lease in lost_from(entry, leases) if lease.has_worktree]
    return _counting(lost, entry.common_dir, env_file, lambda: entry)


def forgotten_reservations(entry: Entry | None, leases: Collection[Lease]) -> list[Lease]:
    """Return the reservations that `entry` has and that are not among `leases`.

    A person may have deleted them; or the ledger is an older one, and will be the newer again.
    """
    lost = [] if entry is None else lost_from(entry, leases)
    return [lease for lease in lost if not lease.has_worktree]


def lost_from(entry: Entry, leases: Collection[Lease]) -> list[Lease]:
    """Return what `entry` has and `leases` have not."""
    tokens = {lease.token for lease in leases}
    return [lease for lease in entry.leases.values() if lease.token not in tokens]


def _counting(
    leases: Collection[Lease],
    common_dir: Path,
    env_file: str | None,
    entry: Callable[[], Entry | None],
) -> list[Lease]:
    """Return those of `leases` whose worktrees live, with the paths that they have now."""
    found = []
    for lease in leases:
        verdict, _, path, *_ = judge(lease, common_dir, env_file)
        if verdict == "alive" or (verdict == "unknown" and _is_in(entry(), lease)):
            found.append(lease._replace(path=str(path)) if path else lease)
    return found


def _is_in(entry: Entry | None, lease: Lease) -> bool:
    return entry is not None and any(one.token == lease.token for one in entry.leases.values())


def undisputed(
    lost: Collection[Lease], leases: Mapping[str, Lease], held: Collection[Lease]
) -> dict[str, Lease]:
    """Return those of `lost` whose names are not among `leases`, nor their slots and ports held."""
    return {
        lease.adw_id: lease
        for lease in lost
        if lease.adw_id not in leases and not any(clash(lease, other) for other in held)
    }

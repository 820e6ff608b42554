"""The other ledgers of the machine, as the registry knows them.

What holds here: a ledger that cannot be read, now or by this user, keeps what it was last seen
with; nothing of another repository is rebuilt or set aside from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from adw_worktree.errors import LedgerError
from adw_worktree.pool import doubts, registry
from adw_worktree.pool.holders import Holding
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Ledger
from adw_worktree.pool.unlisted import forgotten_reservations, forgotten_worktrees, unlisted_leases
from adw_worktree.pool.verdict import judge
from adw_worktree.settings.model import Settings
from adw_worktree.system.paths import is_dir


def is_own(entry: registry.Entry, ledger: Path, common_dir: Path | None) -> bool:
    """Whether `entry` is this very `ledger`'s, perhaps from before it changed its place.

    One of the same path is not, if the repository there was another: that may live elsewhere.
    """
    if common_dir is None:
        return entry.ledger == ledger
    if entry.common_dir == common_dir or not registry.is_at(entry, common_dir):
        return registry.is_at(entry, common_dir)
    return entry.device == common_dir.stat().st_dev and not registry.is_there(entry)


def holdings_of(
    entry: registry.Entry,
    settings: Settings,
    *,
    living: bool = False,
    forgotten: set[int] | None = None,
) -> list[Holding]:
    """Return what a repository of the registry holds; `living` and `forgotten` are as for
    `Pool.elsewhere`."""
    located = registry.locate(entry) if living else entry
    if located is None:
        return []
    held = [Holding(lease, located.ledger, located.common_dir)
            for lease in _leases_of(located, settings, forgotten)]  # fmt: skip
    return [one for one in held if lives(one)] if living else held


def _leases_of(
    entry: registry.Entry, settings: Settings, forgotten: set[int] | None
) -> list[Lease]:
    """Return what another ledger says; if it is not to be read, what it was last seen with.

    Whatever its ledger has forgotten, a worktree that lives keeps its slot.
    """
    leases = None
    if registry.is_there(entry):
        with suppress(LedgerError):
            leases = other_ledger(entry, settings).peek()
    if leases is None:
        return list(entry.leases.values())
    held = list(leases.values())
    held += unlisted_leases(entry.common_dir, held, None, lambda: entry)
    if forgotten is not None:
        forgotten |= {lease.slot for lease in forgotten_reservations(entry, held)}
    return held + forgotten_worktrees(entry, held, None)


def other_ledger(entry: registry.Entry, settings: Settings) -> Ledger:
    """Return the ledger of another repository; it is never rebuilt from here."""
    lock_path = entry.common_dir / "adw-worktree" / "ledger.lock"
    return Ledger(
        entry.ledger, lock_path, settings.lock_timeout, [], recover=lambda _: dict(entry.leases)
    )


def forget_lost(state_dir: Path, entry: registry.Entry) -> None:
    """Take a repository that is gone off the registry, its slots to be handed out last.

    The machine lock is held. Raises LedgerError.
    """
    doubts.doubt(state_dir, entry.leases.values(), entry.common_dir)
    registry.forget(state_dir, entry)


def lives(holding: Holding) -> bool:
    """Whether a lease of another repository is more than a note not yet crossed out."""
    home = holding.common_dir
    if home is None:
        return True
    return holding.lease.state == "pending" or judge(holding.lease, home, None).verdict != "gone"


def register(
    state_dir: Path,
    ledger: Path,
    common_dir: Path,
    leases: Mapping[str, Lease],
    before: registry.Entry | None,
) -> None:
    """Tell the registry where this ledger is and what it holds, in place of `before`.

    The machine lock is held. Raises LedgerError.
    """
    entry = registry.new_entry(ledger, common_dir, leases)
    registry.record(state_dir, entry, before)
    file = registry.file_of(state_dir, entry)
    for other in registry.entries(state_dir, registry.entry_file(state_dir, ledger, common_dir)):
        if is_own(other, ledger, common_dir) and registry.file_of(state_dir, other) != file:
            registry.forget(state_dir, other)


def copied_reservations(
    leases: Mapping[str, Lease], elsewhere: Callable[[], list[Holding]]
) -> list[Lease]:
    """Return the reservations that another ledger of the machine has, too."""
    reserved = [
        lease for lease in leases.values() if lease.path is None and lease.state != "pending"
    ]
    tokens = {holding.lease.token for holding in elsewhere()} if reserved else set()
    return [lease for lease in reserved if lease.token in tokens]


def tell_of_free_slots(state_dir: Path) -> None:
    """Let phases that wait for a slot be tried again; no lock is held."""
    if not is_dir(state_dir / "phases"):
        return  # none ever ran here
    from adw_worktree.pool.wakeups import slots_were_freed

    slots_were_freed(state_dir)

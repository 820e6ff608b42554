"""The pool: handing out slots and taking them back, for one ledger among all of the machine's.

What holds here: two leases never share a slot or a port, whoever asks and from wherever. Slots are
handed out under the machine lock, after looking at every ledger of the registry; a ledger that
cannot be read keeps the slots it was last seen with.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adw_worktree.errors import AdwIdTaken, LedgerError
from adw_worktree.pool import registry
from adw_worktree.pool import state_directory as statedir
from adw_worktree.pool.holders import (
    Holding,
    another_slot,
    exhausted,
    first_free,
    is_aged,
    require_available,
)
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.pool.ledger import Leases, Ledger, require_standing, standing
from adw_worktree.pool.other_ledgers import (
    forget_lost,
    holdings_of,
    is_own,
    other_ledger,
)
from adw_worktree.pool.unlisted import forgotten_slots, undisputed, unlisted_leases
from adw_worktree.pool.verdict import Finding, judge
from adw_worktree.settings.model import Settings
from adw_worktree.system.named_tuple import NamedTuple


class Pool(NamedTuple):
    """The leases of one ledger, among those of the whole machine.

    With `state_dir` and `common_dir` None the ledger stands alone: no registry, no worktrees.
    """

    ledger: Ledger
    settings: Settings
    state_dir: Path | None = None
    common_dir: Path | None = None
    foreign: bool = False
    """Whether it is another repository's, whose own settings are not known."""

    # ---- reading -------------------------------------------------------------------------

    def leases(self) -> Leases:
        """Return the leases by ADW id, from the ledger or, if that is lost, from the worktrees."""
        leases = self.ledger.peek()
        if leases is not None:
            return leases
        with self._locked() as ledger:
            return ledger.load()

    def unlisted(self, leases: Leases) -> list[Lease]:
        """Return the leases that receipts of worktrees name and that are not among `leases`."""
        if self.common_dir is None:
            return []
        known, env_file = leases.values(), self.settings.env_file
        return unlisted_leases(self.common_dir, known, env_file, self.entry)

    def entry(self) -> registry.Entry | None:
        """Return what the registry has of this ledger; None if it has nothing that can be read."""
        if self.state_dir is None or self.common_dir is None:
            return None
        return registry.entry_of(self.state_dir, self.ledger.path, self.common_dir)

    def neighbours(self) -> list[registry.Entry]:
        """Return what the registry has of every ledger, this one's if it is sound."""
        if self.state_dir is None:
            return []
        own = self.common_dir and registry.entry_file(
            self.state_dir, self.ledger.path, self.common_dir
        )
        return list(registry.entries(self.state_dir, own))

    def elsewhere(
        self, *, living: bool = False, forgotten: set[int] | None = None
    ) -> list[Holding]:
        """Return what the other ledgers of this machine hold.

        With `living`, leave out what is gone and only not released yet: for reports, never for
        handing out. `forgotten` gets the slots of reservations that their ledgers have forgotten.
        """
        found = []
        for entry in self.neighbours():
            if not is_own(entry, self.ledger.path, self.common_dir):
                found += holdings_of(entry, self.settings, living=living, forgotten=forgotten)
        return found

    def finding(self, lease: Lease) -> Finding:
        """Return what became of the worktree of `lease`."""
        if self.common_dir is None:
            return Finding("unknown", "reserved without a worktree")
        env_file = None if self.foreign else self.settings.env_file
        return judge(lease, self.common_dir, env_file)

    def require_slot(self, lease: Lease, wanted: int | None, *, making: bool) -> None:
        """Raise unless `lease` has the slot that is asked for: any, if that is None.

        `making` says that a worktree was asked for. Raises UsageError with how to have that slot,
        SlotUnavailable if it is not to be had.
        """
        if wanted in (None, lease.slot):
            return
        others = self.leases()
        others.pop(lease.adw_id, None)
        require_available(wanted, self.settings, self._holdings(others, lease.token))
        raise another_slot(lease, wanted, making=making)

    # ---- changing ------------------------------------------------------------------------

    def reserve(
        self, adw_id: str, *, wanted: int | None = None, draft: Lease | None = None
    ) -> Lease:
        """Lease a slot to `adw_id` and return the lease; the one it has, if it has one.

        `wanted` asks for one slot. `draft` gives what a worktree's lease carries beside its slot,
        ports and time; without it the lease has no worktree. A slot is passed over while any
        process holds one of its ports.

        Raises SlotUnavailable if the wanted slot is not to be had, PoolExhausted if none is.
        """
        token = draft.token if draft else ""
        with self._transaction() as leases:
            self._release_gone(leases)
            self._take_back(leases, token)
            present = leases.get(adw_id)
            if present is not None:
                return present
            slot = self._free_slot(leases, wanted, token)
            if slot is None:
                self._release_gone_elsewhere()
                slot = self._free_slot(leases, wanted, token)
            if slot is None:
                raise exhausted(self.settings, self._holdings(leases))
            draft = draft or Lease(
                adw_id, slot, {}, datetime.now(UTC), "active", os.urandom(16).hex()
            )
            ports = ports_of(slot, self.settings.services)
            leases[adw_id] = draft._replace(adw_id=adw_id, slot=slot, ports=ports)
            statedir.settle_doubt(self.state_dir, slot)
            return leases[adw_id]

    def release(self, lease: Lease, *, doubtful: bool = False) -> bool:
        """Give back the slot of `lease`; False if that very lease stands no more.

        `doubtful` says that the worktree was only seen to be absent, so that the slot is handed
        out last.
        """
        with self._transaction() as leases:
            present = standing(leases, lease)
            if present is None:
                return False
            del leases[present.adw_id]
            if doubtful:
                statedir.doubt(self.state_dir, {lease.slot})
            return True

    def upgrade(self, reserved: Lease, draft: Lease) -> Lease | None:
        """Turn a lease without a worktree into `draft` with its slot; None if it stands no more."""
        with self._transaction() as leases:
            present = leases.get(reserved.adw_id)
            if present is None or present.token != reserved.token:
                return None
            lease = draft._replace(slot=present.slot, ports=present.ports, reserved=True)
            leases[lease.adw_id] = lease
            return lease

    def rename(self, lease: Lease, adw_id: str) -> Lease:
        """Have `lease` go by `adw_id` from now on, in one write; return it as it stands then.

        Raises AdwIdTaken, or UnknownAdw if that very lease stands no more.
        """
        with self._transaction() as leases:
            present = require_standing(leases, lease)
            if adw_id in leases:
                raise AdwIdTaken(f"{adw_id} is another ADW", hint="choose another id")
            leases[adw_id] = leases.pop(present.adw_id)._replace(adw_id=adw_id)
            return leases[adw_id]

    def update(self, lease: Lease) -> None:
        """Replace what the ledger says of `lease`, keeping its id, slot and ports.

        Raises UnknownAdw if that very lease stands no more.
        """
        with self.ledger.locked() as ledger:
            leases = ledger.load()
            adw_id, slot, ports, *_ = require_standing(leases, lease)
            leases[adw_id] = lease._replace(adw_id=adw_id, slot=slot, ports=ports)
            ledger.commit(leases)

    def adopt(self, lease: Lease, *, keep_slot: bool) -> Lease:
        """Lease a slot to a worktree that is there and has none; return the lease.

        With `keep_slot`, its own slot if nobody holds it, busy ports or not: they are its own.
        """
        with self._transaction() as leases:
            present = leases.get(lease.adw_id)
            if present is not None:
                return present
            held = self._holdings(leases, lease.token)
            if keep_slot and lease.slot not in {one.lease.slot for one in held}:
                leases[lease.adw_id] = lease
                statedir.settle_doubt(self.state_dir, lease.slot)
                return lease
        return self.reserve(lease.adw_id, draft=lease)

    def reassign(self, lease: Lease) -> Lease:
        """Give a lease whose slot somebody else rightly holds another one; return it."""
        self.release(lease)
        return self.reserve(lease.adw_id, draft=lease)

    def release_gone(self) -> list[tuple[Lease, Finding]]:
        """Release every lease whose worktree is gone; return them with the evidence.

        Looks first without a lock, so that a pool in order costs no more than reading it.
        """
        leases = self.leases()
        if not self._gone(leases) and self._is_known(leases) and not self.unlisted(leases):
            return []
        with self._transaction() as leases:
            released = self._release_gone(leases)
            self._take_back(leases)
            return released

    def release_aged(self, max_age: timedelta) -> list[Lease]:
        """Release the leases without a worktree that are older than `max_age`."""
        with self._transaction() as leases:
            aged = [lease for lease in leases.values() if is_aged(lease, max_age)]
            for lease in aged:
                del leases[lease.adw_id]
            return aged

    def forget_lost(self) -> None:
        """Take repositories that are gone off the registry, and release what is gone elsewhere."""
        if self.state_dir is not None:
            statedir.prepare_state_directory(self.state_dir)
            with statedir.machine_lock(self.state_dir, self.settings.lock_timeout):
                self._release_gone_elsewhere()

    # ---- inside the locks ----------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[Leases]:
        """Hold the machine's and the ledger's lock; write what the block changed."""
        with self._locked() as ledger:
            leases = ledger.load()
            before = dict(leases)
            here = self._replace(ledger=ledger)
            statedir.doubt(self.state_dir, forgotten_slots(here.entry(), leases.values()))
            yield leases
            if leases != before:
                ledger.commit(leases)
            here._register(leases, changed=leases != before)

    @contextmanager
    def _locked(self) -> Iterator[Ledger]:
        if self.state_dir is None:
            with self.ledger.locked() as ledger:
                yield ledger
            return
        statedir.prepare_state_directory(self.state_dir)
        machine = statedir.machine_lock(self.state_dir, self.settings.lock_timeout)
        with machine, self.ledger.locked() as ledger:
            yield ledger

    def _register(self, leases: Leases, *, changed: bool) -> None:
        """Tell the registry where this ledger is and what it holds."""
        if self.state_dir is None or self.common_dir is None:
            return
        if not changed and self._is_known(leases):
            return
        entry = registry.new_entry(self.ledger.path, self.common_dir, leases)
        registry.record(self.state_dir, entry)
        file = registry.file_of(self.state_dir, entry)
        for other in self.neighbours():
            own = is_own(other, self.ledger.path, self.common_dir)
            if own and registry.file_of(self.state_dir, other) != file:
                registry.forget(self.state_dir, other)

    def _free_slot(self, leases: Leases, wanted: int | None, token: str) -> int | None:
        """Return a slot nobody holds, with free ports, those in doubt last; or `wanted`, if so.

        What the worktree of `token` held is not counted.
        """
        doubtful = statedir.doubtful_slots(self.state_dir) if self.state_dir else set()
        holdings = self._holdings(leases, token, doubtful)
        if wanted is not None:
            require_available(wanted, self.settings, holdings)
            return wanted
        return first_free(self.settings, [holding.lease for holding in holdings], doubtful)

    def _holdings(
        self, leases: Leases, token: str = "", forgotten: set[int] | None = None
    ) -> list[Holding]:
        """Return who holds what on this machine, but for the worktree of `token`."""
        unlisted = [lease for lease in self.unlisted(leases) if lease.token != token]
        own = self._own([*leases.values(), *unlisted])
        return [*own, *self.elsewhere(forgotten=forgotten)]

    def _take_back(self, leases: Leases, token: str = "") -> None:
        """Give worktrees that the ledger has forgotten their leases back, but for that of `token`.

        Not a slot that somebody else has by now: `reconcile` settles that.
        """
        lost = [lease for lease in self.unlisted(leases) if lease.token != token]
        held = [holding.lease for holding in self._holdings(leases)] if lost else []
        leases |= undisputed(lost, leases, held)

    def _release_gone(self, leases: Leases) -> list[tuple[Lease, Finding]]:
        released = self._gone(leases)
        for lease, _ in released:
            del leases[lease.adw_id]
        statedir.doubt(
            self.state_dir, {lease.slot for lease, finding in released if finding.doubtful}
        )
        return released

    def _gone(self, leases: Leases) -> list[tuple[Lease, Finding]]:
        """Return those of `leases` whose worktrees are gone, with the evidence.

        A pending lease is never gone: its worktree is not there yet, or `abandoned` has it.
        """
        if self.common_dir is None:
            return []
        settled = [lease for lease in leases.values() if lease.state != "pending"]
        copied = self._copied(lease for lease in settled if not lease.has_worktree)
        copy = Finding("gone", "this repository is a copy of the one that reserved it")
        findings = [
            (lease, copy if lease.token in copied else self.finding(lease)) for lease in settled
        ]
        return [(lease, finding) for lease, finding in findings if finding.verdict == "gone"]

    def _release_gone_elsewhere(self) -> None:
        """Release the gone worktrees of every other repository; the machine lock is held."""
        if self.state_dir is None:
            return
        for entry in self.neighbours():
            if is_own(entry, self.ledger.path, self.common_dir):
                continue
            located = registry.locate(entry)
            if located is None:
                forget_lost(self.state_dir, entry)
            elif registry.is_there(located):
                ledger = other_ledger(located, self.settings)
                other = self._replace(ledger=ledger, common_dir=located.common_dir, foreign=True)
                # Another user's, or from a later version: its owner will release what is gone.
                with suppress(LedgerError):
                    if ledger.peek() is not None:
                        other._release_gone_here()
                    else:
                        other._release_gone_unlisted(located)

    def _release_gone_unlisted(self, entry: registry.Entry) -> None:
        """Release what is gone of a repository whose ledger is lost, as the registry has it."""
        leases = dict(entry.leases)
        if self._release_gone(leases) and self.state_dir is not None:
            registry.record(self.state_dir, entry._replace(leases=leases))

    def _release_gone_here(self) -> None:
        with self.ledger.locked() as ledger:
            leases = ledger.load()
            if self._release_gone(leases):
                ledger.commit(leases)
                self._register(leases, changed=True)

    def _is_known(self, leases: Leases) -> bool:
        """Whether the registry has this ledger with these slots.

        It may have been lost with the state directory, or a process killed before it said so.
        """
        if self.state_dir is None or self.common_dir is None:
            return True
        entry = self.entry()
        return not leases if entry is None else registry.has_just(entry, leases)

    def _copied(self, reserved: Iterable[Lease]) -> set[str]:
        """Return the tokens of the reservations that came with a copy of the repository that made
        them, and still has them.

        Whom the registry knows is the original. A worktree tells by itself whose it is.
        """
        tokens = {lease.token for lease in reserved}
        if not tokens or self.entry() is not None:
            return set()
        return tokens & {holding.lease.token for holding in self.elsewhere(living=True)}

    def _own(self, leases: Iterable[Lease]) -> list[Holding]:
        return [Holding(lease, self.ledger.path, self.common_dir) for lease in leases]

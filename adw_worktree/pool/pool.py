"""The pool: handing out slots and taking them back, for one ledger among all of the machine's.

What holds here: two leases never share a slot or a port, whoever asks and from wherever. Slots are
handed out under the machine lock, after looking at every ledger of the registry; a ledger that
cannot be read keeps the slots it was last seen with.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from adw_worktree.errors import AdwIdTaken, LedgerError
from adw_worktree.pool import doubts, other_ledgers, registry
from adw_worktree.pool import state_directory as statedir
from adw_worktree.pool.holders import (
    Holding,
    exhausted,
    free_slots,
    is_aged,
    require_available,
)
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.pool.ledger import (
    Leases,
    Ledger,
    replace_standing,
    require_standing,
    standing,
)
from adw_worktree.pool.unlisted import forgotten_reservations, undisputed, unlisted_leases
from adw_worktree.pool.verdict import Finding, Sweep, judge
from adw_worktree.settings.model import Settings
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.pool.claims import Answer, Claim


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
        """Return what the registry has of this ledger; None if it has nothing that can be read.

        Raises LedgerTooNew.
        """
        if self.state_dir is None or self.common_dir is None:
            return None
        return registry.entry_of(self.state_dir, self.ledger.path, self.common_dir)

    def neighbours(self) -> list[registry.Entry]:
        """Return what the registry has of every other ledger, and of this one at other places."""
        if self.state_dir is None:
            return []
        return list(registry.entries(self.state_dir, self._entry_file()))

    def elsewhere(
        self, *, living: bool = False, forgotten: set[int] | None = None
    ) -> list[Holding]:
        """Return what the other ledgers of this machine hold.

        With `living`, leave out what is gone and only not released yet: for reports, never for
        handing out. `forgotten` gets the slots of reservations that their ledgers have forgotten.
        """
        found = []
        for entry in self.neighbours():
            if not other_ledgers.is_own(entry, self.ledger.path, self.common_dir):
                found += other_ledgers.holdings_of(
                    entry, self.settings, living=living, forgotten=forgotten
                )
        return found

    def finding(self, lease: Lease) -> Finding:
        """Return what became of the worktree of `lease`."""
        if self.common_dir is None:
            return Finding("unknown", "reserved without a worktree")
        env_file = None if self.foreign else self.settings.env_file
        return judge(lease, self.common_dir, env_file)

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
        own = {draft.token} if draft else set()
        with self._transaction() as leases:
            self._release_gone(leases)
            self._take_back(leases, own)
            present = leases.get(adw_id)
            if present is not None:
                return present
            if wanted is None:
                slot = next(self._offers(leases, own))
            else:
                slot = wanted
                require_available(slot, self.settings, self.holdings(leases, own))
            draft = draft or Lease(
                adw_id, slot, {}, datetime.now(UTC), "active", os.urandom(16).hex()
            )
            ports = ports_of(slot, self.settings.services)
            leases[adw_id] = draft._replace(adw_id=adw_id, slot=slot, ports=ports)
            doubts.settle(self.state_dir, [leases[adw_id]])
            return leases[adw_id]

    def release(self, *doomed: Lease, doubtful: bool = False) -> bool:
        """Give back the slots of leases; False if none of those very leases stands any more.

        `doubtful` says that their worktrees were only seen to be absent, so that the slots are
        handed out last.
        """
        with self._transaction() as leases:
            present = [one for lease in doomed if (one := standing(leases, lease)) is not None]
            for lease in present:
                del leases[lease.adw_id]
            if doubtful:
                doubts.doubt(self.state_dir, present, self.common_dir)
            return bool(present)

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

    def update(self, *changed: Lease) -> None:
        """Replace what the ledger says of leases, keeping their ids, slots and ports.

        Raises UnknownAdw if one of those very leases stands no more; the others are replaced.
        """
        with self.ledger.locked() as ledger:
            leases = ledger.load()
            lost = replace_standing(leases, changed)
            ledger.commit(leases)
        if lost is not None:
            raise lost

    def adopt(self, claims: Sequence[Claim]) -> list[Answer]:
        """Lease slots to worktrees that are there and have none; return what each of them got."""
        from adw_worktree.pool.claims import answer_claims

        with self._transaction() as leases:
            self._release_gone(leases)
            own = {claim.lease.token for claim in claims}
            self._take_back(leases, own)
            others = [*self._lost(leases, own), *(one.lease for one in self.elsewhere())]
            offers = self._offers(leases, own)
            answers = answer_claims(claims, leases, others, offers, self.settings.services)
            adopted = [one for one in answers if isinstance(one, Lease)]
            doubts.settle(self.state_dir, adopted)
            return answers

    def reassign(self, lease: Lease) -> Lease:
        """Give a lease whose slot somebody else rightly holds another one; return it."""
        self.release(lease)
        return self.reserve(lease.adw_id, draft=lease)

    def release_gone(self) -> Sweep:
        """Release every lease whose worktree is gone; return what became of each.

        Looks first without a lock, so that a pool in order costs no more than reading it.
        """
        leases = self.leases()
        sweep = self._looked_over(leases)
        in_order = self._is_known(leases, self.entry()) and not self.unlisted(leases)
        if not sweep.released and in_order:
            return sweep
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
            here = self._replace(ledger=ledger)
            entry = here.entry()  # first: a later version's is no more changed than its ledger
            leases = ledger.load()
            before = dict(leases)
            forgotten = forgotten_reservations(entry, leases.values())
            doubts.doubt(self.state_dir, forgotten, self.common_dir)
            yield leases
            changed = leases != before
            if changed:
                ledger.commit(leases)
            if changed or not here._is_known(leases, entry):
                here._register(leases, entry)
        if self.state_dir is not None and len(leases) < len(before):
            other_ledgers.tell_of_free_slots(self.state_dir)

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

    def _register(self, leases: Leases, before: registry.Entry | None) -> None:
        """Tell the registry where this ledger is and what it holds, in place of `before`."""
        if self.state_dir is None or self.common_dir is None:
            return
        other_ledgers.register(self.state_dir, self.ledger.path, self.common_dir, leases, before)

    def _entry_file(self) -> Path | None:
        if self.state_dir is None or self.common_dir is None:
            return None
        return registry.entry_file(self.state_dir, self.ledger.path, self.common_dir)

    def _offers(self, leases: Leases, tokens: Collection[str]) -> Iterator[int]:
        """Yield slots that nobody holds, with free ports, those in doubt last.

        The worktrees of `tokens` are asked for: what they held is not counted. When there are no
        more, what is gone in other repositories is released. Raises PoolExhausted at the end.
        """
        yield from self._free_slots(leases, tokens)
        self._release_gone_elsewhere()
        yield from self._free_slots(leases, tokens)
        raise exhausted(self.settings, self.holdings(leases))

    def _free_slots(self, leases: Leases, tokens: Collection[str]) -> Iterator[int]:
        doubtful = doubts.doubtful_slots(self.state_dir) if self.state_dir else set()
        elsewhere = (holding.lease for holding in self.elsewhere(forgotten=doubtful))
        held = [*leases.values(), *self._lost(leases, tokens), *elsewhere]
        return free_slots(self.settings, held, doubtful)

    def holdings(
        self, leases: Leases, tokens: Collection[str] = (), *, forgotten: set[int] | None = None
    ) -> list[Holding]:
        """Return who holds what on this machine, but for the worktrees of `tokens`."""
        held = [*leases.values(), *self._lost(leases, tokens)]
        own = [Holding(lease, self.ledger.path, self.common_dir) for lease in held]
        return [*own, *self.elsewhere(forgotten=forgotten)]

    def _lost(self, leases: Leases, tokens: Collection[str]) -> list[Lease]:
        """Return the leases that only receipts name, but for those of `tokens`."""
        return [lease for lease in self.unlisted(leases) if lease.token not in tokens]

    def _take_back(self, leases: Leases, tokens: Collection[str] = ()) -> None:
        """Give worktrees that the ledger has forgotten their leases back, but for `tokens`.

        Not a slot that somebody else has by now: `reconcile` settles that.
        """
        lost = self._lost(leases, tokens)
        held = [holding.lease for holding in self.holdings(leases)] if lost else []
        leases |= undisputed(lost, leases, held)

    def _release_gone(self, leases: Leases) -> Sweep:
        sweep = self._looked_over(leases)
        for lease, _ in sweep.released:
            del leases[lease.adw_id]
        doubted = [lease for lease, finding in sweep.released if finding.doubtful]
        doubts.doubt(self.state_dir, doubted, self.common_dir)
        return sweep

    def _looked_over(self, leases: Leases) -> Sweep:
        """Return which of `leases` are to be released, because their worktrees are gone.

        A pending lease is never gone: its worktree is not there yet, or `abandoned` has it.
        """
        if self.common_dir is None:
            return Sweep([], [])
        copy = Finding("gone", "this repository is a copy of the one that reserved it")
        gone = [(lease, copy) for lease in self._copied(leases)]
        kept: list[tuple[Lease, Finding]] = []
        for lease in leases.values():
            if lease.path is not None and lease.state != "pending":
                finding = self.finding(lease)
                (gone if finding.verdict == "gone" else kept).append((lease, finding))
        return Sweep(gone, kept)

    def _release_gone_elsewhere(self) -> None:
        """Release the gone worktrees of every other repository; the machine lock is held."""
        if self.state_dir is None:
            return
        for entry in self.neighbours():
            if other_ledgers.is_own(entry, self.ledger.path, self.common_dir):
                continue
            located = registry.locate(entry)
            if located is None:
                other_ledgers.forget_lost(self.state_dir, entry)
            elif registry.is_there(located):
                ledger = other_ledgers.other_ledger(located, self.settings)
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
        if self._release_gone(leases).released and self.state_dir is not None:
            registry.record(self.state_dir, entry._replace(leases=leases), entry)

    def _release_gone_here(self) -> None:
        with self.ledger.locked() as ledger:
            leases = ledger.load()
            if self._release_gone(leases).released:
                ledger.commit(leases)
                here = self._replace(ledger=ledger)
                here._register(leases, here.entry())

    def _is_known(self, leases: Leases, entry: registry.Entry | None) -> bool:
        """Whether the registry, with `entry`, has this ledger with these slots.

        It may have been lost with the state directory, or a process killed before it said so.
        """
        alone = self.state_dir is None or self.common_dir is None
        return alone or registry.has_just(entry, leases)

    def _copied(self, leases: Leases) -> list[Lease]:
        """Return the reservations that came with a copy of the repository that made them, and
        still has them.

        Whom the registry knows is the original. A worktree tells by itself whose it is.
        """
        own = self._entry_file()
        if own is None or os.path.lexists(own):
            return []
        return other_ledgers.copied_reservations(leases, partial(self.elsewhere, living=True))

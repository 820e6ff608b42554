"""Slots for worktrees that are there and have no lease, for many of them in one write.

What holds here: nobody's slot is given away, and each worktree gets its receipt before the ledger
names its lease: without one, the lease would be taken for that of a worktree that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from adw_worktree.errors import PoolExhausted
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.system.named_tuple import NamedTuple


class Claim(NamedTuple):
    """A worktree that is there and has no lease."""

    lease: Lease
    """The lease that it tells of, or a draft."""
    keeps_slot: bool
    """Whether it tells of a slot: that is its own, busy ports or not, unless somebody holds it."""
    leave_receipt: Callable[[Lease], None]
    """Writes the receipt of the lease that the worktree gets. Raises OSError."""

    def may_keep(self, taken: set[int]) -> bool:
        """Whether the slot that it tells of is not among those taken."""
        return self.keeps_slot and self.lease.slot not in taken


Answer = Lease | PoolExhausted | OSError
"""The lease that a claim got, or why it got none."""


def answer_claims(
    claims: Sequence[Claim],
    leases: dict[str, Lease],
    elsewhere: Iterable[Lease],
    offers: Iterator[int],
    services: Mapping[str, int],
) -> list[Answer]:
    """Add the leases of worktrees to `leases`, those of a ledger; return the answers in order.

    Where the ADW id or the worktree of a claim has a lease by now, that is the answer. `offers`
    yields slots that are free, as `leases` are when it begins, and raises PoolExhausted when none
    is left.
    """
    taken = {lease.slot for lease in (*leases.values(), *elsewhere)}
    # Those first that keep their slots, so that none of these is offered to another.
    order = sorted(range(len(claims)), key=lambda number: not claims[number].may_keep(taken))
    handout = _Handout(leases, taken, offers, services)
    answers = {number: handout.answer(claims[number]) for number in order}
    return [answers[number] for number in range(len(claims))]


class _Handout:
    """Giving out leases, one after the other, until no slot is left."""

    def __init__(
        self,
        leases: dict[str, Lease],
        taken: set[int],
        offers: Iterator[int],
        services: Mapping[str, int],
    ) -> None:
        self._leases, self._taken = leases, taken
        self._of_admin = {lease.admin_id: lease for lease in leases.values() if lease.admin_id}
        self._offers = (slot for slot in offers if slot not in taken)
        self._services = services
        self._exhausted: PoolExhausted | None = None

    def answer(self, claim: Claim) -> Answer:
        """Return the lease of the worktree, with its receipt there, or why it has none."""
        wanted = claim.lease
        present = self._leases.get(wanted.adw_id) or self._of_admin.get(wanted.admin_id or "")
        if present is not None:
            return present
        lease = self._lease_for(claim)
        if isinstance(lease, PoolExhausted):
            return lease
        try:
            claim.leave_receipt(lease)
        except OSError as exc:
            return exc
        self._taken.add(lease.slot)
        self._leases[lease.adw_id] = lease
        return lease

    def _lease_for(self, claim: Claim) -> Lease | PoolExhausted:
        if claim.may_keep(self._taken):
            return claim.lease
        if self._exhausted is not None:
            return self._exhausted
        try:
            slot = next(self._offers)
        except PoolExhausted as exc:
            self._exhausted = exc
            return exc
        return claim.lease._replace(slot=slot, ports=ports_of(slot, self._services))

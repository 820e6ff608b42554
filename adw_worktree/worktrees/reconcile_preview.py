"""The slots that a pass of `reconcile` would give, for its dry run. Changes nothing.

What holds here: a copy of the leases goes through the actions in the order in which
`reconcile_steps` takes them, and slots are chosen from the copy as the pool chooses them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from adw_worktree.errors import AdwError, PoolExhausted
from adw_worktree.pool.claims import answer_claims
from adw_worktree.pool.doubts import doubtful_slots, is_doubted
from adw_worktree.pool.holders import Holding, exhausted, free_slots
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.pool.ledger import Leases, standing
from adw_worktree.pool.unlisted import forgotten_reservations
from adw_worktree.pool.verdict import Finding
from adw_worktree.project import Project
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.adopt_together import Done, answered, claim_of
from adw_worktree.worktrees.reconcile_plan import Action, Seen
from adw_worktree.worktrees.reconcile_steps import in_order


def preview_actions(
    project: Project, actions: Sequence[Action], leases: Leases, findings: Mapping[str, Finding]
) -> Iterator[Done]:
    """Yield each action as it would be done, and why it would fail, if it would."""
    preview = _Preview(project, leases)
    ordered = in_order(actions)
    kinds = {action.kind for action in ordered}
    if "finish" in kinds:
        preview.finish_removals()
    if kinds & {"undo", "finish"}:
        for action in ordered:
            preview.undo(action)
        preview.release_gone(findings)
    for action in ordered:
        if action.kind == "release":
            preview.release(action)
    preview.release_gone(findings)
    for action in ordered:
        if action.kind == "reassign":
            yield preview.reassign(action)
    adoptions = [action for action in ordered if action.kind == "adopt"]
    yield from preview.adopt(adoptions)
    yield from ((one, None) for one in ordered if one.kind not in ("reassign", "adopt"))


class _Preview:
    """The leases as they would be after the actions so far."""

    def __init__(self, project: Project, leases: Leases) -> None:
        self._project, self._leases = project, dict(leases)
        forgotten = forgotten_reservations(project.pool.entry(), leases.values())
        self._doubtful = doubtful_slots(project.state_dir) | {one.slot for one in forgotten}
        self._undone: set[str] = set()

    def finish_removals(self) -> None:
        """Release the leases of worktrees whose removal was interrupted."""
        repo = self._project.repo
        moving = [name for name, way in trash.abandoned(repo) if way == "removing"]
        entries = [trash.load(trash.place(repo, name, "removing")) for name in moving]
        tokens = {entry.token for entry in entries if entry is not None}
        for lease in [one for one in self._leases.values() if one.token in tokens]:
            self._drop(lease)

    def undo(self, action: Action) -> None:
        """Release the lease of a dead `create`, if its worktree goes; a reservation stays one."""
        if action.kind != "undo" or action.lease is None or action.lease.reserved:
            return
        from adw_worktree.worktrees.create_undo import will_stay

        with suppress(AdwError, OSError):  # then it cannot be undone yet
            if not will_stay(self._project, action.lease):
                self._undone.add(action.lease.token)
                self._drop(action.lease)

    def release_gone(self, findings: Mapping[str, Finding]) -> None:
        """Release the leases whose worktrees are gone, as every hand-out does first."""
        for lease in list(self._leases.values()):
            finding = findings.get(lease.adw_id)
            if lease.path is None or lease.state == "pending" or finding is None:
                continue
            if finding.verdict == "gone":
                self._drop(lease, doubtful=finding.doubtful)

    def release(self, action: Action) -> None:
        """Release the lease of an action, if it stands."""
        if action.lease is not None and standing(self._leases, action.lease) is not None:
            self._drop(action.lease, doubtful=action.lease.has_worktree)

    def reassign(self, action: Action) -> Done:
        """Give the lease of an action the slot that is offered next."""
        assert action.lease is not None
        self._drop(action.lease)
        try:
            slot = next(self._offers({action.lease.token}))
        except PoolExhausted as exc:
            return action, exc
        ports = ports_of(slot, self._project.settings.services)
        lease = action.lease._replace(slot=slot, ports=ports)
        self._leases[lease.adw_id] = lease
        return action._replace(slot=slot, lease=lease), None

    def adopt(self, actions: Sequence[Action]) -> Iterator[Done]:
        """Give each worktree its own slot, or one that is free."""
        claims = []
        for action in actions:
            try:
                if action.seen is not None:
                    claim = claim_of(self._project, action, action.seen, _leave_none)
                    claims.append((action, action.seen, claim))
            except (AdwError, OSError) as exc:
                yield action, exc
        own = {claim.lease.token for *_, claim in claims}
        answers = answer_claims(
            [claim for *_, claim in claims],
            self._leases,
            [one.lease for one in self._held(own)],
            self._offers(own),
            self._project.settings.services,
        )
        yield from answered(claims, answers, _settle_nothing)

    def _drop(self, lease: Lease, *, doubtful: bool = False) -> None:
        present = standing(self._leases, lease)
        if present is not None:
            del self._leases[present.adw_id]
            if doubtful and is_doubted(lease, self._project.repo.common_dir):
                self._doubtful = self._doubtful | {lease.slot}

    def _held(self, tokens: Collection[str], *, living: bool = False) -> list[Holding]:
        """Return who holds what, but for the worktrees of `tokens` and what is undone."""
        pool, apart = self._project.pool, {*tokens, *self._undone}
        if not living:
            return pool.holdings(self._leases, apart, forgotten=self._doubtful)
        gone = {one.lease.token for one in pool.elsewhere()} - {
            one.lease.token for one in pool.elsewhere(living=True)
        }
        return [one for one in pool.holdings(self._leases, apart) if one.lease.token not in gone]

    def _offers(self, tokens: Collection[str]) -> Iterator[int]:
        """Yield free slots in the pool's order; those of what is gone elsewhere come last."""
        settings, given = self._project.settings, set[int]()
        for living in (False, True):
            held = [one.lease for one in self._held(tokens, living=living)]
            for slot in free_slots(settings, held, self._doubtful):
                if slot not in given:
                    given.add(slot)
                    yield slot
        raise exhausted(settings, self._held(()))


def _leave_none(lease: Lease) -> None:
    """Leave no receipt of `lease`: a preview writes nothing."""


def _settle_nothing(lease: Lease, seen: Seen) -> None:
    """Write nothing into the worktree of `lease`, either."""

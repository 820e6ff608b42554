"""What a pass of `reconcile` finds, and what it does about it: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import chain, count
from pathlib import Path

from adw_worktree.adw_id import check_adw_id, with_id_characters
from adw_worktree.errors import AdwError, InvalidAdwId
from adw_worktree.pool.env_header import Header, is_ours
from adw_worktree.pool.holders import is_aged
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Leases
from adw_worktree.pool.verdict import Finding
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal[
        "undo",
        "finish",
        "release",
        "prune",
        "move",
        "refresh",
        "receipt",
        "env",
        "reassign",
        "adopt",
        "drop",
        "keep",
    ]


class Seen(NamedTuple):
    """A linked worktree as it was found."""

    path: Path
    admin: Path
    branch: str | None
    header: Header | None
    """What its env file says of itself."""
    told: Lease | None = None
    """The lease that its receipt or, failing that, its env file tells of."""
    has_receipt: bool = True


class Action(NamedTuple):
    """One thing to do, or to leave as it is, and why."""

    kind: Kind
    adw_id: str
    slot: int | None
    reason: str
    path: Path | None = None
    lease: Lease | None = None
    seen: Seen | None = None


class Reconciled(NamedTuple):
    """What a pass did, or with `check` would do."""

    released: list[Action]
    kept: list[Action]
    repaired: list[Action]
    adopted: list[Action]
    failed: list[tuple[Action, AdwError]]

    @property
    def found_something(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.released or self.repaired or self.adopted or self.failed)

    def file(self, action: Action) -> None:
        """Put an action where reports have its kind."""
        headings = {"release": self.released, "keep": self.kept, "adopt": self.adopted}
        headings.get(action.kind, self.repaired).append(action)


# ---- the plan ----------------------------------------------------------------------------------


def plan_reconciliation(
    leases: Leases,
    findings: Mapping[str, Finding],
    worktrees: Iterable[Seen],
    *,
    adopt_all: bool = False,
    max_age: timedelta | None = None,
    losers: Iterable[str] = (),
) -> list[Action]:
    """Return the actions that bring leases and worktrees together. Pure.

    `losers` are the ADW ids whose slot somebody else rightly holds.
    """
    losing = set(losers)
    in_the_making = {lease.path for lease in leases.values() if lease.state == "pending"}
    by_admin = {seen.admin.name: seen for seen in worktrees if str(seen.path) not in in_the_making}
    actions: list[Action] = []
    for lease in leases.values():
        finding = findings[lease.adw_id]
        seen = by_admin.pop(lease.admin_id, None) if lease.admin_id is not None else None
        if finding.verdict == "gone" and seen is not None and seen.told is not None:
            by_admin[seen.admin.name] = seen  # the place was taken by another of ours
        actions += _plan_lease(lease, finding, seen, max_age, lease.adw_id in losing)
    names = set(leases)
    for seen in by_admin.values():
        if seen.told is not None or adopt_all:
            action = _plan_adoption(seen, names)
            names.add(action.adw_id)
            actions.append(action)
    return actions


def _plan_lease(
    lease: Lease, finding: Finding, seen: Seen | None, max_age: timedelta | None, loses: bool
) -> list[Action]:
    def action(kind: Kind, reason: str, path: Path | None = finding.path) -> Action:
        return Action(kind, lease.adw_id, lease.slot, reason, path, lease, seen)

    if lease.state == "pending":
        return [action("keep", "in the making")]
    if max_age is not None and is_aged(lease, max_age):
        return [action("release", f"no worktree, and older than {max_age}")]
    if finding.verdict == "gone":
        return [action("release", finding.reason)]
    if finding.moved_to is not None:
        return [action("move", finding.reason)]
    if finding.verdict == "unknown" or seen is None:
        return [action("keep", finding.reason)]
    mended = []
    if loses:
        return [action("reassign", f"slot {lease.slot} belongs to another worktree")]
    if lease.path != str(seen.path) or lease.branch != seen.branch:
        mended.append(action("refresh", "its path or branch changed"))
    told = seen.told and (seen.told.adw_id, seen.told.token)
    if not seen.has_receipt or told != (lease.adw_id, lease.token):
        mended.append(action("receipt", "its receipt was missing or told of another name"))
    if not is_ours(seen.header, lease):
        mended.append(action("env", "its env file was missing or another's"))
    return mended or [action("keep", finding.reason)]


def _plan_adoption(seen: Seen, names: set[str]) -> Action:
    """Return the action that gives a worktree without a lease one; its own again if it had one."""
    if seen.told is not None and seen.told.adw_id not in names:
        reason = "its receipt or env file names a slot, but it had no lease"
        return Action("adopt", seen.told.adw_id, seen.told.slot, reason, seen.path, seen.told, seen)
    adw_id = free_name(seen.path.name, names)
    return Action("adopt", adw_id, None, "made by plain git", seen.path, None, seen)


def free_name(directory: str, names: set[str]) -> str:
    """Return an ADW id after the directory's name that no lease has."""
    stem = with_id_characters(directory).strip("._-")[:58] or "worktree"
    stem = stem.removesuffix(".lock").rstrip(".") or "worktree"
    try:
        check_adw_id(stem)
    except InvalidAdwId:
        stem = "worktree"
    candidates = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in candidates if name not in names)

"""The states of a phase: which change may follow which, and what the end of an attempt leads to.

What holds here: every change of a phase's status in the store goes through `require_change`, so
that a change which is not in the table raises instead of being written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from adw_worktree.errors import PhaseNotInState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Status = Literal[
        "queued",
        "ready",
        "running",
        "review",
        "paused",
        "completed",
        "failed",
        "blocked",
        "cancelled",
    ]
    EndReason = Literal[
        "completed",
        "agent-error",
        "command-failed",
        "gate-failed",
        "conflict",
        "timeout",
        "stalled",
        "limit",
        "over-budget",
        "denied",
        "needs-person",
        "no-changes",
        "lost",
        "no-slot",
        "handed-back",
        "cancelled",
    ]

CHANGES: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        "queued": frozenset({"ready", "paused", "blocked", "cancelled"}),
        "ready": frozenset({"running", "paused", "cancelled"}),
        "running": frozenset({"completed", "failed", "review", "ready", "paused", "cancelled"}),
        "review": frozenset({"completed", "ready", "failed", "cancelled"}),
        "paused": frozenset({"ready", "queued", "blocked", "cancelled"}),
        "completed": frozenset(),
        "failed": frozenset({"ready", "queued", "blocked", "cancelled"}),
        "blocked": frozenset({"queued", "ready", "cancelled"}),
        "cancelled": frozenset({"ready", "queued", "blocked"}),
    }
)
"""The statuses that may follow each status."""

BROKEN: frozenset[Status] = frozenset({"failed", "blocked", "cancelled"})
"""Statuses of a phase that block those which depend on it."""
WAITING_FOR_PERSON: frozenset[Status] = frozenset({"review", "paused"})


def require_change(before: Status, after: Status, name: str) -> None:
    """Raise PhaseNotInState unless the phase called `name` may go from `before` to `after`."""
    if after not in CHANGES[before]:
        raise PhaseNotInState(
            f"{name} is {before}, and cannot become {after}", hint=f"adw-worktree phase show {name}"
        )


def waiting_status(dependencies: Iterable[Status]) -> Literal["queued", "ready", "blocked"]:
    """Return the status of a phase that may run as soon as its dependencies allow it."""
    seen = set(dependencies)
    if seen & BROKEN:
        return "blocked"
    return "ready" if seen <= {"completed"} else "queued"


def status_after(reason: EndReason, *, losses: int, attempts: int) -> Status:
    """Return the status of a running phase whose attempt has ended.

    `losses` is how many of its attempts were lost, this one included; `attempts` how many may be.
    """
    if reason == "completed":
        return "completed"
    if reason in ("needs-person", "conflict"):
        return "review"
    if reason in ("no-slot", "handed-back") or (reason == "lost" and losses < attempts):
        return "ready"
    if reason == "limit":
        return "paused"
    if reason == "cancelled":
        return "cancelled"
    return "failed"

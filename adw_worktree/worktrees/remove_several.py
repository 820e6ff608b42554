"""`remove` of several worktrees: first a plan, then each; a worktree that stays stops no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adw_worktree.errors import AdwError
from adw_worktree.project import Project
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.worktrees.heal import Healed
from adw_worktree.worktrees.remove import Removed, foresee, remove
from adw_worktree.worktrees.remove_checks import Consent

Target = str | Path
"""An ADW id, or the path of a worktree."""


class RemovalPlan(NamedTuple):
    """Which of several worktrees can be removed."""

    going: Mapping[str, Target]
    """By the name that the caller has for each."""
    refused: Mapping[str, AdwError]


class RemovedSeveral(NamedTuple):
    """The removed worktrees, and why the others stay."""

    removed: Sequence[Removed]
    refused: Mapping[str, AdwError]


def plan_removals(
    project: Project,
    targets: Mapping[str, Target],
    consent: Consent,
    *,
    healed: Healed | None = None,
    output: int | None = None,
) -> RemovalPlan:
    """Return which of `targets`, by the caller's name for each, can be removed. Changes nothing.

    `healed` and `output` are as for `foresee`.
    """
    found = foresee(project, list(targets.values()), consent, healed=healed, output=output)
    prospects = dict(zip(targets, found, strict=True))
    return RemovalPlan(
        {name: one.target for name, one in prospects.items() if one.refusal is None},
        {name: one.refusal for name, one in prospects.items() if one.refusal is not None},
    )


def remove_several(
    project: Project,
    plan: RemovalPlan,
    consent: Consent,
    *,
    output: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> RemovedSeveral:
    """Remove what `plan` says can go, one after the other, and return what became of each.

    `output` is as for `remove`; `tell` is called with a line before each removal. Raises nothing
    foreseeable: what fails is among the refused.
    """
    removed: list[Removed] = []
    refused = dict(plan.refused)
    for number, (name, target) in enumerate(plan.going.items(), 1):
        if tell is not None:
            tell(f"removing {name}, {number} of {len(plan.going)}")
        try:
            removed.append(remove(project, target, consent, output=output))
        except AdwError as exc:
            refused[name] = exc
    return RemovedSeveral(removed, refused)

"""Where an attempt stands in its workflow, and where it goes from there. Pure.

What holds here: what an attempt has come through is not done again by the next one; a failure is
handed back as often as its stage allows, and no more.
"""

from __future__ import annotations

from adw_worktree.orchestration.workflows.workflow import CHECKS, Stage, Workflow
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_MOST_CHANGES = 10
"""How often a branch is tested again since its tests have changed it."""
_CHANGED = "changed"


class Progress(NamedTuple):
    """The stage that is to run, and what led there."""

    stage: str | None
    """None: all are through."""
    rounds: Mapping[str, int] = {}
    """How often the failure of each stage was handed back."""
    failed: str | None = None
    """The stage whose failure the agent of this one gets."""
    failure: str | None = None
    """What it printed or said."""


def first(workflow: Workflow) -> Progress:
    """Return where an attempt begins."""
    return Progress(workflow.stages[0].name)


def after_success(workflow: Workflow, progress: Progress) -> Progress:
    """Return where it goes on when the stage has passed."""
    names = [stage.name for stage in workflow.stages]
    at = progress._replace(failed=None, failure=None)
    if progress.stage in names:
        following = names.index(progress.stage) + 1
        return at._replace(stage=names[following] if following < len(names) else None)
    # What a stage beside the others has changed is checked before the one that led to it.
    return at._replace(stage=_checks_before(workflow, str(progress.failed)))


def after_failure(workflow: Workflow, progress: Progress, failure: str) -> Progress | None:
    """Return where it goes on when the stage has failed; None if that is its end."""
    stage = workflow.stage(str(progress.stage))
    if stage.on_failure is None:
        return None
    rounds = _once_more(progress.rounds, stage.name, stage.rounds)
    if rounds is None:
        return None
    return Progress(stage.on_failure, rounds, stage.name, failure)


def after_move(workflow: Workflow, progress: Progress) -> Progress:
    """Return where it goes on when the feature's branch has moved: at the first check again.

    However often that is: each time another phase has landed.
    """
    return Progress(_checks_before(workflow, str(progress.stage)), progress.rounds)


def after_commit(workflow: Workflow, progress: Progress) -> Progress | None:
    """Return where it goes on when a check has changed what was checked: at the first check again;
    None if that has happened too often."""
    rounds = _once_more(progress.rounds, _CHANGED, _MOST_CHANGES)
    return None if rounds is None else after_move(workflow, progress._replace(rounds=rounds))


def after_shipping(workflow: Workflow) -> Progress:
    """Return where it goes on when the work has landed."""
    return after_success(workflow, Progress(workflow.ship))


def after_rejection(workflow: Workflow, progress: Progress, comment: str) -> Progress | None:
    """Return where it goes on when a person sends it back: at the agent before; None without."""
    names = [stage.name for stage in workflow.stages]
    here = names.index(str(progress.stage)) if progress.stage in names else len(names) - 1
    agents = [stage.name for stage in workflow.stages[: here + 1] if stage.kind == "agent"]
    if not agents:
        return None
    return Progress(agents[-1], {}, progress.stage, comment)


def checks_before_shipping(workflow: Workflow) -> list[str]:
    """Return the checks that are to have passed at the commit that is shipped."""
    names = [stage.name for stage in workflow.stages]
    begin = names.index(_checks_before(workflow, workflow.ship))
    return names[begin : names.index(workflow.ship)]


def to_entry(progress: Progress) -> dict[str, Any]:
    """Return the progress as it stands in a journal."""
    return {**progress._asdict(), "rounds": dict(progress.rounds)}


def from_entry(workflow: Workflow, entry: object) -> Progress:
    """Return the progress that a journal has; the start for any that names no stage of ours."""
    names = {stage.name for stage in (*workflow.stages, *workflow.beside)}
    if isinstance(entry, dict) and entry.get("stage") in names:
        return Progress(**entry)
    return first(workflow)


def _once_more(rounds: Mapping[str, int], name: str, most: int) -> dict[str, int] | None:
    count = rounds.get(name, 0) + 1
    return None if count > most else {**rounds, name: count}


def _checks_before(workflow: Workflow, name: str) -> str:
    """Return the first of the checks right before a stage; the stage itself if there are none."""
    found = name
    for stage in reversed(_before(workflow, name)):
        if stage.kind not in CHECKS:
            break
        found = stage.name
    return found


def _before(workflow: Workflow, name: str) -> tuple[Stage, ...]:
    names = [stage.name for stage in workflow.stages]
    return workflow.stages[: names.index(name)] if name in names else ()

"""The executor: takes an attempt through the stages of its workflow.

What holds here: where an attempt stands is in its journal before each stage begins, so that the
next attempt goes on there. Nothing is shipped but the very commit at which all checks have passed.
It knows no agent and no command, and does not decide what starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.stages.order import head_commit
from adw_worktree.orchestration.stages.run_stage import run_commands
from adw_worktree.orchestration.stages.shipping import ship
from adw_worktree.orchestration.stages.stage import Bench, Outcome, Turn
from adw_worktree.orchestration.store.attempts import End
from adw_worktree.orchestration.workflows.progress import (
    Progress,
    after_commit,
    after_failure,
    after_move,
    after_rejection,
    after_shipping,
    after_success,
    checks_before_shipping,
    first,
    from_entry,
    to_entry,
)
from adw_worktree.orchestration.workflows.workflow import CHECKS, Stage, Workflow
from adw_worktree.system.faults import reached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def execute(bench: Bench, landed: End | None) -> End:
    """Take the attempt through its stages from where the one before it stood; return its end.

    `landed` is the end if the work of an attempt before has landed already.
    """
    progress = _begin(bench) if landed is None else after_shipping(bench.workflow)
    shipped = landed
    position = 0
    while progress.stage is not None:
        position += 1
        if _is_unproven(bench, progress):
            again = after_commit(bench.workflow, progress)
            if again is None:
                text = "its checks change what they check, again and again"
                return End("needs-person", text)
            progress = again
        if bench.workflow.stage(str(progress.stage)).kind not in (*CHECKS, "ship"):
            bench.turn.give_back()
        outcome = _run(bench, progress, position)
        if outcome.status == "passed":
            if progress.stage == bench.workflow.ship:
                shipped = outcome.end
            progress = after_success(bench.workflow, progress)
            continue
        if shipped is not None:  # the work has landed
            return shipped._replace(message=f"after shipping: {outcome.end.message}")
        following = _following(bench.workflow, progress, outcome)
        if following is None:
            return outcome.end
        progress = following
    return shipped or End("completed", exit_code=0)


def _following(workflow: Workflow, progress: Progress, outcome: Outcome) -> Progress | None:
    """Return where the attempt goes on after a stage that has not passed; None if nowhere."""
    if outcome.status == "failed":
        return after_failure(workflow, progress, outcome.failure)
    return after_move(workflow, progress) if outcome.status == "moved" else None


def _run(bench: Bench, progress: Progress, position: int) -> Outcome:
    """Run one stage, and note its start and its end."""
    run, stage = bench.around.run, bench.workflow.stage(str(progress.stage))
    name = f"{position:02d}-{stage.name}.log"
    log = os.open(run.path / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    run.answer("report")  # what was reported of the stage before
    run.append(
        "stage.started",
        position=position,
        name=stage.name,
        stage_kind=stage.kind,
        round=1 + progress.rounds.get(progress.failed or stage.name, 0),
        log=name,
        progress=to_entry(progress),
    )
    if position > 1 and bench.assignment.task is not None:
        # The store is to know it before the stage reports. Commands alone only ship now, and that
        # they did is told at their end: the next phase waits for it.
        summon(bench.assignment.state_dir, run.path.name)
    reached("stage.started")
    before = _commit_to_prove(bench, stage)
    try:
        outcome = _KINDS[stage.kind](bench, Turn(stage, progress, position, log, name))
    finally:
        os.close(log)
    run.append(
        "stage.ended",
        position=position,
        name=stage.name,
        status=_STATUSES.get(outcome.status, outcome.status),
        exit_code=outcome.end.exit_code,
        failure=outcome.failure,
        tested_commit=before if before == _commit_to_prove(bench, stage) else None,
    )
    return outcome


def _commit_to_prove(bench: Bench, stage: Stage) -> str | None:
    """Return the commit that a check looks at; None for other stages, and without agents."""
    is_check = stage.kind in CHECKS and bench.assignment.task is not None
    return head_commit(bench) if is_check else None


def _is_unproven(bench: Bench, progress: Progress) -> bool:
    """Return whether a commit is to be shipped at which not all checks have passed."""
    if bench.assignment.task is None or progress.stage != bench.workflow.ship:
        return False
    checks = checks_before_shipping(bench.workflow)
    if not checks:
        return False
    proven: dict[str, str | None] = {}
    for run in (*reversed(bench.assignment.interrupted), bench.around.run):
        for entry in run.journal()[0]:
            if entry["kind"] == "stage.ended" and entry.get("status") == "passed":
                proven[entry["name"]] = entry.get("tested_commit")
    head = head_commit(bench)
    return any(proven.get(name) != head for name in checks)


def _await_approval(bench: Bench, turn: Turn) -> Outcome:
    text = f"waits for an approval: adw-worktree phase approve {bench.assignment.name}"
    return Outcome("waiting", End("needs-person", text))


def _work(bench: Bench, turn: Turn) -> Outcome:
    from adw_worktree.orchestration.stages.agent_stage import run_agents

    return run_agents(bench, turn)


def _pass_gate(bench: Bench, turn: Turn) -> Outcome:
    from adw_worktree.orchestration.stages.gate_stage import run_gate

    return run_gate(bench, turn)


_KINDS: Mapping[str, Callable[[Bench, Turn], Outcome]] = MappingProxyType(
    {
        "agent": _work,
        "run": run_commands,
        "gate": _pass_gate,
        "approve": _await_approval,
        "ship": ship,
    }
)
_STATUSES = {"ended": "failed"}


# ---- where it begins ---------------------------------------------------------------------------


def _begin(bench: Bench) -> Progress:
    """Return where the attempt begins: where the last one that had begun a stage stood."""
    assignment = bench.assignment
    for run in assignment.interrupted:
        steps = [one for one in run.journal()[0] if one["kind"].startswith("stage.")]
        if not steps:
            continue
        at = _stood_at(bench.workflow, steps)
        judged = [one for one in assignment.earlier if one.token == run.path.name]
        verdict = judged[0].verdict if judged else None
        if judged and judged[0].end_reason == "no-changes":
            return after_rejection(bench.workflow, at, "The phase has made no commits.") or at
        if verdict == "rejected":
            comment = judged[0].verdict_message or ""
            return after_rejection(bench.workflow, at, comment) or at
        if verdict == "approved":
            return after_success(bench.workflow, at)
        return at
    return first(bench.workflow)


def _stood_at(workflow: Workflow, steps: list[dict[str, Any]]) -> Progress:
    """Return where an attempt stood, by the stages in its journal."""
    started = [one for one in steps if one["kind"] == "stage.started"]
    if not started:
        return first(workflow)
    at, last = from_entry(workflow, started[-1].get("progress")), steps[-1]
    if last["kind"] != "stage.ended":
        return at
    if last.get("status") == "passed":
        return after_success(workflow, at)
    if last.get("status") == "moved":
        return after_move(workflow, at)
    # Whoever lets it run again gives it all of its rounds.
    fresh = at._replace(rounds={})
    if last.get("status") == "failed" and last.get("failure"):
        return after_failure(workflow, fresh, str(last["failure"])) or fresh
    return fresh

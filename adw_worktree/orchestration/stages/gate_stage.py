"""The gate `checklist`: every point of the phase's checklist, looked for at the commit that ships.

What holds here: a verdict is about that very commit, and has its evidence. A point that only a
reader can tell stays as it is. Commands of the plan run as those of a stage do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from adw_worktree.orchestration.gates.check import check
from adw_worktree.orchestration.gates.checklist import Checker, from_json
from adw_worktree.orchestration.gates.finding import Finding
from adw_worktree.orchestration.gates.tree import Tree
from adw_worktree.orchestration.stages.commands import Interrupted, run_command
from adw_worktree.orchestration.stages.order import head_commit
from adw_worktree.orchestration.stages.stage import PASSED, Bench, Outcome, Turn, process_tree, tail
from adw_worktree.orchestration.store.attempts import End
from adw_worktree.orchestration.store.checklists import ChecklistItem
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_COMMAND_SECONDS = 1800.0
_MOST_SHOWN = 40
_MOST_PRINTED = 16 * 1024 * 1024
_MOST_EVIDENCE = 2000


class _Judged(NamedTuple):
    item: ChecklistItem
    finding: Finding


def run_gate(bench: Bench, turn: Turn) -> Outcome:
    """Look for every point of the checklist, and note what was found."""
    task = bench.assignment.task
    commit = head_commit(bench)
    tree = _tree(bench)
    try:
        judged = [*_judged(bench, turn, tree, task.checklist if task is not None else ())]
    except Interrupted as exc:
        return Outcome("ended", exc.end)
    except BlockingIOError as exc:
        return Outcome("ended", End("lost", str(exc)))
    settled = [*_settled(tree, task.concerns if task is not None else ())]
    findings = [_noted(one) for one in (*judged, *settled)]
    bench.around.run.append("checklist", findings=findings, commit=commit)
    lines = [*_lines(judged), *(f"of a phase before, {line}" for line in _lines(settled))]
    os.write(turn.log, "".join(f"{line}\n" for line in lines).encode())
    failed = [one for one in judged if one.finding.verdict == "fail"]
    if not failed or not turn.stage.blocks:
        return PASSED
    told = "\n".join([*_lines(failed)][:_MOST_SHOWN])
    points = "1 point" if len(failed) == 1 else f"{len(failed)} points"
    text = f"{points} of the checklist failed"
    end = End("gate-failed", f"{text}: {failed[0].finding.evidence}")
    return Outcome("failed", end, f"{text}:\n\n{told}")


def _tree(bench: Bench) -> Tree:
    names = run_git(["ls-files", "-z"], Checkout(bench.admin, bench.worktree)).stdout
    return Tree(bench.worktree, [name for name in names.split("\0") if name])


def _noted(judged: _Judged) -> dict[str, Any]:
    item, finding = judged
    return {"phase_id": item.phase_id, "position": item.position, **finding._asdict()}


def _settled(tree: Tree, concerns: Iterable[ChecklistItem]) -> Iterator[_Judged]:
    """Yield what of the phases before was found to be missing, and is there now."""
    for item in concerns:
        checker = from_json(item.checker) if item.checker is not None else None
        if checker is None or checker.what in ("command", "test"):
            continue
        finding = check(checker, tree, "")
        if finding.verdict == "pass":
            yield _Judged(item, finding._replace(evidence=finding.evidence[:_MOST_EVIDENCE]))


def _judged(
    bench: Bench, turn: Turn, tree: Tree, items: Iterable[ChecklistItem]
) -> Iterator[_Judged]:
    """Yield what is found of each point that can be looked for. Raises Interrupted."""
    printed = _printed(bench)
    for item in items:
        checker = from_json(item.checker) if item.checker is not None else None
        if checker is None:
            continue
        if checker.what == "command":
            finding = _run(bench, turn, checker)
        else:
            finding = check(checker, tree, printed)
        yield _Judged(item, finding._replace(evidence=finding.evidence[:_MOST_EVIDENCE]))


def _run(bench: Bench, turn: Turn, checker: Checker) -> Finding:
    """Run a command that the plan says passes. Raises Interrupted."""
    start = os.fstat(turn.log).st_size
    try:
        with process_tree(bench) as around:
            code = run_command(
                checker.subject,
                around=around._replace(heeds_done=False),
                worktree=bench.worktree,
                variables=bench.environ,
                log=turn.log,
                timeout=turn.stage.timeout or _COMMAND_SECONDS,
            )
    except Interrupted as exc:
        if exc.end.reason != "timeout":
            raise
        return Finding("fail", f"`{checker.subject}`: {exc.end.message}")
    except OSError as exc:
        return Finding("fail", f"`{checker.subject}` cannot be started: {exc.strerror}")
    if code == 0:
        return Finding("pass", f"`{checker.subject}` exited with 0")
    last = tail(bench.around.run.path, turn.log_name, start).rpartition("\n")[2]
    return Finding("fail", f"`{checker.subject}` failed with exit status {code}: {last[:300]}")


def _printed(bench: Bench) -> str:
    """Return all that the stages of commands have printed in this attempt.

    Nothing if it is too much: what is cut would look as if a test had not run.
    """
    texts = []
    for entry in bench.around.run.journal()[0]:
        if entry["kind"] == "stage.started" and entry.get("stage_kind") == "run":
            log = bench.around.run.path / str(entry["log"])
            if log.stat().st_size > _MOST_PRINTED:
                return ""
            texts.append(log.read_text(errors="replace"))
    return "".join(texts)


def _lines(judged: Iterable[_Judged]) -> Iterator[str]:
    for item, finding in judged:
        yield f"{finding.verdict}: {item.kind} {item.position}, {item.text}: {finding.evidence}"

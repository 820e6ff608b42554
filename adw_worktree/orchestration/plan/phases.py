"""From a plan to the phases that run: one for each task, or one for each build agent.

What holds here: a phase has its own part of the plan, and nothing of another's. Each point of the
plan that is to be checked belongs to exactly one phase.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from adw_worktree.orchestration.gates.checklist import Item
from adw_worktree.orchestration.plan.feature_file import FeatureFile, PhaseEntry
from adw_worktree.orchestration.plan.markdown import code_spans
from adw_worktree.orchestration.plan.order import Order, in_common
from adw_worktree.orchestration.plan.plan import Finding, Plan, Point, Task


class PlannedFeature(NamedTuple):
    """The feature that a plan describes, ready to be started."""

    feature: FeatureFile
    checklists: Mapping[int, tuple[Item, ...]]
    """By the number of the phase."""
    warnings: tuple[Finding, ...] = ()
    """What its author should know."""


class UnfitError(Exception):
    """Says why a task or a build agent makes no phase, and on which line it begins."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(line, text)
        self.line, self.text = line, text


def planned_feature(plan: Plan) -> PlannedFeature:
    """Return the phases of a plan that has no errors. Raises UnfitError."""
    groups = _groups(plan)
    numbers = {task.id: number for number, (_, tasks) in groups.items() for task in tasks}
    needs = _needs(plan)
    owned = _owned(plan)
    phases = []
    checklists = {}
    for number, (title, tasks) in groups.items():
        before = {numbers[need] for task in tasks for need in needs[task.id]} - {number}
        estimates = [task.hours for task in tasks if task.hours is not None]
        points = [point for task in tasks for point in owned.get(task.id, ())]
        wired = [one.text for one in points if one.kind == "integration"]
        try:
            phase = PhaseEntry(
                number=number,
                title=title,
                prompt=_part(plan, tasks, wired),
                depends_on=tuple(sorted(before)),
                estimated_hours=sum(estimates) if estimates else None,
                needs=tuple(sorted({label for task in tasks for label in task.labels})),
            )
        except ValidationError as exc:
            error = exc.errors(include_url=False)[0]
            key = ".".join(str(one) for one in error["loc"])
            raise UnfitError(tasks[0].line, f"{title[:60]!r}, {key}: {error['msg']}") from None
        phases.append(phase)
        checklists[number] = tuple(_checklist(tasks, points))
    front = plan.front
    feature = FeatureFile(
        slug=plan.slug,
        title=plan.title,
        description=plan.objective[:100_000],
        priority=front.priority,
        base=front.base,
        workflow=front.workflow,
        budget_usd=front.budget_usd,
        land=front.land,
        checklist=front.checklist,
        issues=front.issues,
        phases=tuple(phases),
    )
    return PlannedFeature(feature, checklists)


def phase_numbers(plan: Plan) -> dict[str, int]:
    """Return the number of each task's phase, by the task's id."""
    return {task.id: number for number, (_, tasks) in _groups(plan).items() for task in tasks}


def _groups(plan: Plan) -> dict[int, tuple[str, Sequence[Task]]]:
    """Return the title and the tasks of each phase, by its number."""
    if plan.front.phases == "lanes" and plan.lanes:
        found: dict[int, tuple[str, Sequence[Task]]] = {}
        for lane in plan.lanes:
            tasks = [task for task in plan.tasks if task.lane == lane.number]
            if tasks:
                found[len(found) + 1] = (lane.scope or f"Build agent {lane.number}", tasks)
        return found
    # Where the author numbers the tasks, a phase has the number that the author knows it by.
    are_numbers = all(re.fullmatch(r"[1-9]\d{0,3}", task.id) for task in plan.tasks)
    return {
        int(task.id) if are_numbers else place: (task.name, [task])
        for place, task in enumerate(plan.tasks, 1)
    }


def _needs(plan: Plan) -> dict[str, set[str]]:
    """Return what each task waits for; with `serialize_overlaps`, those with the same files too."""
    needs = {task.id: {*task.depends_on} for task in plan.tasks}
    if plan.front.serialize_overlaps:
        for first, second, _ in in_common(plan.tasks):
            needs[second].add(first)
    return needs


def _part(plan: Plan, tasks: Sequence[Task], integration: Sequence[str]) -> str:
    """Return what the agent of a phase gets of the plan."""
    lane = plan.lane(tasks[0].lane)
    parts = []
    if lane is not None and lane.about:
        parts.append(lane.about)
    for task in tasks:
        module = f"Module: `{task.module}`\n\n" if task.module else ""
        head = f"## {task.name}\n\n" if len(tasks) > 1 else ""
        parts.append(f"{head}{module}{task.text}".strip())
    if integration:
        points = "\n".join(f"- {text}" for text in integration)
        parts.append(f"## Integration points of this phase\n\n{points}")
    return "\n\n".join(part for part in parts if part) or tasks[0].name


def _checklist(tasks: Sequence[Task], points: Sequence[Item]) -> Iterator[Item]:
    yield from (point for point in points if point.kind == "integration")
    for task in tasks:
        yield from (Item("file", f"`{file.path}`") for file in task.creates)
        yield from (Item("criterion", point.text) for point in task.criteria)
        yield from (Item("test", point.text) for point in task.tests)
    yield from (point for point in points if point.kind == "success")


def _owned(plan: Plan) -> dict[str, list[Item]]:
    """Return the points of the whole plan by the task that has to make each true."""
    last = Order(plan.tasks).topological()[-1]
    found: dict[str, list[Item]] = {}
    for point in plan.integration:
        owner = _owner(plan, point) or last
        found.setdefault(owner, []).append(Item("integration", point.text))
    found.setdefault(last, []).extend(Item("success", one.text) for one in plan.success)
    return found


def _owner(plan: Plan, point: Point) -> str | None:
    """Return the task that an integration point belongs to; None if nothing says it.

    That is the last one that it names, or else the first whose part has the same piece of code.
    """
    known = {task.id.casefold(): task.id for task in plan.tasks}
    named = [known[found.casefold()]
             for found in re.findall(r"(?i)\btasks?\s+#?([\w.\-]*\w)", point.text)
             if found.casefold() in known]  # fmt: skip
    if named:
        return named[-1]
    for span in code_spans(point.text):
        for task in plan.tasks:
            if span in task.text:
                return task.id
    return None

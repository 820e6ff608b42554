"""A plan as people look at it: its phases and build agents, overlaps, and the critical path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from adw_worktree.orchestration.plan.order import Order, hours, in_common
from adw_worktree.orchestration.plan.phases import phase_numbers
from adw_worktree.orchestration.plan.plan import Plan, Task


class Overlap(NamedTuple):
    """Two tasks that name the same file and may run side by side."""

    first: str
    second: str
    path: str


def overlaps(plan: Plan) -> list[Overlap]:
    """Return the files that tasks which may run at once have in common."""
    order, shared = Order(plan.tasks), in_common(plan.tasks)
    return [Overlap(*one) for one in shared if order.are_beside(one[0], one[1])]


def document(plan: Plan) -> dict[str, Any]:
    """Return the plan as a document for programs."""
    order = Order(plan.tasks)
    path, total = order.critical_path()
    numbers = phase_numbers(plan)
    return {
        "slug": plan.slug,
        "title": plan.title,
        "phases": plan.front.phases,
        "lanes": [{"number": lane.number, "scope": lane.scope} for lane in plan.lanes],
        "tasks": [_task(task, numbers[task.id]) for task in plan.tasks],
        "overlaps": [overlap._asdict() for overlap in overlaps(plan)],
        "critical_path": path,
        "critical_hours": total,
        "hours": sum(hours(task) for task in plan.tasks),
        "at_once": max(len(wave) for wave in order.waves()),
    }


def _task(task: Task, number: int) -> dict[str, Any]:
    return {
        "id": task.id,
        "phase_number": number,
        "name": task.name,
        "line": task.line,
        "lane": task.lane,
        "module": task.module,
        "depends_on": [*task.depends_on],
        "criteria": [point.text for point in task.criteria],
        "creates": [file.path for file in task.creates],
        "changes": [file.path for file in task.changes],
        "tests": [point.text for point in task.tests],
        "hours": task.hours,
    }


def rows(plan: Plan) -> list[list[str]]:
    """Return the tasks for a table: phase, task, build agent, after, hours, name."""
    numbers = phase_numbers(plan)
    return [
        [
            str(numbers[task.id]),
            task.id,
            task.lane or "-",
            ",".join(task.depends_on) or "-",
            f"{task.hours:g}" if task.hours is not None else "?",
            task.name,
        ]
        for task in plan.tasks
    ]


HEADS = ["PHASE", "TASK", "AGENT", "AFTER", "HOURS", "NAME"]
"""Of `rows`."""


def remarks(plan: Plan) -> Iterator[str]:
    """Yield lines on the whole: build agents, overlaps, the critical path."""
    for lane in plan.lanes:
        tasks = ", ".join(task.id for task in plan.tasks if task.lane == lane.number)
        yield f"build agent {lane.number}{f' ({lane.scope})' if lane.scope else ''}: {tasks or '-'}"
    for first, second, path in overlaps(plan):
        yield f"overlap: {first} and {second} both have {path}"
    order = Order(plan.tasks)
    critical, total = order.critical_path()
    every = sum(hours(task) for task in plan.tasks)
    guessed = sum(task.hours is None for task in plan.tasks)
    note = f", {guessed} without an estimate counted as 1 h each" if guessed else ""
    yield f"critical path: {' → '.join(critical)}: {total:g} h of {every:g} h in all{note}"
    most = max(len(wave) for wave in order.waves())
    yield f"at most {most} side by side"


def mermaid(plan: Plan) -> str:
    """Return the plan as a flow chart in Mermaid, build agents as its parts."""
    critical, _ = Order(plan.tasks).critical_path()
    names = {task.id: f"t{place}" for place, task in enumerate(plan.tasks, 1)}
    lines = ["flowchart LR"]
    for lane in [*plan.lanes, None]:
        tasks = [task for task in plan.tasks if task.lane == (lane.number if lane else None)]
        if not tasks:
            continue
        if lane is not None:
            shown = _quoted(f"{lane.number}: {lane.scope}" if lane.scope else lane.number)
            lines.append(f'  subgraph lane_{plan.lanes.index(lane) + 1}["{shown}"]')
        indent = "    " if lane is not None else "  "
        lines += [f'{indent}{names[task.id]}["{_quoted(f"{task.id} {task.name}")}"]'
                  for task in tasks]  # fmt: skip
        lines += ["  end"] if lane is not None else []
    lines += [f"  {names[need]} --> {names[task.id]}"
              for task in plan.tasks for need in task.depends_on if need in names]  # fmt: skip
    lines.append("  classDef critical stroke-width:3px")
    lines.append(f"  class {','.join(names[name] for name in critical)} critical")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return text for Mermaid's quotes, in which it reads entities and tags."""
    safe = text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")
    return safe.replace(">", "#gt;").replace("`", "'")


def starts(tasks: Sequence[Task]) -> dict[str, float]:
    """Return the hour at which each task can begin, if all that can do so at once."""
    begins: dict[str, float] = {}
    by_id = {task.id: task for task in tasks}
    for name in Order(tasks).topological():
        needs = [need for need in by_id[name].depends_on if need in by_id]
        begins[name] = max((begins[need] + hours(by_id[need]) for need in needs), default=0.0)
    return begins

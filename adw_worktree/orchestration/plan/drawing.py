"""A plan as a picture: a bar for each task, in the rows of its build agent, along its hours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape

from adw_worktree.orchestration.plan.order import Order, hours
from adw_worktree.orchestration.plan.plan import Plan, Task
from adw_worktree.orchestration.plan.show import starts

_LEFT, _TOP, _ROW, _BAR = 190, 56, 34, 24
_WIDTH = 900
_CHARACTER = 6.6
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600; font-size: 15px }
.lane { fill: #59636e }
.bar { fill: #dbe7f5; stroke: #5b7fa8 }
.critical { fill: #ffe2c2; stroke: #bc6c1a; stroke-width: 2 }
.need { fill: none; stroke: #8c959f; stroke-width: 1.2; marker-end: url(#end) }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .lane { fill: #9198a1 }
  .bar { fill: #1f3148; stroke: #6f9bd1 } .critical { fill: #4a2f12; stroke: #e09b4f }
}
"""


class _Box(NamedTuple):
    """Where a task's bar is."""

    task: Task
    x: float
    y: float
    width: float


def svg(plan: Plan) -> str:
    """Return the plan as an SVG picture, for light and for dark pages."""
    boxes = _boxes(plan)
    path, total = Order(plan.tasks).critical_path()
    height = max(box.y for box in boxes.values()) + _ROW + 16
    title = f"{plan.title}: {total:g} hours on the critical path"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 30} {height:g}" '
        f'role="img" aria-label="{_attribute(title)}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#8c959f"/></marker></defs>',
        f'<text class="head" x="12" y="28">{escape(_short(title, 140))}</text>',
        *_needs(plan, boxes),
        *(_bar(box, box.task.id in path) for box in boxes.values()),
        *_lanes(plan, boxes),
        "</svg>",
    ]
    return "\n".join(parts)


def _boxes(plan: Plan) -> dict[str, _Box]:
    """Return where each task is drawn: the rows of one build agent together, none over another."""
    begins = starts(plan.tasks)
    end = max(begins[task.id] + hours(task) for task in plan.tasks)
    scale = _WIDTH / end
    boxes: dict[str, _Box] = {}
    row = 0
    for number in dict.fromkeys([*(lane.number for lane in plan.lanes), None]):
        free: list[float] = []
        """The hour from which on each of the agent's rows is free."""
        tasks = sorted((task for task in plan.tasks if task.lane == number),
                       key=lambda task: begins[task.id])  # fmt: skip
        for task in tasks:
            begin = begins[task.id]
            place = next((place for place, hour in enumerate(free) if hour <= begin), len(free))
            free[place : place + 1] = [begin + hours(task)]
            y = _TOP + (row + place) * _ROW
            width = max(hours(task) * scale - 6, 8)
            boxes[task.id] = _Box(task, _LEFT + begin * scale, y, width)
        row += len(free)
    return boxes


def _bar(box: _Box, is_critical: bool) -> str:
    kind = "bar critical" if is_critical else "bar"
    task = box.task
    about = f"{task.id}: {task.name}, {hours(task):g} h"
    shown = _short(f"{task.id} {task.name}", int((box.width - 10) / _CHARACTER))
    return (
        f'<g><title>{escape(about)}</title><rect class="{kind}" x="{box.x:.1f}" y="{box.y:g}" '
        f'width="{box.width:.1f}" height="{_BAR}" rx="4"/><text x="{box.x + 5:.1f}" '
        f'y="{box.y + 16:g}">{escape(shown)}</text></g>'
    )


def _needs(plan: Plan, boxes: dict[str, _Box]) -> Iterator[str]:
    for task in plan.tasks:
        for need in task.depends_on:
            if need not in boxes:
                continue
            first, second = boxes[need], boxes[task.id]
            x, y = first.x + first.width, first.y + _BAR / 2
            to_x, to_y = second.x, second.y + _BAR / 2
            bend = max(abs(to_x - x) / 2, 12)
            yield (
                f'<path class="need" d="M{x:.1f} {y:.1f} C{x + bend:.1f} {y:.1f} '
                f'{to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"/>'
            )


def _lanes(plan: Plan, boxes: dict[str, _Box]) -> Iterator[str]:
    for lane in plan.lanes:
        rows = [boxes[task.id].y for task in plan.tasks if task.lane == lane.number]
        if rows:
            label = _short(f"{lane.number} {lane.scope}".strip(), 26)
            yield f'<text class="lane" x="12" y="{min(rows) + 16:g}">{escape(label)}</text>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(most - 1, 0)]}…" if most > 1 else ""


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})

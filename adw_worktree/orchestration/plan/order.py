"""The order of tasks: what comes before what, what may run side by side, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from adw_worktree.orchestration.plan.plan import Task

DEFAULT_HOURS = 1.0
"""What a task counts for that has no estimate."""


class Order:
    """The dependencies of tasks that have no circle."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = {task.id: task for task in tasks}
        self._place = {task.id: place for place, task in enumerate(tasks)}
        self._before: dict[str, int] = {}
        """For each task a number whose bits are the places of all that comes before it."""
        for name in self.topological():
            bits = 0
            for need in self._needs(name):
                bits |= self._before[need] | 1 << self._place[need]
            self._before[name] = bits

    def topological(self) -> list[str]:
        """Return the ids, each after those that it depends on."""
        found: dict[str, None] = {}
        for start in self._tasks:
            stack: list[tuple[str, Iterable[str]]] = [(start, iter(self._needs(start)))]
            while stack:
                name, needs = stack[-1]
                following = next((one for one in needs if one not in found), None)
                if following is not None:
                    stack.append((following, iter(self._needs(following))))
                else:
                    found[name] = None
                    stack.pop()
        return [*found]

    def are_beside(self, first: str, second: str) -> bool:
        """Return whether two tasks may run at the same time."""
        comes_after = self._before[first] >> self._place[second] & 1
        comes_before = self._before[second] >> self._place[first] & 1
        return not comes_after and not comes_before

    def waves(self) -> list[list[str]]:
        """Return the tasks in groups, each of which can begin when those before it are done."""
        depth: dict[str, int] = {}
        for name in self.topological():
            depth[name] = max((depth[need] + 1 for need in self._needs(name)), default=0)
        groups: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for name in self._tasks:
            groups[depth[name]].append(name)
        return groups

    def critical_path(self) -> tuple[list[str], float]:
        """Return the tasks that decide how long the whole takes, and their hours together."""
        ends: dict[str, float] = {}
        through: dict[str, str | None] = {}
        for name in self.topological():
            last = max(self._needs(name), key=lambda need: ends[need], default=None)
            through[name] = last
            ends[name] = (ends[last] if last is not None else 0.0) + hours(self._tasks[name])
        end = max(ends, key=lambda name: ends[name], default=None)
        total = ends[end] if end is not None else 0.0
        path = []
        while end is not None:
            path.append(end)
            end = through[end]
        return path[::-1], total

    def _needs(self, name: str) -> list[str]:
        return [need for need in self._tasks[name].depends_on if need in self._tasks]


def in_common(tasks: Sequence[Task]) -> Iterator[tuple[str, str, str]]:
    """Yield two tasks and a file that both create or change, for each two of its tasks that follow
    each other in their order: if those come one after the other, all of them do."""
    place = {name: place for place, name in enumerate(Order(tasks).topological())}
    users: dict[str, set[str]] = {}
    for task in tasks:
        for file in (*task.creates, *task.changes):
            users.setdefault(file.path, set()).add(task.id)
    for path, names in users.items():
        for first, second in pairwise(sorted(names, key=lambda name: place[name])):
            yield first, second, path


def hours(task: Task) -> float:
    """Return the hours that a task counts for."""
    return task.hours if task.hours is not None else DEFAULT_HOURS

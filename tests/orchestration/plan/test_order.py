"""The order of tasks, beside one that looks at every path there is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from adw_worktree.orchestration.plan.order import Order, hours
from adw_worktree.orchestration.plan.plan import Task


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    """Draw tasks without a circle, in any order."""
    count = draw(st.integers(1, 8))
    needs = [draw(st.sets(st.integers(0, number - 1))) if number else set()
             for number in range(count)]  # fmt: skip
    times = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.0, 7.5]))
    made = [
        Task(id=f"T{number}", name="x", line=number + 1, lane=None, text="", hours=draw(times),
             depends_on=tuple(f"T{need}" for need in sorted(needs[number])))
        for number in range(count)
    ]  # fmt: skip
    return draw(st.permutations(made))


def paths_from(name: str, by_id: dict[str, Task]) -> list[list[str]]:
    """Return every path along dependencies that begins with a task."""
    further = [[name, *path] for need in by_id[name].depends_on for path in paths_from(need, by_id)]
    return [[name], *further]


@settings(max_examples=100)
@given(tasks())
def test_it_agrees_with_all_paths(given_tasks: list[Task]) -> None:
    by_id = {task.id: task for task in given_tasks}
    paths = {name: paths_from(name, by_id) for name in by_id}
    order = Order(given_tasks)

    topological = order.topological()
    assert sorted(topological) == sorted(by_id)
    for task in given_tasks:
        assert all(topological.index(need) < topological.index(task.id) for need in task.depends_on)

    for first in by_id:
        for second in by_id:
            joined = any(second in path for path in paths[first])
            joined = joined or any(first in path for path in paths[second])
            if first != second:
                assert order.are_beside(first, second) is not joined

    depths = {name: max(map(len, found)) - 1 for name, found in paths.items()}
    assert [set(wave) for wave in order.waves()] == [
        {name for name in by_id if depths[name] == depth}
        for depth in range(max(depths.values()) + 1)
    ]

    costs = {name: hours(task) for name, task in by_id.items()}
    longest = max(sum(costs[name] for name in path) for found in paths.values() for path in found)
    path, total = order.critical_path()
    assert total == sum(costs[name] for name in path) == longest
    assert path[::-1] in paths[path[-1]]


def test_what_is_not_there_is_waited_for_by_nobody() -> None:
    task = Task(id="1", name="x", line=1, lane=None, text="", depends_on=("9",))
    assert Order([task]).waves() == [["1"]]
    assert Order([]).critical_path() == ([], 0.0)

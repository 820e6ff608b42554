"""A plan beside the files of its repository: what it creates, and is there; what is not there.

A heading that was lost between two lists of files is found so, and a path that was mistyped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from posixpath import basename

from adw_worktree.orchestration.plan.plan import Finding, Plan

_PATTERN = frozenset("*[{?")


def doubtful_files(plan: Plan, there: Collection[str], base: str) -> Iterator[Finding]:
    """Yield the files of which the plan says otherwise than the commit that it starts from.

    `there` has the paths of its files, and `base` is what people call it.
    """
    made = {file.path for task in plan.tasks for file in task.creates}
    for task in plan.tasks:
        for file in task.creates:
            if file.path in there:
                text = f"task {task.id} creates {file.path}, which is in {base} already"
                yield Finding(file.line, "warning", text)
        for file in task.changes:
            if not (file.path.endswith("/") or _PATTERN & {*file.path} or file.path in made):
                yield from _missing(file.line, task.id, file.path, there, base)


def _missing(
    line: int, task: str, path: str, there: Collection[str], base: str
) -> Iterator[Finding]:
    if path in there or any(one.startswith(f"{path}/") for one in there):
        return
    text = f"task {task} changes {path}, which is not in {base}, and no task creates it"
    like = get_close_matches(path, [one for one in there if basename(one) == basename(path)], 1, 0)
    yield Finding(line, "warning", f"{text}: is {like[0]} meant?" if like else text)

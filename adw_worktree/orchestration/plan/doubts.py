"""What of a plan would be lost: tasks that are none, and dependencies that nobody reads.

What holds here: a task that somebody named is a task, or its line is said; and so is a line that
says what waits for what, and stands where it is not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from adw_worktree.orchestration.plan.markdown import Document, Section, matches, plain
from adw_worktree.orchestration.plan.plan import Finding, Plan
from adw_worktree.orchestration.plan.wording import heading, lane_title, part_of, task_title

_NOT_NOW = (
    r"(?i)\b(?:future|later|appendix|examples?|deferred|backlog|postponed|not now|rejected|"
    r"nice to have|alternatives?)\b"
)
_CALLED_OFF = (
    r"(?i)[\[(]\s*(?:cancell?ed|deferred|dropped|postponed|skipped|removed|obsolete|abandoned|"
    r"won'?t (?:do|fix)|out of scope|not needed|later)\s*[\])]"
)
_LISTED = r"(?im)^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+(?:\[[ x]\][ \t]+)?([*_]{0,2}task[ \t]*#?\d.*)$"
_WAITS = (
    r"(?:depend(?:s|ing|ent)?[ \t_-]+(?:up)?on|dependenc(?:y|ies)|blocked[ \t]+by|predecessors?|"
    r"prerequisites?|requires?|needs|(?:must[ \t]+)?comes?[ \t]+after|starts?[ \t]+after|"
    r"waits?[ \t]+(?:for|on)|follows|after)"
)
_NEEDS = rf"(?i)\b{_WAITS}\b[^\n(]{{0,30}}?\b(?:tasks?|build[ \t]+agents?|lanes?)[ \t]*#?[a-z]?\d"
_BEGINS = rf"(?i)[^\w\n]*{_WAITS}\b"


def doubtful_parts(
    plan: Plan, text: str, document: Document, needs: Collection[int]
) -> Iterator[Finding]:
    """Yield what its author may have meant as a part of the plan, and is none, or the reverse.

    `needs` are the lines that were read as dependencies.
    """
    yield from _not_meant(document.root, None)
    yield from _idle_lanes(plan)
    yield from _unknown_tasks(plan, text, document)
    yield from _unread_needs(text, document, needs)


def _not_meant(section: Section, shelf: str | None) -> Iterator[Finding]:
    """Yield the tasks that stand where those stand that nobody is to do now; `shelf` is that."""
    for place, inner in enumerate(section.sections):
        title = inner.title
        if task_title(title) is not None:
            if shelf is not None:
                what = f"{title[:60]!r} stands under {shelf[:60]!r}, and would be done: move it"
                yield Finding(inner.line, "error", f"{what}, or do not call it a task")
            elif re.search(_CALLED_OFF, title):
                what = f"{title[:60]!r} is called off, and would be done: delete it"
                yield Finding(inner.line, "error", f"{what}, or these words")
            continue
        is_title = section.level == 0 and place == 0
        yield from _not_meant(inner, shelf or (None if is_title else _shelf(title)))


def _shelf(title: str) -> str | None:
    if lane_title(title) is not None:
        return None
    is_shelf = part_of(title) == "out_of_scope" or re.search(_NOT_NOW, heading(title))
    return title if is_shelf else None


def _idle_lanes(plan: Plan) -> Iterator[Finding]:
    busy = {task.lane for task in plan.tasks}
    for lane in plan.lanes:
        if lane.number not in busy:
            what = f"build agent {lane.number} has no task"
            yield Finding(lane.line, "error", f"{what}: begin one with a heading such as "
                          "'#### Task 1: Table of users'")  # fmt: skip


def _unknown_tasks(plan: Plan, text: str, document: Document) -> Iterator[Finding]:
    """Yield the points of lists that name a task which is none."""
    known = {task.id.casefold() for task in plan.tasks}
    for number, found in matches(_LISTED, text):
        named = task_title(plain(found[1]))
        if number in document.code or named is None or not named.name:
            continue
        if named.id.casefold() not in known:
            what = f"task {named.id} is named here alone: begin it with a heading"
            yield Finding(number, "error", f"{what} such as '#### Task {named.id}: …'")


def _unread_needs(text: str, document: Document, needs: Collection[int]) -> Iterator[Finding]:
    for number, line in enumerate(text.split("\n"), 1):
        lower = line.lower()
        is_of_others = "task" in lower or "agent" in lower or "lane" in lower
        if not is_of_others or number in document.code or number in needs:
            continue
        if not re.search(_NEEDS, line):
            continue
        if line.lstrip().startswith("#") or re.match(_BEGINS, line):
            what = f"{line.strip()[:60]!r} is not read as a dependency: write"
            yield Finding(number, "error", f"{what} '- **Dependencies**: Task 1' under its task")
        else:
            what = f"what {line.strip()[:60]!r} waits for is not read: only what stands"
            yield Finding(number, "warning", f"{what} behind 'Dependencies:' is")

"""Checking a plan: everything that is wrong with a document, by line."""

from __future__ import annotations

import gc
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

from adw_worktree.orchestration.phases.graph import flaws
from adw_worktree.orchestration.plan.doubts import doubtful_parts
from adw_worktree.orchestration.plan.markdown import matches, without_code
from adw_worktree.orchestration.plan.order import Order
from adw_worktree.orchestration.plan.phases import (
    PlannedFeature,
    UnfitError,
    phase_numbers,
    planned_feature,
)
from adw_worktree.orchestration.plan.plan import Finding, Plan, PlannedFile, Task
from adw_worktree.orchestration.plan.reading import Reading, read_plan
from adw_worktree.orchestration.plan.seeming import seeming_parts

_NEEDED: Mapping[str, str] = {
    "integration": "integration points",
    "success": "success criteria",
}
"""Parts that gates are made of: without them a plan is not run."""
_WANTED: Mapping[tuple[str, ...], str] = {
    ("in_scope",): "what is in scope",
    ("out_of_scope", "not_in_scope", "non_goals"): "what is not in scope",
    ("clarifications",): "how tests are run, and where files lie: technical clarifications",
    ("decisions", "approach"): "which decisions were made",
    ("strategy",): "how the whole is tested: a testing strategy",
}
"""Parts that readers miss, by the names of the part and of its labels."""
_LABELLED = r"(?i)\b(?:{})\b\**\s*:"
_PLACEHOLDERS = (
    r"\{\{[^{}\n]{0,200}\}\}",
    r"(?i)\[(?:insert|your|describe|feature|task|name|title|description|module|todo|tbd|fill)"
    r"[^\]\n]{0,80}\](?![\[(:])",
    r"(?i)<(?:insert|your|describe|name of|path to|todo|tbd)\b[^<>\n]{0,80}>",
)
_EMPTY = (
    r"(?i)^[\s>*_#|-]*(?:\[[ xX]\]\s*)?(?:\*\*[^*]{1,60}\*\*:?|[\w ]{1,40}:)?\s*"
    r"(?:tbd|todo|fixme|xxx|\?{3,}|\.{3}|…|lorem ipsum.*)[\s.|]*$"
)
_PERHAPS = r"\{\{|[\[<](?!/)[A-Za-z]|\?{3}|\.{3}|…"
_UNSAID = ("tbd", "todo", "fixme", "xxx", "lorem")
"""What each line with a placeholder has in it: one of these."""
_MOST_OVERLAPS = 50


class Checked(NamedTuple):
    """A document that was looked through."""

    plan: Plan | None
    """None if there is too little of a plan."""
    findings: list[Finding]
    """By line."""
    feature: PlannedFeature | None = None
    """What it would run, if nothing is wrong with it."""

    @property
    def errors(self) -> int:
        """How many of the findings keep it from being run."""
        return sum(one.level == "error" for one in self.findings)


def check_plan(data: bytes, name: str) -> Checked:
    """Return the plan of a document, and everything that is wrong with it.

    `name` is the file's name: the slug is made of it, if the document has none.
    """
    with _without_collection():
        return _checked(read_plan(data, name))


def _checked(reading: Reading) -> Checked:
    plan, findings, parts, text, document, needs = reading
    if document is None:
        return Checked(plan, findings)
    lower = text.lower()
    left_in = [*_placeholders(text, lower, document.code)]
    lines = {one.line for one in left_in}
    findings += seeming_parts(text, document)
    findings = [one for one in findings if one.line not in lines]  # they say the same
    findings += [*_missing(parts, plan, text, lower), *left_in]
    if plan is not None:
        cycles = [*_cycles(plan)]
        findings += cycles
        if not cycles:
            findings += _overlaps(plan)
        findings += doubtful_parts(plan, text, document, needs)
    feature = None
    if plan is not None and not any(one.level == "error" for one in findings):
        try:
            feature = planned_feature(plan)
            findings += _circles(feature, plan)
        except UnfitError as exc:
            findings.append(Finding(exc.line, "error", exc.text))
    checked = Checked(plan, sorted({*findings}))
    if feature is None or checked.errors:
        return checked
    return checked._replace(feature=feature._replace(warnings=tuple(checked.findings)))


def _circles(feature: PlannedFeature, plan: Plan) -> Iterator[Finding]:
    """Yield the phases that wait for each other, though no task does so."""
    numbers = phase_numbers(plan)
    pairs = [(phase.number, phase.depends_on) for phase in feature.feature.phases]
    for flaw in flaws(pairs):
        line = next(task.line for task in plan.tasks if numbers[task.id] == flaw.number)
        yield Finding(line, "error", f"{flaw.text}, with phases: {plan.front.phases}")


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the garbage collector from looking again and again at what is being made."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _missing(parts: frozenset[str], plan: Plan | None, text: str, lower: str) -> Iterator[Finding]:
    if plan is not None and not plan.objective:
        yield Finding(1, "error", "there is no objective: add a heading '### Objective'")
    for part, title in _NEEDED.items():
        if part not in parts:
            heading = f"## {title.capitalize()}"
            yield Finding(1, "error", f"there are no {title}: add a heading '{heading}'")
    for names, what in _WANTED.items():
        labels = "|".join(name.replace("_", "[ -]") for name in names)
        may_say = any(name.rpartition("_")[2] in lower for name in names)
        is_labelled = may_say and re.search(_LABELLED.format(labels), text)
        if not parts & {*names} and not is_labelled:
            yield Finding(1, "warning", f"it does not say {what}")


def _placeholders(text: str, lower: str, code: Collection[int]) -> Iterator[Finding]:
    """Yield what was left of a template, outside of code."""
    lines = text.split("\n")
    found = {line for line, _ in matches(_PERHAPS, text)}
    for word in _UNSAID:
        if word in lower:  # to look for all of them at once takes longer than all the rest
            found |= {line for line, _ in matches(rf"\b{word}\b", lower)}
    for number in sorted(found):
        if number not in code:
            yield from _left_in(number, " ".join(lines[number - 1].split()))


def _left_in(number: int, line: str) -> Iterator[Finding]:
    bare = without_code(line)
    found = [match[0] for pattern in _PLACEHOLDERS for match in re.finditer(pattern, bare)]
    found += [match[0] for match in re.finditer(r"`\{\{[^{}`\n]{0,200}\}\}`", line)]
    if not found and re.match(_EMPTY, line):
        found = [line.strip(" |*-")]
    for text in found:
        yield Finding(number, "error", f"a placeholder was left in: {text[:60]}")


def _cycles(plan: Plan) -> Iterator[Finding]:
    """Yield each circle of dependencies, by its path."""
    numbers = {task.id: number for number, task in enumerate(plan.tasks, 1)}
    pairs = [
        (numbers[task.id], tuple(numbers[need] for need in task.depends_on if need in numbers))
        for task in plan.tasks
    ]
    for flaw in flaws(pairs):
        task = plan.tasks[flaw.number - 1]
        text = re.sub(r"\d+", lambda found: plan.tasks[int(found[0]) - 1].id, flaw.text)
        yield Finding(task.line, "error", text.replace("phase", "task"))


def _overlaps(plan: Plan) -> Iterator[Finding]:
    """Yield the files that tasks which may run side by side have in common."""
    order = Order(plan.tasks)
    place = {name: place for place, name in enumerate(order.topological())}
    users: dict[str, list[tuple[Task, PlannedFile, bool]]] = {}
    for task in plan.tasks:
        for file in task.creates:
            users.setdefault(file.path, []).append((task, file, True))
        for file in task.changes:
            users.setdefault(file.path, []).append((task, file, False))
    count = 0
    for path, uses in users.items():
        # If each comes before the next one, all of them come one after the other.
        uses.sort(key=lambda use: place[use[0].id])
        for (first, at, creates), (second, other, creates_too) in pairwise(uses):
            if first.id == second.id:
                continue
            beside = order.are_beside(first.id, second.id)
            if creates and creates_too:
                how = ", side by side" if beside else ""
                yield Finding(other.line, "error", f"tasks {first.id} and {second.id} both create "
                              f"{path} (line {at.line}){how}")  # fmt: skip
            elif beside:
                count += 1
                if count <= _MOST_OVERLAPS:
                    yield Finding(other.line, "warning", _overlap(plan, path, first, second))


def _overlap(plan: Plan, path: str, first: Task, second: Task) -> str:
    text = f"tasks {first.id} and {second.id} overlap: both have {path}"
    if plan.front.serialize_overlaps:
        return f"{text}; the second waits for the first"
    return f"{text}, and may run at once: add a dependency, or serialize_overlaps: true"


def shown(findings: Sequence[Finding], name: str) -> list[str]:
    """Return the findings as lines of text, as compilers print them."""
    return [f"{name}:{one.line}: {one.level}: {one.text}" for one in findings]

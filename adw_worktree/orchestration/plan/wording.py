"""The words by which authors call the parts of a plan, and the shapes of ids and paths.

What holds here: a label that is nearly one of these is no unknown text, but a mistake to be said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

from adw_worktree.orchestration.plan.markdown import plain

Part = Literal[
    "overview", "objective", "in_scope", "out_of_scope", "requirements", "complexity",
    "clarifications", "approach", "decisions", "modules", "integration", "data_flow", "tasks",
    "strategy", "success",
]  # fmt: skip
Field = Literal[
    "description", "module", "dependencies", "hours", "criteria", "creates", "files", "changes",
    "configuration", "code", "tests", "lane", "name", "id", "none", "labels",
]  # fmt: skip

_PARTS: Mapping[Part, str] = {
    "overview": "overview, summary, introduction, background, context, executive summary",
    "objective": "objective, objectives, goal, goals, purpose, aim, problem, problem statement,"
    " what we want, why",
    "in_scope": "in scope, scope, what is in, included, in-scope",
    "out_of_scope": "not in scope, out of scope, non-goals, non goals, what is not, what is not in,"
    " excluded, out-of-scope, not included",
    "requirements": "dependencies, prerequisites, requirements, external dependencies",
    "complexity": "complexity, estimated complexity, complexity and why, risk, effort",
    "clarifications": "technical clarifications, clarifications, technical context, conventions,"
    " environment, technical notes",
    "approach": "approach, technical approach, architecture, design, solution,"
    " implementation approach, technical design, how",
    "decisions": "decisions, key decisions, design decisions, architecture decisions",
    "modules": "module placement, modules, file structure, module structure, where things go",
    "integration": "integration points, integration, integrations, interfaces, touch points",
    "data_flow": "data flow, dataflow, flow of data, flow",
    "tasks": "tasks, implementation tasks, work, work packages, implementation,"
    " implementation plan, task list, task breakdown, build agents, steps,"
    " work breakdown, task table",
    "strategy": "testing strategy, test strategy, testing, tests, test plan, how we test",
    "success": "success criteria, definition of done, acceptance criteria, done when, success,"
    " acceptance, success metrics, final checklist, validation",
}
_FIELDS: Mapping[Field, str] = {
    "description": "description, what, summary, goal, objective, details, purpose, what to do,"
    " context, background, about, overview, scope",
    "module": "module, modules, package, component, area",
    "labels": "runs on, host labels, labels of the host",
    "dependencies": "dependencies, depends on, predecessors, predecessor, follows, comes after,"
    " must come after, starts after, waits on, depends, blocked by, requires, prerequisites, after,"
    " dependency, needs, waits for, prerequisite",
    "hours": "hours, estimated hours, estimate, effort, estimated time, time, estimated effort,"
    " duration, size in hours, estimation, estimated",
    "criteria": "acceptance criteria, criteria, to be accepted, acceptance, done when,"
    " definition of done, dod, success criteria, acceptance criterion,"
    " it is done when, acceptance checks",
    "creates": "files to create, new files, creates, create, file to create, files created,"
    " files to be created, adds, new file, files (new)",
    "files": "files, file, files touched, files involved, owned files, files to create/modify,"
    " files to create or change, files to create / modify, affected files, files to touch",
    "changes": "files to change, files to modify, modifies, changes, files to edit, existing files,"
    " files to update, modify, edits, touches, file to change, files (existing), files changed,"
    " changed files",
    "configuration": "configuration, config, settings, environment, environment variables,"
    " configuration changes",
    "code": "code to follow, code, example, examples, code pattern, pattern, code example,"
    " reference, snippet, sketch, implementation notes, implementation, notes, note, hints, steps,"
    " implementation steps, subtasks, interface, technical notes, risks, approach, api, how,"
    " pattern to follow, reference code, code sketch",
    "tests": "test cases, tests, testing, test case, test plan, tests to write, unit tests,"
    " expected tests, how to test, test scenarios",
    "lane": "agent, build agent, lane, track, workstream, owner",
    "name": "name, title, task, task name, what it does",
    "id": "id, #, no, no., nr, number, task id, key",
    "none": "status, priority, state, done, assignee, labels, progress, complexity, risk, type,"
    " phase, model",
}


def _by_word(table: Mapping[Part, str] | Mapping[Field, str]) -> dict[str, str]:
    return {word.strip(): key for key, words in table.items() for word in words.split(",")}


_PART_OF: Mapping[str, str] = MappingProxyType(_by_word(_PARTS))
_FIELD_OF: Mapping[str, str] = MappingProxyType(_by_word(_FIELDS))

ID = r"[A-Za-z]{0,4}\d{1,6}[A-Za-z]?(?:[.\-_][A-Za-z]{0,4}\d{1,6}[A-Za-z]?){0,4}"
"""A task's id, such as `3`, `2a`, `P2A.1`, `T001`."""
_NUMBERING = r"^\s*(?:\d+(?:\.\d+)*[.)]?\s+|[IVX]+\.\s+)"
_TASK = rf"^(?:work package|task|story|step)\s*#?\s*({ID})\b\s*(.*)$"
_BARE_TASK = rf"^(?:#\s*)?({ID})\s*(?:[.:)\u2013\u2014-]\s*|\s)(\S.*)$"
_LANE = (
    r"^(?:build\s*agent|agent|lane|track|work\s*stream|stream)(?:\s*#\s*|\s+|(?=\d))"
    r"([A-Za-z]?\d{1,3}|[A-Z])\b\s*(.*)$"
)
_SEPARATOR = r"^\s*[:.)\]\u2013\u2014-]+\s*"
_MOST_OF_A_LABEL = 60
_MOST_KEPT = 1024
"""Titles and labels of which the meaning is kept: the tasks of a plan have the same labels."""
_WHOLLY_BOLD = r"^(?:\*\*|__)[^*_\n]{1,60}(?:\*\*|__)\s*:?$"
_PART_LEVEL, _TASK_LEVEL, _LAST_LEVEL = 7, 8, 9


class Named(NamedTuple):
    """An id with the name that stands behind it."""

    id: str
    name: str


def heading(text: str) -> str:
    """Return a heading without its number and its ornaments."""
    return _unadorned(re.sub(_NUMBERING, "", _unadorned(text)))


@lru_cache(maxsize=_MOST_KEPT)
def part_of(title: str) -> str | None:
    """Return the part of a plan that a heading begins; None if it is none."""
    return _PART_OF.get(_word(heading(title)))


def level_of(text: str, titles: Sequence[tuple[str, int]]) -> int | None:
    """Return the level at which a line of text is a heading; None if it is none.

    `titles` are those of the sections that are open, with their levels. Bold titles of parts and
    build agents stand below all real headings, bold ones of tasks below them, plain ones last.
    """
    is_bold = text.startswith(("**", "__"))
    if not is_bold and (len(text) > 40 or part_of(text) is None):
        return None
    task = next((level for title, level in titles if task_title(title) is not None), None)
    if is_bold and task_title(plain(text)) is not None:
        return _TASK_LEVEL if task in (None, _TASK_LEVEL) else None
    if task is not None and task < _PART_LEVEL:
        return None  # a label inside of a task
    if not is_bold:
        return _LAST_LEVEL if task is None else None
    if lane_title(plain(text)) is not None:
        return _PART_LEVEL
    is_part = part_of(plain(text)) is not None and re.fullmatch(_WHOLLY_BOLD, text) is not None
    is_field = field_of(plain(text)) is not None and _word(plain(text)) != "success criteria"
    return _PART_LEVEL if is_part and (task is None or not is_field) else None


@lru_cache(maxsize=_MOST_KEPT)
def field_of(label: str) -> str | None:
    """Return the field of a task that a label stands for; None if it is none."""
    if "<" not in label and _first_word(label) not in _first_words():
        return None  # most points of lists are no labels
    word = _word(label)
    return _FIELD_OF.get(word) or _FIELD_OF.get(re.sub(r"\s*\([^)]*\)$", "", word))


def _first_word(label: str) -> str:
    first = re.split(r"[\W_]", label[_begin(label) :].lstrip("_`[(#*"), maxsplit=1)[0]
    return first.casefold()


@cache
def _first_words() -> frozenset[str]:
    return frozenset(re.split(r"[\W_]", one, maxsplit=1)[0] for one in _FIELD_OF)


def meant(label: str) -> str | None:
    """Return the label that one with a mistake in it stands for; None for any other text."""
    word = _word(label)
    if not 5 <= len(word) <= _MOST_OF_A_LABEL or field_of(label) is not None:
        return None
    like = [one for one in _FIELD_OF if one[0] == word[0] and len(one) > 4]
    near = get_close_matches(word, like, 1, 0.84)
    return near[0] if near else None


@lru_cache(maxsize=_MOST_KEPT)
def task_title(text: str, *, bare: bool = False) -> Named | None:
    """Return the id and the name of a task that a heading begins; None if it begins none.

    With `bare`, the word *task* may be missing before the id.
    """
    found = None
    for shown in (_clean(text), heading(text)):
        found = found or re.match(_TASK, shown, re.IGNORECASE)
    if found is None and bare:
        found = re.match(_BARE_TASK, _clean(text))
    return None if found is None else Named(found[1], _name(found[2]))


def is_of_a_task(title: str) -> bool:
    """Return whether a heading is rather that of a field than that of the plan's part."""
    return _word(heading(title)).startswith("acceptance")


def is_known_title(text: str) -> bool:
    """Return whether a heading begins a task, a build agent or a part that no task has."""
    is_part = part_of(text) is not None and field_of(heading(text)) is None
    return is_part or (task_title(text) or lane_title(text)) is not None


@lru_cache(maxsize=_MOST_KEPT)
def lane_title(text: str) -> Named | None:
    """Return the number and the scope of a build agent that a heading begins; None for others."""
    for shown in (_clean(text), heading(text)):
        found = re.match(_LANE, shown, re.IGNORECASE)
        if found is not None:
            return Named(found[1], _name(found[2]))
    return None


def _name(text: str) -> str:
    return re.sub(_SEPARATOR, "", text).strip(" \t*:\u2013\u2014-")


def _clean(text: str) -> str:
    """Return a title without its box and what stands before its first word."""
    text = re.sub(r"^\s*\[[ xX]\]\s*", "", text).strip()
    return text[_begin(text) :]


def _unadorned(text: str) -> str:
    """Return the text without what stands around it and is no part of words."""
    begin, end = _begin(text), len(text)
    while begin < end and not (text[end - 1].isalnum() or text[end - 1] in "_`])?!.%\"'"):
        end -= 1
    return text[begin:end]


def _begin(text: str) -> int:
    begin = 0
    while begin < len(text) and not (text[begin].isalnum() or text[begin] in "_`[(#"):
        begin += 1
    return begin


def _word(text: str) -> str:
    if len(text) > 2 * _MOST_OF_A_LABEL:
        return ""
    text = re.sub(r"(?<=[a-z])_(?=[a-z])", " ", text)  # depends_on
    shown = re.sub(r"[*_`]|<[^<>]{0,40}>", "", text).strip(" \t:.?!\u2013\u2014-")
    return " ".join(_unadorned(shown).casefold().split())

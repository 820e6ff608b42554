"""Reading a plan: from the text of a document to the plan that it describes, and what is wrong.

What holds here: a part of the document is understood, or it is said with its line that it is not.
Nothing is taken for something that its author may not have meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from adw_worktree.orchestration.plan.encoding import decoded
from adw_worktree.orchestration.plan.fields import SLUG
from adw_worktree.orchestration.plan.fields_of_task import (
    Content,
    Fields,
    fields_of,
    fields_of_item,
)
from adw_worktree.orchestration.plan.front_matter import read_front_matter
from adw_worktree.orchestration.plan.markdown import (
    Block,
    Document,
    Item,
    Line,
    Row,
    Section,
    code_spans,
    plain,
    read_document,
)
from adw_worktree.orchestration.plan.plan import (
    Finding,
    Lane,
    Plan,
    Point,
)
from adw_worktree.orchestration.plan.points import below, has_content, points_of, texts
from adw_worktree.orchestration.plan.task_text import Lines
from adw_worktree.orchestration.plan.tasks import RawTask, TaskMaking, rendered
from adw_worktree.orchestration.plan.wording import (
    Named,
    field_of,
    heading,
    is_of_a_task,
    lane_title,
    level_of,
    meant,
    part_of,
    task_title,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_ABOUT_A_LANE = ("overview", "objective", "in_scope", "out_of_scope", "requirements", "complexity")
"""Parts that stand under a build agent are about it alone."""
_BOX = r"^\s*[-*+]\s+\[[ xX]\]\s"
_MODULE = (
    r"\s*[(\[]\s*(?:module|package|component|file)s?\s*:?\s*"
    r"([^()\[\]]{1,300}(?:\([^()]*\))?[^()\[\]]{0,100})[)\]]\s*"
)


class Reading(NamedTuple):
    """What was read."""

    plan: Plan | None
    """None if there is too little of a plan."""
    findings: list[Finding]
    parts: frozenset[str] = frozenset()
    """The parts of a plan that the document has."""
    text: str = ""
    """The text that was read."""
    document: Document | None = None
    needs: frozenset[int] = frozenset()
    """The lines that were read as dependencies."""


def read_plan(data: bytes, name: str) -> Reading:
    """Return the plan of a document, and what is wrong with it; `name` is the file's name."""
    text, findings = decoded(data)
    if any(one.level == "error" for one in findings) and not text:
        return Reading(None, findings)
    return _Reader(text, name, findings).read()


@dataclass(slots=True)
class _Found:
    """What the walk through the document has found."""

    lanes: list[Lane] = field(default_factory=list)
    tasks: list[RawTask] = field(default_factory=list)
    parts: dict[str, list[Section]] = field(default_factory=dict)
    needs: set[int] = field(default_factory=set)
    """The lines of dependencies."""


class _Reader:
    """One document that is read."""

    def __init__(self, text: str, name: str, findings: list[Finding]) -> None:
        self._findings = findings
        self._name = name
        self._text = text
        self._lines = text.split("\n")
        body, self._front = read_front_matter(text, findings)
        self._document = read_document(body, _level_of)
        self._root = self._document.root
        self._found = _Found()

    def read(self) -> Reading:
        title, sections = self._title()
        for section in sections:
            self._walk(section, None, in_tasks=False)
        self._blocks(self._root.blocks, None)
        tasks = TaskMaking(self._document.code, self._findings).tasks(
            self._found.tasks, [(one.number, one.line) for one in self._found.lanes]
        )
        slug = self._slug()
        try:
            plan = Plan(
                slug=slug,
                title=self._front.title or title,
                front=self._front,
                objective=self._objective(),
                lanes=tuple(self._found.lanes),
                tasks=tuple(tasks),
                integration=self._points("integration"),
                success=self._points("success"),
            )
        except ValidationError as exc:
            self._findings += [_invalid(error) for error in exc.errors(include_url=False)]
            plan = None
        parts, needs = frozenset(self.parts), frozenset(self._found.needs)
        return Reading(plan, self._findings, parts, self._text, self._document, needs)

    @property
    def parts(self) -> dict[str, list[Section]]:
        """The sections of the document by the part of a plan that each is."""
        return self._found.parts

    # ---- the whole --------------------------------------------------------------------

    def _title(self) -> tuple[str, list[Section]]:
        """Return the title, and the sections under it."""
        tops = self._root.sections
        if tops and task_title(tops[0].title) is None and part_of(tops[0].title) is None:
            first = tops[0]
            self._blocks(first.blocks, None)
            name = re.sub(r"(?i)^(?:implementation\s+)?plan\s*[:\u2013\u2014-]\s*", "", first.title)
            return " ".join(name.split()) or first.title, [*first.sections, *tops[1:]]
        self._error(1, "there is no title: begin with a line such as '# Login'")
        return self._front.title or "untitled", tops

    def _slug(self) -> str:
        if self._front.slug is not None:
            return self._front.slug
        slug = re.sub(r"[^a-z0-9]+", "-", PurePath(self._name).stem.casefold()).strip("-")[:48]
        if not re.fullmatch(SLUG, slug):
            self._error(
                1, f"{self._name!r} makes no slug: add one at the head, such as slug: login"
            )
            return "plan"
        return slug

    def _objective(self) -> str:
        """Return the first text of the document that can be its objective."""
        top = self._root.sections[0] if self._root.sections else self._root
        for section in (*self.parts.get("objective", ()), *self.parts.get("overview", ())):
            if (text := next(texts([*below(section)]), None)) is not None:
                return text
        return next(texts([top]), "")

    def _points(self, part: str) -> tuple[Point, ...]:
        return tuple(points_of(part, self.parts.get(part, ()), self._findings))

    # ---- where tasks are --------------------------------------------------------------

    def _walk(self, section: Section, lane: Lane | None, *, in_tasks: bool) -> None:
        """Look through a section for tasks, build agents and the parts of a plan."""
        named = task_title(section.title, bare=in_tasks or lane is not None)
        if named is not None:
            self._task_section(section, named, lane)
            return
        agent = lane_title(section.title)
        if agent is not None:
            self._lane(section, agent)
            return
        part = part_of(section.title)
        may_hold_tasks = lane is not None or in_tasks or part in (None, "tasks")
        if may_hold_tasks and self._is_doubtful(section):
            return
        if part is not None and (lane is None or part not in _ABOUT_A_LANE):
            self.parts.setdefault(part, []).append(section)
            lane = None  # its author has closed no heading
        elif lane is not None and has_content(section):
            text = f"{section.title!r} under build agent {lane.number} is no task: no agent sees it"
            self._warn(section.line, text)
        if lane is not None or part in (None, "tasks"):
            self._blocks(section.blocks, lane)
        for inner in section.sections:
            self._walk(inner, lane, in_tasks=in_tasks or part == "tasks")

    def _is_doubtful(self, section: Section) -> bool:
        """Return whether a section that names no task has what only tasks have; note it."""
        if any(_is_task_list(block) or _heads(block) for block in section.blocks):
            return False
        labels = [one for one in section.sections if field_of(heading(one.title)) is not None
                  and (part_of(one.title) is None or is_of_a_task(one.title))]  # fmt: skip
        own = Section("", section.level, section.line, blocks=section.blocks, sections=labels)
        fields = fields_of(own, []).keys()
        if "criteria" not in fields or not fields & {
            "creates",
            "files",
            "changes",
            "tests",
            "hours",
        }:
            return False
        text = f"{section.title[:60]!r} has what tasks have, but no id, as in 'Task 2: Login'"
        self._error(section.line, text)
        return True

    def _lane(self, section: Section, agent: Named) -> None:
        about = self._about(section)
        lane = Lane(section.line, agent.id, agent.name, about)
        known = [one for one in self._found.lanes if one.number == lane.number]
        if known:
            self._error(
                section.line, f"build agent {lane.number} stands on line {known[0].line}, too"
            )
        self._found.lanes.append(lane)
        self._is_doubtful(section)
        self._blocks(section.blocks, lane)
        for inner in section.sections:
            self._walk(inner, lane, in_tasks=True)

    def _about(self, section: Section) -> str:
        """Return what a build agent's section says before its first task."""
        firsts = [block.line for block in section.blocks if _is_task_list(block) or _heads(block)]
        end = min([one.line for one in section.sections] + firsts + [section.end + 1])
        return "\n".join(self._lines[section.head_end : end - 1]).strip()

    def _blocks(self, blocks: Sequence[Block], lane: Lane | None) -> None:
        """Take the tasks that stand in lists and in tables."""
        for block in blocks:
            if block.kind == "list" and _is_task_list(block):
                for item in block.items:
                    self._task_item(item, lane)
            elif block.kind == "table" and (heads := _heads(block)):
                self._doubt_columns(block.rows[0], heads)
                for row in block.rows[1:]:
                    self._task_row(row, heads, lane)
            elif block.kind == "table" and [field_of(one) for one in block.rows[0].cells] == [
                "lane", "description",
            ]:  # fmt: skip
                for row in block.rows[1:]:
                    number, scope = map(plain, row.cells[:2])
                    self._found.lanes.append(Lane(row.line, number, scope, ""))

    def _doubt_columns(self, row: Row, heads: Sequence[str | None]) -> None:
        for cell, key in zip(row.cells, heads, strict=True):
            if key is None and cell:
                right = meant(cell)
                text = f": is {right!r} meant?" if right is not None else ""
                what = f"the column {plain(cell)[:60]!r} is not read{text}"
                self._findings.append(Finding(row.line, "error" if right else "warning", what))

    # ---- tasks ------------------------------------------------------------------------

    def _task_section(self, section: Section, named: Named, lane: Lane | None) -> None:
        fields = fields_of(section, self._findings)
        lines = Lines(section.head_end + 1, self._lines[section.head_end : section.end])
        self._doubt_boxes(fields, lines)
        self._add(RawTask(named.id, named.name, section.line, _number(lane), fields, lines))

    def _task_item(self, item: Item, lane: Lane | None) -> None:
        first = item.text.split("\n")[0]
        named = task_title(plain(first))
        if named is None:
            self._error(item.line, f"{plain(first)[:60]!r} stands among tasks, and is none")
            return
        fields = fields_of_item(item, self._findings)
        lines = Lines(item.line + 1, self._lines[item.line : item.end])
        self._doubt_boxes(fields, lines)
        self._add(RawTask(named.id, named.name, item.line, _number(lane), fields, lines))

    def _doubt_boxes(self, fields: Fields, lines: Lines) -> None:
        """Note boxes of a task that nobody would look at."""
        read = {item.line for content in fields.values() for item in content.items}
        for line, text in enumerate(lines.texts, lines.first):
            is_open = "[" in text and line not in read and line not in self._document.code
            if is_open and re.match(_BOX, text):
                self._warn(line, "the box is not read: it is no point of its own of a list")

    def _task_row(self, row: Row, heads: Sequence[str | None], lane: Lane | None) -> None:
        fields: Fields = {}
        for key, cell in zip(heads, row.cells, strict=False):
            parts = [part.strip() for part in re.split(r"<br\s*/?>", cell) if part.strip()]
            if key is None or not parts:
                continue
            content = fields.setdefault(key, Content(row.line))
            if len(parts) > 1 or key in ("criteria", "tests"):
                content.items += [Item(row.line, part, ()) for part in parts]
            else:
                content.lines += [Line(row.line, part) for part in parts]
        key, name = (plain(fields[one].text) if one in fields else "" for one in ("id", "name"))
        named = task_title(f"Task {key.removeprefix('Task ')}") if key else task_title(name)
        if named is None:
            self._error(row.line, f"the row {' | '.join(row.cells)[:60]!r} has no task's id")
            return
        number = fields["lane"].text if "lane" in fields else None
        agent = (lane_title(number) or lane_title(f"agent {number}")) if number else None
        own = agent.id if agent is not None else number or _number(lane)
        if own is not None and all(one.number != own for one in self._found.lanes):
            self._found.lanes.append(Lane(row.line, own, agent.name if agent else "", ""))
        shown = rendered(fields)
        lines = Lines(-len(shown), shown)  # no lines of the document
        self._add(RawTask(named.id, named.name or name, row.line, own, fields, lines))

    def _add(self, raw: RawTask) -> None:
        """Take a task in, what its title says of its module taken out."""
        raw.name = " ".join(raw.name.split())
        found = re.search(_MODULE, raw.name, re.IGNORECASE)
        if found is not None:
            raw.module = plain(found[1]).strip(" `")
            raw.name = (raw.name[: found.start()] + raw.name[found.end() :]).strip(" :–—-")
        elif "module" in raw.fields:
            text = raw.fields["module"].text
            raw.module = next(iter(code_spans(text)), text.split("\n")[0])[:300] or None
        if not raw.name and "name" in raw.fields:
            raw.name = raw.fields["name"].text.split("\n")[0]
        raw.name = plain(raw.name).strip()
        if not raw.name:
            self._error(raw.line, f"task {raw.id} has no name")
            raw.name = f"Task {raw.id}"
        if "dependencies" in raw.fields:
            content = raw.fields["dependencies"]
            raw.needs = Line(content.line, content.text)
            self._found.needs |= content.all_lines
        self._found.tasks.append(raw)

    def _error(self, line: int, text: str) -> None:
        self._findings.append(Finding(line, "error", text))

    def _warn(self, line: int, text: str) -> None:
        self._findings.append(Finding(line, "warning", text))


def _level_of(text: str, sections: Sequence[Section]) -> int | None:
    return level_of(text, [(one.title, one.level) for one in sections])


def _number(lane: Lane | None) -> str | None:
    return lane.number if lane is not None else None


def _is_task_list(block: Block) -> bool:
    """Return whether a list is one of tasks."""
    return block.kind == "list" and any(
        task_title(plain(item.text.split("\n")[0])) is not None and item.blocks
        for item in block.items
    )


def _heads(block: Block) -> list[str | None]:
    """Return the fields of the columns of a table of tasks; nothing for any other table."""
    if block.kind != "table":
        return []
    heads = [field_of(cell) for cell in block.rows[0].cells]
    is_one = ("id" in heads or "name" in heads) and bool({"dependencies", "criteria"} & {*heads})
    return heads if is_one and len(block.rows) > 1 else []


def _invalid(error: ErrorDetails) -> Finding:
    """Return what the model does not take as a finding."""
    where = error["loc"]
    if where == ("tasks",) and error["type"] == "too_short":
        text = "there is no task: begin each with a heading such as '#### Task 1: Table of users'"
        return Finding(1, "error", text)
    return Finding(1, "error", f"{'.'.join(str(one) for one in where)}: {error['msg']}")

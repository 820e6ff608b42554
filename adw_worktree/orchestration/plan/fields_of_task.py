"""The fields of a task, in whatever form its author wrote them.

A field is a sub-heading, a bold label, a label with a colon, a point of a list or a row of a table;
what stands under it is its content. What stands under no label is the description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from adw_worktree.orchestration.plan.markdown import Block, Item, Line, Row, Section, plain
from adw_worktree.orchestration.plan.plan import Finding
from adw_worktree.orchestration.plan.wording import field_of, heading, is_known_title, meant

_BOX = r"^\s*\[[ xX]\]\s+"
_BOLD = r"^(?:\*\*|__)([^*_\n]{1,60}?):?(?:\*\*|__)\s*:?\s*(.*)$"
_BOLD_WHOLE = r"^(?:\*\*|__)([^*_:\n]{1,40}):\s*([^*_\n]+)(?:\*\*|__)\s*(.*)$"
_COLON = r"^([A-Za-z#][\w #/()'-]{0,40}):\s*(.*)$"
_SLANTED = r"^([*_`])(?![*_`])((?:(?!\1)[^\n]){1,60}?)(?::\1|\1\s*:)\s*(.*)$"
_LISTS = ("criteria", "tests", "creates", "changes", "files")
_ONCE = ("dependencies", "hours", *_LISTS)
"""Fields of which no label is repeated in a task."""
_NEVER_A_POINT = ("dependencies", "criteria", "creates", "changes")


@dataclass(slots=True)
class Content:
    """What a field has."""

    line: int
    lines: list[Line] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    """Without the heads of their tables."""
    codes: list[Block] = field(default_factory=list)

    @property
    def all_lines(self) -> set[int]:
        """The lines on which any of it stands."""
        found = {self.line, *(one.line for one in self.lines)}
        return found | {one.line for one in self.items} | {one.line for one in self.rows}

    @property
    def text(self) -> str:
        """All of it, a line each."""
        whole = self.points()
        if self.items or self.rows:
            whole = sorted([*_plain_lines(self.lines), *whole], key=lambda one: one.line)
        return "\n".join(one.text for one in whole)

    def points(self) -> list[Line]:
        """Return its points: those of its lists and tables, or else its lines."""
        found = [Line(one.line, without_box(one.text)) for one in self.items]
        found += [Line(one.line, " | ".join(filter(None, one.cells))) for one in self.rows]
        return _plain_lines(sorted(found, key=lambda one: one.line) if found else self.lines)

    def unread(self) -> Iterator[int]:
        """Yield the lines that `points` leaves out, and that say more than what follows."""
        if self.items or self.rows:
            yield from (one.line for one in self.lines if not one.text.rstrip("*_ ").endswith(":"))
        inner = [one for item in self.items for block in item.blocks for one in block.items]
        yield from (one.line for one in inner if not re.match(_BOX, one.text))  # boxes are noted

    def first_without_box(self) -> int | None:
        """Return the line of the first point that has no box, if others have one."""
        bare = [one.line for one in self.items if not re.match(_BOX, one.text)]
        return min(bare) if bare and len(bare) < len(self.items) else None


def _plain_lines(lines: Sequence[Line]) -> list[Line]:
    shown = [Line(line, " ".join(plain(text).split())) for line, text in lines]
    return [one for one in shown if one.text]


class Label(NamedTuple):
    """A field that a text begins, and what of it stands behind the label."""

    field: str | None
    """None if no field is called so."""
    rest: str
    label: str
    is_bold: bool


Fields = dict[str, Content]


def fields_of(section: Section, findings: list[Finding]) -> Fields:
    """Return the fields of the task that a section describes, and add what is wrong with them."""
    gathering = _Gathering(findings)
    gathering.take(section.blocks, "description", section.line)
    for inner in section.sections:
        gathering.section(inner)
    return gathering.fields


def fields_of_item(item: Item, findings: list[Finding]) -> Fields:
    """Return the fields of the task that a point of a list describes."""
    gathering = _Gathering(findings)
    first = item.text.split("\n")[1:]
    lines = [Line(item.line + 1 + place, text) for place, text in enumerate(first)]
    gathering.lines(lines, "description", item.line)
    gathering.take(item.blocks, "description", item.line)
    return gathering.fields


def label_of(text: str) -> Label | None:
    """Return the label that a line begins with; None if it begins with none."""
    if text.startswith(("**", "__")):
        found = re.match(_BOLD_WHOLE, text)
        if found is not None:
            return Label(field_of(found[1]), f"{found[2]} {found[3]}".strip(), found[1], True)
        found = re.match(_BOLD, text)
        if found is not None:
            return Label(field_of(found[1]), found[2], found[1], True)
    found = re.match(_SLANTED, text) if text.startswith(("*", "_", "`")) else None
    if found is not None and field_of(found[2]) is not None:
        return Label(field_of(found[2]), found[3], found[2], False)
    found = re.match(_COLON, text)
    return Label(field_of(found[1]), found[2], found[1], False) if found is not None else None


def _ends_a_point(line: Line) -> bool:
    """Return whether a line is a label, whose author left out the blank line before it."""
    label = label_of(line.text.strip())
    if label is None or label.field is None:
        return False
    return label.is_bold or not label.rest or label.field in _ONCE


def without_box(text: str) -> str:
    """Return the text of a point without its check box."""
    return re.sub(_BOX, "", text)


class _Gathering:
    """The fields of one task, as they are found."""

    def __init__(self, findings: list[Finding]) -> None:
        self.fields: Fields = {}
        self._findings = findings
        self._labels: dict[str, int] = {}

    def section(self, section: Section) -> None:
        """Take a sub-heading with what stands under it."""
        key = field_of(heading(section.title))
        if key is None:
            self._doubt(section.title, section.line)
            if is_known_title(section.title):
                what = f"{section.title[:60]!r} stands inside of another task: is its level right?"
                self._findings.append(Finding(section.line, "error", what))
        current = key or "description"
        self._begin(current, heading(section.title), section.line)
        self.take(section.blocks, current, section.line)
        for inner in section.sections:
            self.section(inner)

    def take(self, blocks: Sequence[Block], current: str, line: int) -> None:
        """Take blocks, the first of them as content of `current`."""
        for block in blocks:
            if block.kind == "paragraph":
                texts = block.text.split("\n")
                lines = [Line(block.line + place, text) for place, text in enumerate(texts)]
                current = self.lines(lines, current, line)
            elif block.kind == "list":
                current = self._list(block.items, current, line)
            elif block.kind == "table":
                self._table(block.rows, current, line)
            elif block.kind == "code" and current in _LISTS:
                self._content(current, line).codes.append(block)

    def lines(self, lines: Sequence[Line], current: str, line: int) -> str:
        """Take the lines of a paragraph; return the field that what follows belongs to."""
        for number, text in lines:
            label = label_of(text.strip())
            if label is not None and label.field is not None:
                current = label.field
                self._begin(current, label.label, number)
                text = label.rest
            elif label is not None:
                self._doubt(label.label, number, is_sure=label.is_bold or not label.rest)
                is_filled = current in self.fields and bool(self.fields[current].items)
                if not label.rest and len(lines) == 1 and (label.is_bold or is_filled):
                    if current in ("criteria", "tests"):
                        what = f"{label.label!r} ends the {current}: no point under it is one"
                        self._findings.append(Finding(number, "warning", what))
                    current = "description"
            if text.strip():
                self._content(current, line).lines.append(Line(number, text.strip()))
        return current

    def _list(self, items: Sequence[Item], current: str, line: int) -> str:
        """Take the points of a list; return the field that what follows belongs to."""
        boxes = [bool(re.match(_BOX, item.text)) for item in items]
        if current == "description" and items and all(boxes):
            current = "criteria"  # boxes under no label
        for item, has_box in zip(items, boxes, strict=True):
            first, *more = item.text.split("\n")
            lines = [Line(item.line + place, text) for place, text in enumerate(more, 1)]
            label = None if has_box else label_of(first)
            if (
                label is not None
                and label.field is not None
                and (label.is_bold or current not in _LISTS)
            ):
                content = self._begin(label.field, label.label, item.line)
                if label.rest.strip():
                    content.lines.append(Line(item.line, label.rest.strip()))
                self.take(item.blocks, self.lines(lines, label.field, item.line), item.line)
                continue
            own = next((place for place, one in enumerate(lines) if _ends_a_point(one)), len(lines))
            text = "\n".join([first, *more[:own]])
            self._content(current, line).items.append(item._replace(text=text))
            if label is not None and label.field in _NEVER_A_POINT:
                what = f"{first[:60]!r} is read as one of the {current}: is it a label?"
                self._findings.append(Finding(item.line, "warning", what))
            elif (
                label is not None
                and label.field is None
                and (label.is_bold or current not in _LISTS)
            ):
                self._doubt(label.label, item.line)
            current = self.lines(lines[own:], current, item.line)
        return current

    def _table(self, rows: Sequence[Row], current: str, line: int) -> None:
        fields = [*_field_rows(rows)]
        if current in _LISTS and not {key for key, _ in fields} & {"criteria", "dependencies"}:
            fields = []
        if not fields:
            self._content(current, line).rows.extend(rows[1:])
        for key, row in fields:
            text = row.cells[1] if len(row.cells) > 1 else ""
            parts = [part.strip() for part in re.split(r"<br\s*/?>", text) if part.strip()]
            content = self._begin(key, row.cells[0], row.line)
            if len(parts) > 1:
                content.items += [Item(row.line, part, ()) for part in parts]
            else:
                content.lines += [Line(row.line, part) for part in parts]

    def _content(self, key: str, line: int) -> Content:
        return self.fields.setdefault(key, Content(line))

    def _begin(self, key: str, label: str, line: int) -> Content:
        """Return the content of the field that a label begins; note a label that comes again."""
        word = plain(label).casefold().strip(" :")
        before = self._labels.setdefault(word, line)
        if before != line and key in _ONCE:
            text = f"{word!r} stands on line {before}, too: is the heading of a task missing?"
            self._findings.append(Finding(line, "error", text))
        return self._content(key, line)

    def _doubt(self, label: str, line: int, *, is_sure: bool = True) -> None:
        """Note a label that is nearly one of a field."""
        right = meant(label)
        if right is not None:
            text = f"{label.strip()!r} is no part of a task: is {right!r} meant?"
            self._findings.append(Finding(line, "error" if is_sure else "warning", text))


def _field_rows(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a table whose first column has labels; nothing for any other table."""
    if len(rows) < 2 or len(rows[0].cells) != 2:
        return
    found = [(field_of(row.cells[0]), row) for row in rows]
    unknown = [row for key, row in found[1:] if key is None]
    if len(unknown) * 2 >= len(rows) - 1:
        return
    head = rows[0].cells[1].casefold().strip(" *")
    for place, (key, row) in enumerate(found):
        if place > 0 or head not in ("value", "details", "content", "description", ""):
            yield key or "none", row

"""The points and the texts of a part of a plan, wherever in it they stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from adw_worktree.orchestration.plan.fields_of_task import without_box
from adw_worktree.orchestration.plan.markdown import Block, Line, Section, plain
from adw_worktree.orchestration.plan.plan import Finding, Point
from adw_worktree.orchestration.plan.tasks import NONE
from adw_worktree.orchestration.plan.wording import heading

_UNREAD = "it is not read as a point of its own: make it one, beside the others"
_MOST_OF_A_HEAD = 40
"""A longer point of a list is no heading of those under it."""


def below(section: Section) -> Iterator[Section]:
    """Yield a section, and all that stand under it."""
    yield section
    for inner in section.sections:
        yield from below(inner)


def texts(sections: Sequence[Section]) -> Iterator[str]:
    """Yield the paragraphs, points and rows of sections."""
    for section in sections:
        for block in section.blocks:
            if block.kind == "paragraph":
                yield block.text
            yield from (item.text for item in block.items)
            yield from (" ".join(row.cells) for row in block.rows[1:])


def has_content(section: Section) -> bool:
    """Return whether anything stands under a heading that is more than an aside."""
    return any(_has_text(one) for one in below(section))


def _has_text(section: Section) -> bool:
    return any(block.kind != "other" for block in section.blocks)


def points_of(part: str, sections: Sequence[Section], findings: list[Finding]) -> list[Point]:
    """Return the points of a part, those of its sub-headings too; its paragraphs, if none.

    What is wrong with them is added to `findings`.
    """
    found: dict[Line, None] = {}
    texts: dict[Line, None] = {}
    for section in sections:
        for one in below(section):
            heads = "" if one is section else heading(one.title)
            points = all_points(one.blocks, heads if part == "integration" else "")
            found.update(dict.fromkeys(points))
            blocks = [block for block in one.blocks if block.kind in ("paragraph", "code")]
            texts.update({labelled(block.line, block.text, ""): None for block in blocks})
    if found:
        unread = _unread(sections, {one.line for one in found}, texts)
        findings += [Finding(line, "warning", _UNREAD) for line in unread]
    elif sections and not texts:
        first = sections[0]
        findings.append(Finding(first.line, "error", f"there is nothing under {first.title!r}"))
    return [Point(*one) for one in found or texts if not re.match(NONE, one.text)]


def _unread(
    sections: Sequence[Section], read: Collection[int], texts: Collection[Line]
) -> Iterator[int]:
    """Yield the lines of a part that are none of its points, and look like one."""
    for section in sections:
        for one in below(section):
            yield from (line for line in _nested(one.blocks) if line not in read)
    yield from (one.line for one in texts if "`" in one.text)


def all_points(blocks: Sequence[Block], label: str) -> Iterator[Line]:
    """Yield the points of lists and tables; under a heading, with that before each."""
    for block in blocks:
        if block.kind == "list":
            for one in block.items:
                inner = [*all_points(one.blocks, plain(one.text).strip(" :"))]
                if inner and len(one.text) <= _MOST_OF_A_HEAD and "`" not in one.text:
                    yield from inner
                    continue
                yield labelled(one.line, one.text, label)
                nested = [item for block in one.blocks for item in block.items]
                with_box = [item for item in nested if re.match(r"\[[ xX]\]\s", item.text)]
                yield from (labelled(item.line, item.text, label) for item in with_box)
        elif block.kind == "table":
            for row in block.rows[1:]:
                yield labelled(row.line, " | ".join(filter(None, row.cells)), label)


def _nested(blocks: Sequence[Block]) -> Iterator[int]:
    """Yield the lines of the points that stand under other points."""
    for block in blocks:
        for item in block.items:
            yield from (one.line for inner in item.blocks for one in inner.items)
            yield from _nested(item.blocks)


def labelled(line: int, text: str, label: str) -> Line:
    """Return a point without its box, on one line; with the label before it, if there is one."""
    shown = " ".join(plain(without_box(text)).split())
    return Line(line, f"{label}: {shown}" if label else shown)

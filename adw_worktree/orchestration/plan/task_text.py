"""The part of a task: what of the document its agent gets, as Markdown of its own.

What holds here: nothing of it is lost. Criteria are numbered, so that they can be cited, and no box
is ticked: whether a thing is done is not told by a document.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from adw_worktree.orchestration.plan.plan import Point

_POINT = r"^(\s*(?:[-*+]|\d{1,9}[.)])\s+)(?:\[[ xX]\]\s+)?"
_TICKED = r"^(\s*(?:[-*+]|\d{1,9}[.)])\s+)\[[xX]\](?=\s)"
_HEADING = r"^(#{1,6})(?=\s)"
_TOP = 2
"""The level of the headings inside of an issue."""


class Lines(NamedTuple):
    """The lines of a task, and where in the document they stand."""

    first: int
    """The number of the first one."""
    texts: Sequence[str]


def part(lines: Lines, criteria: Sequence[Point], code: Collection[int]) -> str:
    """Return the lines of a task, its criteria numbered, and its headings one below the issue's.

    `code` has the lines that are left as they are.
    """
    numbers = {point.line: number for number, point in enumerate(criteria, 1)}
    placed = [*enumerate(lines.texts, lines.first)]
    levels = [len(found[1]) for place, line in placed
              if line.startswith("#") and place not in code
              and (found := re.match(_HEADING, line))]  # fmt: skip
    shift = _TOP - min(levels, default=_TOP)
    shown = []
    for place, line in placed:
        if place not in code:
            if line.startswith("#"):
                line = re.sub(_HEADING, lambda found: _level(found, shift), line)
            elif "[" in line:
                line = re.sub(_TICKED, r"\1[ ]", line)
            if place in numbers:
                line = _with_number(line, numbers[place])
        shown.append(line)
    return "\n".join(_dedented(shown)).strip("\n")


def _level(found: re.Match[str], shift: int) -> str:
    return "#" * max(_TOP, min(6, len(found[1]) + shift))


def _with_number(line: str, number: int) -> str:
    if re.match(_POINT, line):
        return re.sub(_POINT, rf"\1[ ] #{number} ", line, count=1)
    if line.lstrip().startswith("|"):
        return re.sub(r"\|[ \t]*", f"| #{number} ", line, count=1)
    return f"#{number} {line}"


def _dedented(lines: list[str]) -> list[str]:
    depths = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
    depth = min(depths, default=0)
    return [line[depth:] if line.strip() else "" for line in lines]

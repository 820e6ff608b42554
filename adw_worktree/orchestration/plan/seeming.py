"""What looks like a part of a plan to people, and is none to Markdown.

A blank line too few, a blank too many or a fence without its end make of a heading, a point or a
row the middle of something else. Such a line is never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from adw_worktree.orchestration.plan.markdown import Document, Section, matches, plain, without_code
from adw_worktree.orchestration.plan.plan import Finding
from adw_worktree.orchestration.plan.wording import is_known_title

_HEADING = r"\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)*#{1,6}\s*([^#\s].*)$"
_TITLE = r"(?i)[^\w`>|-]{0,6}(?:task|build agent|agent)\s*#?\w[\w.-]{0,20}\s*[:\u2013\u2014-]"
_UNDERLINE = r"\s{0,3}(?:=+|-{2,})\s*$"
_POINT = r"\s*(?:[-*+]\s+[\w`*\[]|\|.*\|\s*$)|\s{4,}\d{1,3}[.)]\s"
_OPEN_BOLD = r"\s*(?:[-*+]\s+)?\*\*(?:(?!\*\*).)*$"

_STRUCK_OUT = r"(?s)(?<!~)~~(?![\s~])(?:(?!~~|\n\s*\n).){1,2000}~~(?!~)"


def seeming_parts(text: str, document: Document) -> Iterator[Finding]:
    """Yield the lines of a document that may be meant otherwise than they are read."""
    yield from (Finding(line, "error", what) for line, what in document.faults)
    lines = text.split("\n")
    headings = {*_headings(document.root)}
    is_bold = any(lines[one - 1].lstrip().startswith("**") for one in headings)
    read = headings | (document.code - document.indented)
    around = zip(["", *lines], lines, [*lines[1:], ""], strict=False)
    for number, (before, line, after) in enumerate(around, 1):
        if number in read or not line.strip():
            continue
        if _is_title(line, before, after, is_bold=is_bold):
            what = f"{line.strip()[:60]!r} is no heading to Markdown: put a blank line before it"
            yield Finding(number, "error", f"{what}, no blanks at its start, one behind '#'")
        elif number not in document.points and re.match(_POINT, line):
            what = f"{line.strip()[:60]!r} is no point and no row to Markdown: is it indented?"
            yield Finding(number, "error", what)
        elif "**" in line and re.match(_OPEN_BOLD, line):
            what = f"what is bold in {line.strip()[:60]!r} has no end in this line"
            yield Finding(number, "warning", what)
    yield from _struck_out(text, lines, document)


def _struck_out(text: str, lines: Sequence[str], document: Document) -> Iterator[Finding]:
    """Yield what its author has struck out: to Markdown it is a text like others."""
    for number, found in matches(_STRUCK_OUT, text) if "~~" in text else ():
        if number not in document.code and "~~" in without_code(lines[number - 1]):
            what = f"{found[0][:60]!r} is struck out, and would be read like the rest"
            yield Finding(number, "error", f"{what}: delete it, or only its '~~'")


def _headings(section: Section) -> Iterator[int]:
    yield section.line
    for inner in section.sections:
        yield from _headings(inner)


def _is_title(line: str, before: str, after: str, *, is_bold: bool) -> bool:
    """Return whether a line, which is no heading, reads like that of a task, agent or part.

    With `is_bold`, the headings of its document are lines in bold.
    """
    found = re.match(_HEADING, line) if "#" in line else None
    if found is not None:
        return is_known_title(plain(found[1]))
    is_alone = not before.strip() and not after.strip() and re.match(_TITLE, line) is not None
    is_like_others = is_bold and line.lstrip().startswith("**")
    is_underlined = after[:4].lstrip()[:1] in ("=", "-") and re.match(_UNDERLINE, after) is not None
    return (is_alone or is_like_others or is_underlined) and is_known_title(plain(line))

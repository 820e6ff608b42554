"""A Markdown document as sections and blocks, each with the lines that it stands on.

What holds here: only the structure is read. What stands in code, in quotes and in comments is never
taken for a heading, a list or a table. Lines are numbered from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

_SPAN = r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)"
_EMPHASIS = r"(?<![\w*/]){0}(?=\S)([^*_\n]{{1,500}}?)(?<=[^\s/]){0}(?![\w*/.])"
_MARKS = (
    ("](", r"!?\[([^\[\]]{0,500})\]\([^()\s]{0,1000}\)", r"\1"),
    ("**", r"\*\*(?!/)", ""),
    ("__", r"(?<![\w/])__(?![a-z0-9_]+__)(?=\S)([^\n]{1,500}?)(?<=\S)__(?![\w/]|\.\w)", r"\1"),
    ("*", _EMPHASIS.format(r"\*"), r"\1"),
    ("_", _EMPHASIS.format("_"), r"\1"),
    ("\\", r"\\([!-/:-@\[-`{-~])", r"\1"),
)
"""Marks, each with what it stands in and what is kept of that. Inside of paths and names they are
none: `app/__init__.py`, `__init__`, `src/*.ts`."""
_RARE = {
    "fence": r"```|~~~",
    "blockquote": r"(?m)^[^A-Za-z\n>]*>",
    "hr": r"(?m)^[^A-Za-z|\n]*[-*_][ \t]*$",
    "table": r"(?m)^[^A-Za-z\n]*[|:-][ \t]*$",
    "reference": r"\]:",
    "html_block": r"(?m)^[^A-Za-z\n<]*<",
    "lheading": r"(?m)^[^A-Za-z\n]*[=-][ \t]*$",
}
"""Rules of the parser that are tried at each line, each with what a text has that it applies to."""
_MOST_NESTING = 60
"""Levels of lists and quotes in each other. Markdown-it drops what stands deeper, to the end."""


class Line(NamedTuple):
    """A text, and the line on which it begins."""

    line: int
    text: str


class Item(NamedTuple):
    """A point of a list."""

    line: int
    text: str
    """Its first paragraph."""
    blocks: tuple[Block, ...]
    """What stands under it."""
    end: int = 0
    """The last line of it."""


class Row(NamedTuple):
    """A row of a table."""

    line: int
    cells: tuple[str, ...]


class Block(NamedTuple):
    """A paragraph, list, table or piece of code; `other` is what only people read."""

    kind: Literal["paragraph", "list", "table", "code", "other"]
    line: int
    text: str = ""
    items: tuple[Item, ...] = ()
    rows: tuple[Row, ...] = ()
    """Of a table; the first one is its head."""


@dataclass(slots=True)
class Section:
    """A heading, and what stands under it up to the next one of its level."""

    title: str
    level: int
    line: int
    end: int = 0
    """The last line of it."""
    head_end: int = 0
    """The last line of its heading."""
    blocks: list[Block] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


class Document(NamedTuple):
    """A document."""

    root: Section
    """The whole, of level 0."""
    code: frozenset[int]
    """The lines of what stands in code and in comments."""
    indented: frozenset[int]
    """The first lines of what is code for its four blanks alone: it may not be meant so."""
    points: frozenset[int]
    """The lines on which points of lists begin, and those of tables."""
    faults: list[Line]
    """Where it is built otherwise than it seems."""


def read_document(text: str, level_of: Callable[[str, Sequence[Section]], int | None]) -> Document:
    """Return the document.

    Of a paragraph of one line, `level_of` says at which level it is a heading among the sections
    that are open there, if it is one.
    """
    parser = MarkdownIt("commonmark", {"maxNesting": _MOST_NESTING}).enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.disable([rule for rule, mark in _RARE.items() if not re.search(mark, text)])
    lines = text.split("\n")
    tokens = parser.parse(text)
    code, faults = _code(tokens, lines)
    indented = frozenset(_line(one) for one in tokens if one.type == "code_block")
    points = {_line(one) for one in tokens if one.type == "list_item_open"}
    for token in tokens:
        if token.type == "table_open" and token.map is not None:
            points.update(range(token.map[0] + 1, token.map[1] + 1))
    root = _outline(tokens, len(lines), level_of)
    return Document(root, code, indented, frozenset(points), faults)


def matches(pattern: str, text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield each match of a pattern with the line on which it begins."""
    number, begin = 1, 0
    for found in re.finditer(pattern, text):
        number += text.count("\n", begin, found.start())
        begin = found.start()
        yield number, found


def code_spans(text: str) -> list[str]:
    """Return what stands between backticks."""
    return [match[2].strip() for match in re.finditer(_SPAN, text)]


def without_code(text: str) -> str:
    """Return the text without what stands between backticks."""
    return re.sub(_SPAN, " ", text)


def plain(text: str) -> str:
    """Return the text without the marks of emphasis, links and comments; code keeps its own."""
    if "<!--" in text:
        first, *rest = text.split("<!--")
        text = first + "".join(one.partition("-->")[2] if "-->" in one else one for one in rest)
    if "*" in text or "_" in text or "[" in text or "\\" in text:
        parts = re.split(r"(`+[^`\n]+`+)", text) if "`" in text else [text]
        text = "".join(part if part.startswith("`") else _unmarked(part) for part in parts)
    return text.strip()


def _unmarked(text: str) -> str:
    for mark, pattern, kept in _MARKS:
        if mark in text:
            text = re.sub(pattern, kept, text)
    return text


def _code(tokens: Sequence[Token], lines: Sequence[str]) -> tuple[frozenset[int], list[Line]]:
    """Return the lines in code and in comments, and what is wrong with those."""
    code: set[int] = set()
    faults: list[Line] = []
    for token in tokens:
        if token.level >= _MOST_NESTING - 2:
            faults.append(Line(_line(token), "it stands too deep in lists and quotes to be read"))
            break
        is_comment = token.type == "html_block" and token.content.lstrip().startswith("<!--")
        if token.map is None or not (is_comment or token.type in ("fence", "code_block")):
            continue
        code.update(range(token.map[0] + 1, token.map[1] + 1))
        if is_comment and "-->" not in token.content:
            faults.append(Line(_line(token), "the comment that begins here has no end"))
        elif token.type == "fence":
            faults += _faults_of_fence(token, lines)
    return frozenset(code), faults


def _faults_of_fence(token: Token, lines: Sequence[str]) -> Iterator[Line]:
    first, last = token.map or (0, 0)
    end = lines[last - 1].strip(" \t>")
    if last - first < 2 or end.strip(token.markup[0]) or not end.startswith(token.markup):
        yield Line(first + 1, "the code that begins here has no end")
    for line in range(first + 1, last - 1):
        if re.match(rf"[\s>]*{token.markup}[`~]*\w", lines[line]):
            what = f"code begins again inside of that of line {first + 1}: has it no end?"
            yield Line(line + 1, what)


def _outline(
    tokens: list[Token],
    lines: int,
    level_of: Callable[[str, Sequence[Section]], int | None],
) -> Section:
    root = Section("", 0, 1, lines)
    open_sections = [root]

    def begin(title: str, level: int, line: int, head_end: int) -> None:
        while open_sections[-1].level >= level:
            open_sections.pop().end = line - 1
        section = Section(title, level, line, head_end=head_end)
        open_sections[-1].sections.append(section)
        open_sections.append(section)

    reader = _Reader(tokens)
    while (token := reader.next()) is not None:
        if token.type == "heading_open":
            title = reader.inline("heading_close")
            begin(
                plain(title.text),
                int(token.tag[1:]),
                _line(token),
                token.map[1] if token.map else 0,
            )
            continue
        block = reader.block(token)
        level = None
        if block.kind == "paragraph" and "\n" not in block.text:
            level = level_of(block.text, open_sections)
        if level is None:
            open_sections[-1].blocks.append(block)
        else:
            begin(plain(block.text), level, block.line, block.line)
    for section in open_sections:
        section.end = lines
    return root


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


class _Reader:
    """The tokens of a document, read once from first to last."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = iter(tokens)

    def next(self) -> Token | None:
        """Return the token that comes next; None at the end."""
        return next(self._tokens, None)

    def inline(self, end: str) -> Line:
        """Return the text before the token `end`."""
        found = Line(0, "")
        for token in self._tokens:
            if token.type == end:
                break
            if token.type == "inline":
                found = Line(_line(token), token.content)
        return found

    def block(self, first: Token) -> Block:
        """Return the block that begins with a token."""
        kind, line = first.type, _line(first)
        if kind == "paragraph_open":
            return Block("paragraph", line, self.inline("paragraph_close").text)
        if kind in ("bullet_list_open", "ordered_list_open"):
            return Block("list", line, items=tuple(self._items(kind.replace("open", "close"))))
        if kind == "table_open":
            return Block("table", line, rows=tuple(self._rows()))
        if kind in ("fence", "code_block"):
            return Block("code", line, first.content)
        if first.nesting == 1:
            self._skip(kind.replace("open", "close"))
        return Block("other", line)

    def _items(self, end: str) -> Iterator[Item]:
        for token in self._tokens:
            if token.type == end:
                return
            yield self._item(token)

    def _item(self, first: Token) -> Item:
        blocks = []
        for token in self._tokens:
            if token.type == "list_item_close":
                break
            blocks.append(self.block(token))
        has_text = bool(blocks) and blocks[0].kind == "paragraph"
        text = blocks.pop(0).text if has_text else ""
        return Item(_line(first), text, tuple(blocks), first.map[1] if first.map else 0)

    def _rows(self) -> Iterator[Row]:
        cells: list[str] = []
        line = 0
        for token in self._tokens:
            if token.type == "table_close":
                return
            if token.type == "tr_open":
                cells, line = [], _line(token)
            elif token.type == "inline":
                cells.append(token.content)
            elif token.type == "tr_close":
                yield Row(line, tuple(cells))

    def _skip(self, end: str) -> None:
        depth = 1
        begin = end.replace("close", "open")
        for token in self._tokens:
            depth += (token.type == begin) - (token.type == end)
            if depth == 0:
                return

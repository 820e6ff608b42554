"""Lines for a terminal: styled, linked, and never wider than it is.

What holds here: what comes from outside is shown as escapes where it could move the cursor, and is
never read as markup; colours are the terminal's own sixteen, so that its theme holds; no colour
says what no sign or word says. Of rich only widths and styles are used: its console takes twice as
long to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from .output import Terminal, printable

if TYPE_CHECKING:
    from rich.style import Style

GAP = 2
"""Blanks between columns."""


class Span(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: str = ""
    """As rich writes styles: `bold`, `dim`, `green`, …"""
    link: str | None = None


Line = Sequence[Span]


class Column(NamedTuple):
    """A column of a table, and what becomes of it where there is no room."""

    head: str
    weight: int
    """The lightest columns go first. One that is empty goes anyway."""
    least: int | None = None
    """To how many cells it may be cut; None: not at all."""
    keeps: Literal["start", "path"] = "start"
    """What of it stays when it is cut: its start, or the last parts of a path."""
    right: bool = False
    """Whether it is aligned on the right, as numbers are."""


class Signs(NamedTuple):
    """What stands for what, in characters that the terminal has."""

    ellipsis: str
    listening: str
    leased: str
    listening_elsewhere: str
    leased_elsewhere: str
    blocked: str
    doubtful: str
    free: str
    ahead: str
    behind: str
    bar: str
    bar_blocked: str
    bar_free: str


_UNICODE = Signs("…", "●", "■", "○", "□", "×", "?", "·", "↑", "↓", "━", "╍", "─")
_ASCII = Signs("..", "@", "#", "o", "+", "x", "?", ".", "^", "v", "=", "x", "-")


def signs(terminal: Terminal) -> Signs:
    """Return the signs that `terminal` can show."""
    return _UNICODE if terminal.unicode else _ASCII


def drawn(lines: Sequence[Line], terminal: Terminal) -> str:
    """Return the text of `lines` with the codes that `terminal` takes."""
    return "\n".join(
        "".join(_coded(span, terminal) for span in cut(line, terminal.columns, terminal))
        for line in lines
    )


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Line]], terminal: Terminal
) -> list[Line]:
    """Return the rows under their heads, in as many columns as fit; a row is one line.

    Those that may be cut are; if that is not enough, the lightest go.
    """
    shown = [index for index in range(len(columns)) if any(width(row[index]) for row in rows)]
    while sum(_least(columns[index], rows, index) + GAP for index in shown) - GAP > (
        terminal.columns
    ):
        if len(shown) == 1:
            break
        shown.remove(min(shown, key=lambda index: columns[index].weight))
    widths = _widths(columns, rows, shown, terminal.columns)
    heads = [[Span(column.head, "dim")] for column in columns]
    return [
        _row([_fitted(row[index], columns[index], widths[index], terminal) for index in shown])
        for row in (heads, *rows)
    ]


def width(line: Line) -> int:
    """Return how many cells of a terminal `line` takes."""
    from rich.cells import cell_len

    return sum(cell_len(printable(span.text)) for span in line)


def cut(
    line: Line, cells: int, terminal: Terminal, keeps: Literal["start", "path"] = "start"
) -> list[Span]:
    """Return `line` if it takes no more than `cells`; else what fits of it, with a mark."""
    if width(line) <= cells:
        return list(line)
    mark = signs(terminal).ellipsis[:cells]
    if keeps == "path":
        whole = "".join(printable(span.text) for span in line)
        end = _fitting(whole[::-1], cells - len(mark))[::-1]
        return [line[0]._replace(text=mark + end[max(0, end.find("/")) :])]
    kept: list[Span] = []
    for span in line:
        text = printable(span.text)
        kept.append(span._replace(text=_fitting(text, cells - len(mark) - width(kept))))
        if kept[-1].text != text:
            break
    return [*kept[:-1], kept[-1]._replace(text=kept[-1].text + mark)]


def _fitting(text: str, cells: int) -> str:
    """Return as much from the start of `text` as fits."""
    from rich.cells import cell_len

    for count, char in enumerate(text):
        cells -= cell_len(char)
        if cells < 0:
            return text[:count]
    return text


def _least(column: Column, rows: Sequence[Sequence[Line]], index: int) -> int:
    full = _full(column, rows, index)
    return full if column.least is None else min(full, max(column.least, len(column.head)))


def _full(column: Column, rows: Sequence[Sequence[Line]], index: int) -> int:
    return max(len(column.head), *(width(row[index]) for row in rows))


def _widths(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Line]],
    shown: Sequence[int],
    cells: int,
) -> dict[int, int]:
    """Return how wide each column is; the lightest give first what is too much."""
    widths = {index: _full(columns[index], rows, index) for index in shown}
    excess = sum(widths.values()) + GAP * (len(shown) - 1) - cells
    for index in sorted(shown, key=lambda index: columns[index].weight):
        given = min(max(0, excess), widths[index] - _least(columns[index], rows, index))
        widths[index] -= given
        excess -= given
    return widths


def _fitted(line: Line, column: Column, cells: int, terminal: Terminal) -> list[Span]:
    """Return `line` in exactly so many cells."""
    kept = cut(line, cells, terminal, column.keeps)
    blank = Span(" " * (cells - width(kept)))
    return [blank, *kept] if column.right else [*kept, blank]


def _row(cells: Sequence[list[Span]]) -> list[Span]:
    """Return the cells as one line, without blanks at its end."""
    line = [span for cell in cells for span in (Span(" " * GAP), *cell)][1:]
    while line and not line[-1].text.strip():
        line.pop()
    if line:
        line[-1] = line[-1]._replace(text=line[-1].text.rstrip())
    return line


def _coded(span: Span, terminal: Terminal) -> str:
    text = printable(span.text)
    if not terminal.styled or not (span.style or span.link):
        return text
    from rich.color import ColorSystem

    style = _style(span.style, span.link)
    style = style if terminal.coloured else style.without_color
    return style.render(text, color_system=ColorSystem.STANDARD)


@cache
def _style(name: str, link: str | None) -> Style:
    from rich.style import Style

    return Style.parse(name) + Style(link=link and printable(link))

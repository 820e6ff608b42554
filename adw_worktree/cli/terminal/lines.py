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

from adw_worktree.cli.output import Terminal
from adw_worktree.system.text import encodable, printable

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
    """The lightest columns go first, and are cut the most. One that is empty goes anyway."""
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
        for line in (_escaped(line, terminal) for line in lines)
    )


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Line]], terminal: Terminal
) -> list[Line]:
    """Return the rows under their heads, in as many columns as fit; a row is one line.

    Those that may be cut are; if that is not enough, the lightest go.
    """
    rows = [[_escaped(cell, terminal) for cell in row] for row in rows]
    shown = _fitting_columns(columns, rows, terminal.columns)
    widths = _widths(columns, rows, shown, terminal.columns)
    heads = [[Span(column.head, "dim")] for column in columns]
    return [
        _row([_fitted(row[index], columns[index], widths[index], terminal) for index in shown])
        for row in (heads, *rows)
    ]


def width(line: Line) -> int:
    """Return how many cells of a terminal `line` takes."""
    from rich.cells import cell_len

    return sum(cell_len(span.text) for span in line)


def cut(
    line: Line, cells: int, terminal: Terminal, keeps: Literal["start", "path"] = "start"
) -> list[Span]:
    """Return `line` if it takes no more than `cells`; else what fits of it, with a mark."""
    if width(line) <= cells:
        return list(line)
    mark = signs(terminal).ellipsis[:cells]
    if keeps == "path":
        end = _fitting("".join(span.text for span in line), cells - len(mark), keeps)
        return [line[0]._replace(text=mark + end[max(0, end.find("/")) :])]
    kept: list[Span] = []
    for span in line:
        kept.append(span._replace(text=_fitting(span.text, cells - len(mark) - width(kept))))
        if kept[-1].text != span.text:
            break
    return [*kept[:-1], kept[-1]._replace(text=kept[-1].text + mark)]


def _escaped(line: Line, terminal: Terminal) -> Line:
    """Return `line` with escapes for what could move the cursor, or cannot be written there."""
    return [span._replace(text=encodable(printable(span.text), terminal.encoding)) for span in line]


def _fitting(text: str, cells: int, keeps: Literal["start", "path"] = "start") -> str:
    """Return as much of `text` as fits, from its start or, of a path, from its end."""
    from rich.cells import cell_len

    kept = ""
    for count in range(1, len(text) + 1):
        # As a whole: with what follows it, a character may be wider than alone.
        more = text[:count] if keeps == "start" else text[-count:]
        if cell_len(more) > cells:
            break
        kept = more
    return kept


def _fitting_columns(
    columns: Sequence[Column], rows: Sequence[Sequence[Line]], cells: int
) -> list[int]:
    """Return the heaviest columns that fit, and the heaviest alone if not even that does."""
    filled = [index for index in range(len(columns)) if any(width(row[index]) for row in rows)]
    fitting: list[int] = []
    room = cells + GAP
    for index in sorted(filled, key=lambda index: -columns[index].weight):
        least = _least(columns[index], rows, index) + GAP
        if not fitting or least <= room:
            fitting.append(index)
            room -= least
    return sorted(fitting)


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
    """Return how wide each column is; those too wide for their weight give first."""
    widths = {index: _full(columns[index], rows, index) for index in shown}
    least = {index: _least(columns[index], rows, index) for index in shown}
    excess = sum(widths.values()) + GAP * (len(shown) - 1) - cells
    for _ in range(min(excess, sum(widths.values()) - sum(least.values()))):
        wide = (index for index in shown if widths[index] > least[index])
        widths[max(wide, key=lambda index: widths[index] / columns[index].weight)] -= 1
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
    if not terminal.styled or not (span.style or span.link):
        return span.text
    from rich.color import ColorSystem

    style = _style(span.style, span.link)
    style = style if terminal.coloured else style.without_color
    return style.render(span.text, color_system=ColorSystem.STANDARD)


@cache
def _style(name: str, link: str | None) -> Style:
    from rich.style import Style

    return Style.parse(name) + Style(link=link and printable(link))

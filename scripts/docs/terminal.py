"""Record what commands print on a terminal, and draw it.

What holds here: the picture is what a terminal of that size shows of the very bytes that a command
wrote; the same bytes give the same picture.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyte
from pyte.screens import Char

from .svg import MONO, Theme, box, document, group, text

_LETTER, _LINE, _MARGIN, _SIZE = 8.4, 20, 16, 14
_NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
_LIGHT = ("#1f2328", "#cf222e", "#116329", "#7d4e00", "#0969da", "#8250df", "#1b7c83", "#59636e")
_DARK = ("#e6edf3", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#9198a1")
_LINES = 200
"""How far a picture may reach down; more scrolls away."""


def record(command: str, cwd: Path, env: Mapping[str, str], columns: int) -> bytes:
    """Run a shell's command on a terminal of its own, and return what it wrote there."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=cwd, env=env, stdin=its, stdout=its, stderr=its,
        start_new_session=True,
    )  # fmt: skip
    os.close(its)
    try:
        return b"".join(_all(ours))
    finally:
        os.close(ours)
        process.wait()


def _all(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            read = os.read(descriptor, 65536)
        except OSError as exc:
            if exc.errno == errno.EIO:  # Linux: every process has closed the other side
                return
            raise
        if not read:
            return
        yield read


class _Screen(pyte.Screen):
    """One that knows faint text, which pyte does not: it stands as blinking."""

    def select_graphic_rendition(self, *codes: int, **more: Any) -> None:
        translated: list[int] = []
        rest = iter(codes)
        for code in rest:
            translated += {2: [5], 22: [22, 25]}.get(code, [code])
            if code in (38, 48):  # a colour of its own: 5;N or 2;R;G;B
                kind = next(rest, 5)
                translated += [kind, *(next(rest, 0) for _ in range(3 if kind == 2 else 1))]
        super().select_graphic_rendition(*translated, **more)


class Style(NamedTuple):
    """How characters look."""

    fg: str
    bg: str
    bold: bool
    italic: bool
    underlined: bool
    faint: bool


class Run(NamedTuple):
    """Neighbours in a line that look alike."""

    column: int
    text: str
    style: Style


def screen(data: bytes, columns: int) -> list[list[Run]]:
    """Return the lines that a terminal shows after `data`, without empty ones at the end."""
    terminal = _Screen(columns, _LINES)
    pyte.ByteStream(terminal).feed(data)
    lines = [
        list(_runs([terminal.buffer[line][column] for column in range(columns)]))
        for line in range(_LINES)
    ]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _runs(cells: Sequence[Char]) -> Iterator[Run]:
    column = 0
    for style, alike in groupby(cells, _style):
        data = "".join(cell.data for cell in alike)
        if style.bg != "default":
            yield Run(column, data, style)
        else:
            # SVG makes one space of many.
            for words in re.finditer(r"\S+(?: \S+)*", data):
                yield Run(column + words.start(), words[0], style)
        column += len(data)


def _style(cell: Char) -> Style:
    fg, bg = (cell.bg, cell.fg) if cell.reverse else (cell.fg, cell.bg)
    if cell.reverse:
        fg, bg = ("page" if one == "default" else one for one in (fg, bg))
        bg = "ink" if bg == "page" else bg
    return Style(fg, bg, cell.bold, cell.italics, cell.underscore, cell.blink)


def drawn(lines: Sequence[Sequence[Run]], columns: int, title: str, theme: Theme) -> str:
    """Return the picture of a terminal's lines."""
    width = columns * _LETTER + 2 * _MARGIN
    height = len(lines) * _LINE + 2 * _MARGIN
    frame = box(0.5, 0.5, width - 1, height - 1, rx=8, fill=theme.panel, stroke=theme.line)
    parts = [part for number, line in enumerate(lines) for part in _line(number, line, theme)]
    return document(width, height, title, [frame, group(parts, font_family=MONO, font_size=_SIZE)])


def _line(number: int, line: Sequence[Run], theme: Theme) -> Iterator[str]:
    top = _MARGIN + number * _LINE
    for run in line:
        x, width = _MARGIN + run.column * _LETTER, len(run.text) * _LETTER
        if run.style.bg != "default":
            yield box(x, top, width, _LINE, fill=_colour(run.style.bg, theme))
        if not run.text.strip():
            continue
        look: dict[str, object] = {"fill": _colour(run.style.fg, theme)}
        if run.style.bold:
            look["font_weight"] = 700
        if run.style.italic:
            look["font_style"] = "italic"
        if run.style.underlined:
            look["text_decoration"] = "underline"
        if run.style.faint:
            look["fill_opacity"] = 0.7
        # Columns meet whatever the reader's font is.
        shown = run.text.replace(" ", "\N{NO-BREAK SPACE}")
        yield text(x, top + 14.5, shown, textLength=width, **look)


def _colour(name: str, theme: Theme) -> str:
    if name in ("default", "ink"):
        return theme.ink
    if name == "page":
        return theme.panel
    palette = _LIGHT if theme.suffix == "" else _DARK
    if name.removeprefix("bright") in _NAMES:
        bright_black = name == "brightblack"
        return theme.muted if bright_black else palette[_NAMES.index(name.removeprefix("bright"))]
    return f"#{name}"

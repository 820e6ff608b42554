"""Draw the package's rooms, as `tests/whole/test_architecture.py` holds the imports to them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

from .svg import MONO, SANS, THEMES, Theme, box, document, group, text

_CHECKOUT = Path(__file__).resolve().parents[2]
_PACKAGE = _CHECKOUT / "adw_worktree"
_TABLE = _CHECKOUT / "tests" / "whole" / "test_architecture.py"
_WIDTH, _MARGIN, _SIDE = 880, 16, 250
_CHIP, _GAP, _BETWEEN, _LETTER = 24, 7, 24, 7.25

FLOORS = (
    ("cli.commands", "cli.terminal", "cli"),
    ("board", "board.routes", "board.contents", "board.access"),
    (
        "orchestration",
        "orchestration.running",
        "orchestration.stages",
        "orchestration.workflows",
        "orchestration.issues",
        "orchestration.runs",
        "orchestration.store",
        "orchestration.agents",
        "orchestration.plan",
        "orchestration.gates",
        "orchestration.phases",
    ),
    ("api", "worktrees.finish", "worktrees", "worktrees.files"),
    ("integrations", "project"),
    ("pool",),
    ("repo",),
    ("settings",),
    ("system", "documents", "adw_id", "errors"),
)
"""Highest first: rooms that a picture shows together, each importing only from those after it."""


class Room(NamedTuple):
    """A folder of the package, or a file beside the folders."""

    name: str
    about: str
    """The first line of its docstring."""
    modules: list[str]
    """Empty for a file."""


def room(name: str) -> Room:
    """Return the room `name` of the table."""
    place = _PACKAGE.joinpath(*name.split("."))
    modules = sorted(path.stem for path in place.glob("*.py") if path.stem != "__init__")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    about = ast.get_docstring(ast.parse(file.read_text())) or ""
    return Room(name.replace(".", "/"), about.partition("\n")[0].replace("`", ""), modules)


def floors() -> list[list[Room]]:
    """Return the rooms of each floor, highest first; all that the table has, in its order."""
    drawn = [name for floor in FLOORS for name in floor]
    table = [name for name in _table() if not name.startswith("_")]
    if sorted(drawn) != sorted(table):
        raise AssertionError(f"FLOORS and {_TABLE} name other rooms: {set(drawn) ^ set(table)}")
    for number, name in enumerate(drawn):
        above = set(_table()[name].split()) & set(drawn[:number])
        if above:
            raise AssertionError(f"{name} is drawn below {above}, which it imports from")
    return [[room(name) for name in floor] for floor in FLOORS]


def _table() -> dict[str, str]:
    for node in ast.parse(_TABLE.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS":
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise AssertionError(f"{_TABLE} has no ROOMS")


def pictures() -> dict[str, str]:
    """Return the picture for each background, by file name."""
    return {f"architecture{theme.suffix}.svg": _drawn(theme) for theme in THEMES}


def _drawn(theme: Theme) -> str:
    parts: list[str] = []
    y = float(_MARGIN)
    for number, rooms in enumerate(floors()):
        if parts:
            parts.append(_arrow(theme, y))
            y += _BETWEEN
        accent = theme.accents[-1 - number % len(theme.accents)]
        inside, below = [], y + 4
        for one in rooms:
            drawn, below = _room(theme, accent, one, below)
            inside += drawn
        parts += [*_frame(theme, accent, y, below - y), *inside]
        y = below
    title = "The rooms of adw-worktree: a module imports from its own and from those below it"
    return document(_WIDTH, y + _MARGIN, title, parts)


def _frame(theme: Theme, accent: str, y: float, height: float) -> list[str]:
    """Return the background of a floor."""
    return [
        box(_MARGIN, y, _WIDTH - 2 * _MARGIN, height, rx=8, fill=theme.panel, stroke=theme.line),
        box(_MARGIN, y, 4, height, rx=2, fill=accent),
    ]


def _room(theme: Theme, accent: str, one: Room, y: float) -> tuple[list[str], float]:
    """Return a room, its name and purpose at the left and its modules at the right, and its end."""
    left = _MARGIN + 16
    name = text(left, y + 22, one.name, font_size=14, font_weight=600, fill=theme.ink)
    if not one.modules:
        purpose = text(_SIDE, y + 22, one.about, font_size=12, fill=theme.muted)
        return [group([name, purpose], font_family=SANS)], y + 32
    lines = [
        text(left, y + 40 + 16 * number, line, font_size=12, fill=theme.muted)
        for number, line in enumerate(wrap(one.about, 30))
    ]
    chips, below = _chips(theme, accent, one.modules, y + 5)
    height = max(below, y + 34 + 16 * len(lines))
    return [group([name, *lines], font_family=SANS), *chips], height


def _chips(theme: Theme, accent: str, names: Sequence[str], y: float) -> tuple[list[str], float]:
    """Return the modules of a room, and where they end."""
    parts = []
    x = float(_SIDE)
    for name in names:
        width = len(name) * _LETTER + 16
        if x + width > _WIDTH - _MARGIN - 8:
            x = float(_SIDE)
            y += _CHIP + _GAP
        parts.append(_chip(theme, accent, name, x, y, width))
        x += width + _GAP
    return parts, y + _CHIP + _GAP + 2


def _chip(theme: Theme, accent: str, name: str, x: float, y: float, width: float) -> str:
    label = text(
        x + width / 2, y + 16.5, name, fill=accent, font_size=12, text_anchor="middle",
        textLength=f"{len(name) * _LETTER:g}",
    )  # fmt: skip
    border = box(x, y, width, _CHIP, rx=5, fill=theme.page, stroke=theme.line)
    return group([border, label], font_family=MONO)


def _arrow(theme: Theme, y: float) -> str:
    """Return the sign that the band above imports from the one below."""
    x = _WIDTH / 2
    tip = y + _BETWEEN - 4
    line = f"M{x:g} {y + 4:g}V{tip:g}M{x - 5:g} {tip - 6:g}L{x:g} {tip:g}L{x + 5:g} {tip - 6:g}"
    return f'<path d="{line}" fill="none" stroke="{theme.muted}" stroke-width="1.5"/>'

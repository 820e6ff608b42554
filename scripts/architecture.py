"""Draw the package's layers, as `tests/test_architecture.py` holds the imports to them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .svg import MONO, SANS, THEMES, Theme, box, document, group, text

_TABLE = Path(__file__).resolve().parent.parent / "tests" / "test_architecture.py"
_WIDTH, _MARGIN, _SIDE = 880, 16, 224
_CHIP, _GAP, _BETWEEN, _LETTER = 24, 7, 28, 7.25


class Band(NamedTuple):
    """Layers that do one kind of work."""

    title: str
    about: tuple[str, ...]
    top: str
    """A module of its highest layer."""


BANDS = (
    Band("The machine", ("git, files, locks, ports;", "plain data"), "statedir"),
    Band("What is known", ("settings, ledger, receipts,", "registry, verdicts, approvals"), "pool"),
    Band("What is done", ("create, remove, reconcile, …", "in steps that can be undone"), "doctor"),
    Band("Who asks", ("the command line",), "cli"),
)
"""Lowest first."""


def layers() -> list[list[str]]:
    """Return the modules of each layer, lowest first."""
    for node in ast.parse(_TABLE.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS":
            found: list[list[str]] = ast.literal_eval(node.value)
            return [[name for name in names if not name.startswith("_")] for names in found]
    raise AssertionError(f"{_TABLE} has no LAYERS")


def bands() -> list[tuple[Band, list[list[str]]]]:
    """Return the layers of each band, lowest first."""
    rest = [names for names in layers() if names]
    found = []
    for band in BANDS:
        upto = next(at for at, names in enumerate(rest) if band.top in names) + 1
        found.append((band, rest[:upto]))
        rest = rest[upto:]
    if rest:
        raise AssertionError(f"{rest} are above the highest band")
    return found


def pictures() -> dict[str, str]:
    """Return the picture for each background, by file name."""
    return {f"architecture{theme.suffix}.svg": _drawn(theme) for theme in THEMES}


def _drawn(theme: Theme) -> str:
    parts: list[str] = []
    y = float(_MARGIN)
    for (band, rows), accent in reversed(list(zip(bands(), theme.accents, strict=True))):
        if parts:
            parts.append(_arrow(theme, y))
            y += _BETWEEN
        chips, below = _chips(theme, accent, rows, y + _GAP)
        height = max(below - y, 44 + 17 * len(band.about))
        parts.append(_frame(theme, accent, band, y, height))
        parts += chips
        y += height
    title = "The layers of adw-worktree: a module imports only from those below it"
    return document(_WIDTH, y + _MARGIN, title, parts)


def _frame(theme: Theme, accent: str, band: Band, y: float, height: float) -> str:
    """Return a band's background and what it says at its left."""
    left, inner = _MARGIN + 16, _WIDTH - 2 * _MARGIN
    return group(
        [
            box(_MARGIN, y, inner, height, rx=8, fill=theme.panel, stroke=theme.line),
            box(_MARGIN, y, 4, height, rx=2, fill=accent),
            text(left, y + 27, band.title, font_size=15, font_weight=600, fill=theme.ink),
            *(
                text(left, y + 47 + 17 * number, line, font_size=12, fill=theme.muted)
                for number, line in enumerate(band.about)
            ),
        ],
        font_family=SANS,
    )


def _chips(
    theme: Theme, accent: str, rows: Sequence[Sequence[str]], y: float
) -> tuple[list[str], float]:
    """Return the modules of a band, its highest layer first, and where they end."""
    parts = []
    for number, names in enumerate(reversed(rows)):
        if number:
            y += _GAP
            parts.append(
                f'<path d="M{_SIDE} {y - _GAP / 2:g}H{_WIDTH - _MARGIN - 12}" '
                f'stroke="{theme.line}" stroke-dasharray="2 4"/>'
            )
        x = float(_SIDE)
        y += _GAP / 2
        for name in names:
            width = len(name) * _LETTER + 16
            if x + width > _WIDTH - _MARGIN - 8:
                x = float(_SIDE)
                y += _CHIP + _GAP
            parts.append(_chip(theme, accent, name, x, y, width))
            x += width + _GAP
        y += _CHIP + _GAP / 2
    return parts, y + _GAP


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

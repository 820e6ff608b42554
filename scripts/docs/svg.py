"""What the pictures have in common: two backgrounds, and the parts of an SVG.

What holds here: the same input gives the same bytes, and no picture loads anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SANS = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours for one background."""

    suffix: str
    """Of the file's name."""
    page: str
    panel: str
    ink: str
    muted: str
    line: str
    accents: tuple[str, ...]
    """Strong enough to be written in, on `panel`."""


LIGHT = Theme(
    "", "#ffffff", "#f6f8fa", "#1f2328", "#59636e", "#d1d9e0",
    ("#0969da", "#8250df", "#1a7f37", "#9a6700"),
)  # fmt: skip
DARK = Theme(
    "-dark", "#0d1117", "#151b23", "#e6edf3", "#9198a1", "#3d444d",
    ("#4493f8", "#ab7df8", "#3fb950", "#d29922"),
)  # fmt: skip
THEMES = (LIGHT, DARK)


def document(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """Return the whole picture; `title` is what is read aloud."""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>"]) + "\n"


def box(x: float, y: float, width: float, height: float, **style: object) -> str:
    size = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f"<rect {size} {_attributes(style)}/>"


def text(x: float, y: float, content: str, **style: object) -> str:
    return f'<text x="{x:g}" y="{y:g}" {_attributes(style)}>{escape(content)}</text>'


def group(parts: Iterable[str], **style: object) -> str:
    return "\n".join([f"<g {_attributes(style)}>", *parts, "</g>"])


def _attributes(style: dict[str, object]) -> str:
    return " ".join(f"{name.replace('_', '-')}={_value(value)}" for name, value in style.items())


def _value(value: object) -> str:
    return quoteattr(f"{value:g}" if isinstance(value, float) else str(value))

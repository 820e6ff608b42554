"""The files that the wheel carries beside the code: `hooks/` and `templates/`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def shipped_text(folder: Literal["hooks", "templates"], name: str) -> str:
    """Return the text of a shipped file: the wheel's, or in a checkout the one beside the package."""
    packaged = _PACKAGE / "_shipped" / folder / name
    path = packaged if packaged.exists() else _PACKAGE.parent / folder / name
    return path.read_text(encoding="utf-8")

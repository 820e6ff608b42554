"""The files that the wheel carries beside the code: `hooks/` and `templates/`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def shipped_text(folder: Literal["hooks", "templates"], name: str) -> str:
    """Return the text of a shipped file, from the wheel or from a checkout."""
    packaged = _PACKAGE / "_shipped" / folder / name
    path = packaged if packaged.exists() else _PACKAGE.parent / folder / name
    return path.read_text(encoding="utf-8")

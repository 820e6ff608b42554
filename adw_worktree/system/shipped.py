"""The files that the wheel carries beside the code: `hooks/` and `templates/`."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.system.paths import is_file

_PACKAGE = Path(__file__).parent.parent


def shipped_text(folder: str, name: str) -> str:
    """Return the text of a shipped file; `folder` is `hooks`, `templates` or a folder of those.

    The wheel has the two folders inside the package (`_shipped`, see pyproject.toml); in a checkout
    they lie beside it. Raises FileNotFoundError if neither has the file.
    """
    packaged = _PACKAGE / "_shipped" / folder / name
    path = packaged if is_file(packaged) else _PACKAGE.parent / folder / name
    return path.read_text(encoding="utf-8")

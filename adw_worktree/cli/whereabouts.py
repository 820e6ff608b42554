"""The directory that the caller's shell is in, and the way out of one that is gone.

A worktree that is removed, merged or renamed may be the one that its caller stands in; every next
command would fail there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from shlex import quote

from adw_worktree.errors import FileUnusable
from adw_worktree.system.paths import is_dir


def lead_away(stood_in: Path, to: Path) -> list[str]:
    """Lead a shell out of `stood_in` if that is gone; return the note for a shell that cannot be
    led."""
    if is_dir(stood_in):
        return []
    from adw_worktree.worktrees.last_used import lead_shell

    file = os.environ.get("ADW_CD_FILE")
    if file:
        with suppress(FileUnusable):
            lead_shell(Path(file), str(to))
            return []
    return [f"the directory that you are in is not there any more: cd {quote(str(to))}"]

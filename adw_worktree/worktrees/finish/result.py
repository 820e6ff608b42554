"""The result of `finish` as its JSON document has it."""

from __future__ import annotations

from adw_worktree.worktrees.results import removed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adw_worktree.worktrees.finish.finish import Finished


def finished(done: Finished, adw_id: str, trash_days: float) -> dict[str, Any]:
    """Return the document of `finish`; `trash_days` is the setting."""
    return {
        "adw_id": adw_id,
        "merged": done.way is not None,
        "into": done.into,
        "way": done.way,
        "commit": done.commit,
        "commits": done.commits,
        "removed": removed(done.removed, trash_days) if done.removed else None,
    }

"""The operation that waits for its user in a worktree: a rebase, a merge, a bisection.

Git keeps its state in the worktree's git directory, and it goes with that.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.repo.refs import has_reftable, root_refs
from adw_worktree.system.paths import exists

# Files in git's admin directory while an operation waits for its user (gitrepository-layout(5)).
_UNFINISHED = {
    "rebase-merge": "a rebase",
    "rebase-apply/applying": "an am",
    "rebase-apply": "a rebase",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "sequencer": "a row of cherry-picks or reverts",
    "BISECT_LOG": "a bisection",
    "NOTES_MERGE_PARTIAL": "a merge of notes",
}


def unfinished(git_directory: Path) -> str | None:
    """Return the operation that waits for its user in the worktree of that git directory."""
    refs = root_refs(git_directory) if has_reftable(git_directory) else set()
    found = [
        word for name, word in _UNFINISHED.items() if name in refs or exists(git_directory / name)
    ]
    return found[0] if found else None

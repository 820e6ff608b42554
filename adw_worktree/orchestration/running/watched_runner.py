"""A runner as its coordinator sees it: a lock, a journal, and the end of a process."""

from __future__ import annotations

import os
import selectors
from pathlib import Path
from typing import Any

from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.system.process_end import end_of


class WatchedRunner:
    """A runner as its coordinator sees it; perhaps one that it found."""

    def __init__(self, run: RunDirectory, token: str, selector: selectors.BaseSelector) -> None:
        self.run, self.token, self._selector = run, token, selector
        self.read = 0
        """How much of the journal is in the store."""
        self.worktree: Path | None = None
        self.taken_in = False
        """Whether the end is in the store."""
        self.burials = 0
        """How often it was tried to end what it left when it died."""
        self.ended: int | None = None
        """Readable once the process has ended; None if that is not known to come."""

    def watch(self, pid: int) -> None:
        """Wait for the end of this process from now on."""
        self.forget()
        self.ended = end_of(pid)
        if self.ended is not None:
            self._selector.register(self.ended, selectors.EVENT_READ, self.token)

    def news(self) -> list[dict[str, Any]]:
        """Return what came to the journal since the last time."""
        entries, self.read = self.run.journal(self.read)
        for entry in entries:
            if entry["kind"] == "worktree":
                self.worktree = Path(str(entry["path"]))
        return entries

    def is_dead(self) -> bool:
        """Return whether no process carries the attempt."""
        if not self.run.is_locked("runner"):
            return True
        pid = self.run.pid() if self.ended is None else None
        if pid is not None:
            self.watch(pid)
        return False

    def forget(self) -> None:
        """Stop waiting for the process."""
        if self.ended is not None:
            self._selector.unregister(self.ended)
            os.close(self.ended)
        self.ended = None

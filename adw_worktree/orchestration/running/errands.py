"""What is done for whole features beside their phases, each in a process of its own.

What holds here: nothing waits for an errand; one that is due is taken up again until the store says
what came of it, a few times at most.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Sequence
from pathlib import Path

from adw_worktree.orchestration.running.nursery import Carrier, Nursery
from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.process_end import end_of

_MOST_TRIES = 3


class Errand(NamedTuple):
    """A kind of errand."""

    name: str
    carrier: Carrier
    """Called with the state directory and the feature's id."""
    due: Callable[[Database, str], Sequence[Feature]]
    """The features that a host is to do it for now."""
    give_up: Callable[[Database, int, str], None]
    """Notes why it is not done for a feature."""


class Errands:
    """The errands under way, as the coordinator sees them."""

    def __init__(
        self,
        state_dir: Path,
        nursery: Nursery,
        selector: selectors.BaseSelector,
        kinds: Sequence[Errand],
        host: str,
    ) -> None:
        self._host = host
        self._state_dir, self._nursery, self._selector = state_dir, nursery, selector
        self._kinds = kinds
        self._ended: dict[str, int] = {}
        """Descriptors that are readable once the process of an errand has ended."""
        self._tries: dict[str, int] = {}

    def send(self, database: Database) -> None:
        """Do what is due, and is not done by anybody yet."""
        for name in [*self._ended]:
            self._is_alive(name)
        due = {f"{kind.name}-{feature.id}": (kind, feature)
               for kind in self._kinds for feature in kind.due(database, self._host)}  # fmt: skip
        # What came to its end is a new errand when it is due again.
        self._tries = {name: count for name, count in self._tries.items() if name in due}
        for name, (kind, feature) in due.items():
            if not self._is_alive(name):
                self._start(database, kind, feature.id, name)

    def close(self) -> None:
        """Let them go; they live on."""
        for name in [*self._ended]:
            self._forget(name)

    def _is_alive(self, name: str) -> bool:
        """Return whether a process does the errand."""
        if not self._directory.is_locked(name):
            self._forget(name)
            return False
        return True

    def _start(self, database: Database, kind: Errand, feature_id: int, name: str) -> None:
        self._tries[name] = self._tries.get(name, 0) + 1
        if self._tries[name] > _MOST_TRIES:
            why = f"its process was killed, again and again; see phases/{kind.name}.log"
            kind.give_up(database, feature_id, why)
            return
        lock = self._directory.lock(name)
        if lock is None:
            return
        try:
            pid = self._nursery.fork(kind.carrier, self._state_dir, feature_id, descriptors=[lock])
        finally:
            os.close(lock)
        ended = end_of(pid)
        if ended is not None:
            self._ended[name] = ended
            self._selector.register(ended, selectors.EVENT_READ)

    def _forget(self, name: str) -> None:
        ended = self._ended.pop(name, None)
        if ended is not None:
            self._selector.unregister(ended)
            os.close(ended)

    @property
    def _directory(self) -> RunDirectory:
        return RunDirectory(self._state_dir / "phases")

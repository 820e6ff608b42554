"""Any other program: what it prints is its answer, and its exit code says how it ended."""

from __future__ import annotations

from collections import deque

from adw_worktree.orchestration.agents.faults import fault_of
from adw_worktree.orchestration.agents.record import Record

_MOST_LINES = 200


class TextReader:
    """Reads plain text, and keeps its end."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)

    def read(self, line: bytes) -> None:
        self._lines.append(line.decode(errors="replace").rstrip("\r\n"))

    def record(self, exit_code: int | None) -> Record:
        said = "\n".join(self._lines).strip() or None
        if exit_code == 0:
            return Record("ok", answer=said)
        if exit_code is None:
            return Record("killed", error=said)
        last = said.rpartition("\n")[2] if said else f"it exited with status {exit_code}"
        return Record("error", answer=said, fault=fault_of(last), error=last)

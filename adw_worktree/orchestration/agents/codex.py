"""Codex: `codex exec --json`.

Shapes and traps: measured with 0.171.0. `input_tokens` has the cached ones in it; figures are those
of the whole thread, so the last ones count; no cost is said. An item of type `error`, or a line,
alone is a warning: what ended is told by `turn.completed` and `turn.failed`.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from adw_worktree.orchestration.agents.faults import fault_of
from adw_worktree.orchestration.agents.fields import at, document_of, objects_at, text_at
from adw_worktree.orchestration.agents.record import Ended, Record
from adw_worktree.orchestration.agents.rollout import Rollout, load_rollout, usage_of

_LIMIT = "hit your usage limit"
_END = r"try again at (?:(\w+ \d+)(?:st|nd|rd|th), (\d+) )?(\d+:\d+ [AP]M)"
"""A day, unless it is today, and a time."""


class CodexReader:
    """Reads Codex's events, and its own record below `home` for what they do not say."""

    def __init__(self, home: Path | None = None) -> None:
        self._home = home
        self._thread: str | None = None
        self._answer: str | None = None
        self._error: str | None = None
        self._warning: str | None = None
        self._turns = 0
        self._usage: object = None
        self._declined: list[str] = []
        self._edited: list[str] = []

    def read(self, line: bytes) -> None:
        document = document_of(line)
        match document.get("type"):
            case "thread.started":
                self._thread = text_at(document, "thread_id")
            case "item.completed":
                self._take_item(document)
            case "turn.completed":
                self._turns += 1
                self._usage, self._error = at(document, "usage"), None
            case "turn.failed":
                self._error = _message(text_at(document, "error", "message"))
            case "error":
                self._warning = text_at(document, "message")

    def _take_item(self, document: object) -> None:
        kind = text_at(document, "item", "type")
        if kind == "agent_message":
            self._answer = text_at(document, "item", "text")
        elif text_at(document, "item", "status") == "declined":
            self._declined.append(text_at(document, "item", "command") or str(kind))
        elif kind == "file_change":
            paths = [text_at(one, "path") for one in objects_at(document, "item", "changes")]
            self._edited += [path for path in paths if path is not None]

    def record(self, exit_code: int | None) -> Record:
        ended: Ended = "denied" if self._declined else "ok"
        error = self._error
        if error is None and (exit_code or not self._turns):
            error = self._warning or "it ended before its turn was over"
        if error is not None:
            ended = "killed" if exit_code is None and self._error is None else "error"
        if ended == "error" and _LIMIT in (error or ""):
            ended = "limit"
        rollout = self._rollout()
        return Record(
            ended,
            self._thread,
            rollout.model,
            turns=self._turns or None,
            tokens=usage_of(self._usage) if self._usage is not None else rollout.tokens,
            is_of_session=True,
            answer=self._answer,
            fault=fault_of(error) if ended == "error" else None,
            error=error,
            resume_at=_end_of_limit(error or "") if ended == "limit" else None,
            denied=tuple(self._declined),
            edited=tuple(dict.fromkeys(self._edited)),
        )

    def _rollout(self) -> Rollout:
        if self._home is None or self._thread is None:
            return Rollout()
        return load_rollout(self._home, self._thread)


def _message(text: str | None) -> str:
    """Return what an error says; it may be the whole document that a server sent."""
    inner = text_at(document_of((text or "").encode()), "error", "message")
    return inner or text or "the turn failed"


def _end_of_limit(message: str) -> float | None:
    """Return when a limit ends; it is said in this machine's time, without seconds."""
    found = re.search(_END, message)
    if found is None:
        return None
    day = f"{found[1]} {found[2]}" if found[1] else time.strftime("%b %d %Y")
    try:
        return time.mktime(time.strptime(f"{day} {found[3]}", "%b %d %Y %I:%M %p")) + 60
    except (ValueError, OverflowError):
        return None

"""OpenCode: `opencode run --format json`.

Shapes and traps: measured with 1.18.33. Tokens and cost are those of a step each, to be added up;
the exit code says little. What it was not allowed stands in the last line.
"""

from __future__ import annotations

from adw_worktree.orchestration.agents.faults import fault_of
from adw_worktree.orchestration.agents.fields import (
    added,
    at,
    count_at,
    document_of,
    number_at,
    text_at,
)
from adw_worktree.orchestration.agents.record import Ended, Record, Tokens


class OpenCodeReader:
    """Reads OpenCode's events."""

    def __init__(self) -> None:
        self._session: str | None = None
        self._answer: str | None = None
        self._error: str | None = None
        self._steps = 0
        self._is_over = False
        self._tokens = Tokens()
        self._cost: float | None = None
        self._denied: tuple[str, ...] = ()

    def read(self, line: bytes) -> None:
        document = document_of(line)
        self._session = text_at(document, "sessionID") or self._session
        match document.get("type"):
            case "text":
                self._answer = text_at(document, "part", "text") or self._answer
            case "step_finish":
                self._take_step(document)
            case "error":
                self._error = (
                    text_at(document, "error", "data", "message")
                    or text_at(document, "error", "name")
                    or "it failed"
                )
            case "done":
                rejected = at(document, "rejected")
                names = rejected if isinstance(rejected, list) else []
                self._denied = tuple(str(one)[:200] for one in names)

    def _take_step(self, document: object) -> None:
        self._steps += 1
        self._is_over = text_at(document, "part", "reason") != "tool-calls"
        cost = number_at(document, "part", "cost")
        if cost is not None:
            self._cost = cost + (self._cost or 0.0)
        paths = (("input",), ("cache", "read"), ("cache", "write"), ("output",), ("reasoning",))
        new = [count_at(document, "part", "tokens", *path) for path in paths]
        # Reasoning is told apart from the output here.
        new[3] = added(new[3], new[4])
        self._tokens = Tokens(*map(added, self._tokens, new))

    def record(self, exit_code: int | None) -> Record:
        ended: Ended = "denied" if self._denied else "ok"
        error = self._error
        if error is None and (exit_code != 0 or not self._is_over):
            error = "it ended in the middle of its work"
        if error is not None:
            ended = "killed" if exit_code is None and self._error is None else "error"
        return Record(
            ended,
            self._session,
            turns=self._steps or None,
            tokens=self._tokens,
            cost_usd=self._cost,
            cost_source="unknown" if self._cost is None else "reported",
            answer=self._answer,
            fault=fault_of(error) if ended == "error" else None,
            error=error,
            denied=self._denied,
        )

"""Gemini CLI: `gemini -p PROMPT -o stream-json`.

Shapes: read in its source (0.61), not run. No cost is said; `input_tokens` has the cached ones in
it. Exit codes tell what went wrong where the stream does not.
"""

from __future__ import annotations

from adw_worktree.orchestration.agents.faults import fault_of
from adw_worktree.orchestration.agents.fields import at, count_at, document_of, text_at
from adw_worktree.orchestration.agents.record import Ended, Fault, Record, Tokens

_EXIT_CODES: dict[int, Fault] = {41: "authentication", 42: "request", 52: "request"}
_TURNS = 53


class GeminiReader:
    """Reads Gemini CLI's events."""

    def __init__(self) -> None:
        self._session: str | None = None
        self._model: str | None = None
        self._said: list[str] = []
        self._error: str | None = None
        self._result: object = None

    def read(self, line: bytes) -> None:
        document = document_of(line)
        match document.get("type"):
            case "init":
                self._session = text_at(document, "session_id")
                self._model = text_at(document, "model")
            case "message":
                self._take_message(document)
            case "error" if document.get("severity") != "warning":
                self._error = text_at(document, "message")
            case "result":
                self._result = document

    def _take_message(self, document: dict[str, object]) -> None:
        text = text_at(document, "content")
        if text is None or document.get("role") not in ("assistant", "model"):
            return
        if not document.get("delta"):
            self._said.clear()
        self._said.append(text)

    def record(self, exit_code: int | None) -> Record:
        error = text_at(self._result, "error", "message") or self._error
        is_over = text_at(self._result, "status") == "success" and exit_code in (0, None)
        ended: Ended = "ok"
        if not is_over:
            ended = "turns" if exit_code == _TURNS else "killed" if exit_code is None else "error"
            error = error or "it ended without a result"
        fault = _EXIT_CODES.get(exit_code or 0) or fault_of(error)
        return Record(
            ended,
            self._session,
            self._model,
            tokens=self._tokens(),
            answer="".join(self._said) or None,
            fault=fault if ended == "error" else None,
            error=None if is_over else error,
        )

    def _tokens(self) -> Tokens:
        stats = at(self._result, "stats")
        taken, cached, output = (
            count_at(stats, name) for name in ("input_tokens", "cached", "output_tokens")
        )
        alone = None if taken is None else max(0, taken - (cached or 0))
        return Tokens(alone, cached, None, output, None)

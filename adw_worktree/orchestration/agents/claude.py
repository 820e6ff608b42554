"""Claude Code: `claude -p --output-format stream-json --verbose`.

Shapes and traps: measured with 2.1.197. An error has `is_error`, while `subtype` may say success;
`usage` is of the main loop alone, `modelUsage` of all; the last `result` has the totals.
"""

from __future__ import annotations

from typing import Any

from adw_worktree.orchestration.agents.faults import fault_of
from adw_worktree.orchestration.agents.fields import (
    added,
    at,
    count_at,
    document_of,
    number_at,
    objects_at,
    text_at,
    texts_at,
)
from adw_worktree.orchestration.agents.record import Ended, Record, Tokens

_SUBTYPES: dict[str | None, Ended] = {
    "error_max_turns": "turns",
    "error_max_budget_usd": "budget",
}


class ClaudeReader:
    """Reads Claude Code's stream."""

    def __init__(self) -> None:
        self._session: str | None = None
        self._model: str | None = None
        self._result: dict[str, Any] = {}
        self._resets: float | None = None
        self._is_limited = False

    def read(self, line: bytes) -> None:
        document = document_of(line)
        kind = document.get("type")
        self._session = text_at(document, "session_id") or self._session
        if kind == "system" and document.get("subtype") == "init":
            self._model = text_at(document, "model") or self._model
        elif kind == "rate_limit_event":
            self._resets = number_at(document, "rate_limit_info", "resetsAt")
            is_rejected = text_at(document, "rate_limit_info", "status") == "rejected"
            # Without an end it is no limit of the account: the server has too much to do.
            self._is_limited = is_rejected and self._resets is not None
        elif kind == "result":
            self._result = document

    @property
    def cost_usd(self) -> float | None:
        return number_at(self._result, "total_cost_usd")

    def record(self, exit_code: int | None) -> Record:
        result, cost = self._result, self.cost_usd
        ended = self._ended(exit_code)
        said = text_at(result, "result") or "; ".join(texts_at(result, "errors")) or None
        failed = ended not in ("ok", "denied")
        denied = [text_at(one, "tool_name") for one in objects_at(result, "permission_denials")]
        status = count_at(result, "api_error_status")
        return Record(
            ended,
            self._session,
            self._model,
            count_at(result, "num_turns"),
            self._tokens(),
            cost,
            "unknown" if cost is None else "reported",
            None if failed else said,
            fault_of(said, status) if ended == "error" else None,
            (said or "it ended without a result") if failed else None,
            self._resets if ended == "limit" else None,
            tuple(one for one in denied if one is not None),
        )

    def _ended(self, exit_code: int | None) -> Ended:
        if not self._result:
            return "killed" if exit_code is None else "limit" if self._is_limited else "error"
        subtype = text_at(self._result, "subtype")
        if subtype in _SUBTYPES:
            return _SUBTYPES[subtype]
        if self._result.get("is_error") or subtype != "success":
            return "limit" if self._is_limited else "error"
        return "denied" if objects_at(self._result, "permission_denials") else "ok"

    def _tokens(self) -> Tokens:
        """Return the tokens of all models together, of subagents, too."""
        by_model = at(self._result, "modelUsage")
        models = [*by_model.values()] if isinstance(by_model, dict) else []
        names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens")
        found = [added(*(count_at(model, name) for model in models)) for name in names]
        if any(one is not None for one in found):
            return Tokens(*found)
        usage = at(self._result, "usage")
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
                 "output_tokens")  # fmt: skip
        return Tokens(*(count_at(usage, name) for name in names))

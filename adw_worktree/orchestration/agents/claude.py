"""Claude Code: `claude -p --output-format stream-json --verbose`.

Shapes and traps: measured with 2.1.197. An error has `is_error`, while `subtype` may say success;
`usage` is of the main loop alone, `modelUsage` of all; the last `result` has the totals.
"""

from __future__ import annotations

import json
import re
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

_EDITORS = ("Edit", "MultiEdit", "NotebookEdit", "Write")
_BYTES_PER_TOKEN = 4
_COUNTS_SESSIONS = (2, 1, 277)
"""From this version on, the totals of a session that is resumed go on from those before."""
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
        self._messages: dict[str | None, Tokens] = {}
        """Tokens of each message: until the result comes, that is all there is."""
        self._edited: list[str] = []
        self._is_of_session = False

    def read(self, line: bytes) -> None:
        document = document_of(line)
        kind = document.get("type")
        self._session = text_at(document, "session_id") or self._session
        if kind == "system" and document.get("subtype") == "init":
            self._model = text_at(document, "model") or self._model
            self._is_of_session = _version(document) >= _COUNTS_SESSIONS
        elif kind == "rate_limit_event":
            self._resets = number_at(document, "rate_limit_info", "resetsAt")
            is_rejected = text_at(document, "rate_limit_info", "status") == "rejected"
            # Without an end it is no limit of the account: the server has too much to do.
            self._is_limited = is_rejected and self._resets is not None
        elif kind == "assistant":
            self._take_message(document)
        elif kind == "result":
            self._result = document

    def _take_message(self, document: object) -> None:
        found = _tokens(at(document, "message", "usage"))
        content = objects_at(document, "message", "content")
        # The stream begins with one token of output, whatever follows.
        size = len(json.dumps(content)) // _BYTES_PER_TOKEN
        name = text_at(document, "message", "id")
        before = self._messages.get(name, Tokens()).output or 0
        output = max(found.output or 0, before + size)
        self._messages[name] = found._replace(output=output)
        self._model = self._model or text_at(document, "message", "model")
        for part in content:
            path = text_at(part, "input", "file_path") or text_at(part, "input", "notebook_path")
            if path is not None and part.get("name") in _EDITORS:
                self._edited.append(path)

    def record(self, exit_code: int | None) -> Record:
        result, cost = self._result, number_at(self._result, "total_cost_usd")
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
            self._all_tokens(),
            cost,
            "unknown" if cost is None else "reported",
            None if failed else said,
            fault_of(said, status) if ended == "error" else None,
            (said or "it ended without a result") if failed else None,
            self._resets if ended == "limit" else None,
            tuple(one for one in denied if one is not None),
            self._is_of_session and bool(result),
            tuple(dict.fromkeys(self._edited)),
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

    def _all_tokens(self) -> Tokens:
        """Return the tokens of all models together, of subagents, too."""
        by_model = at(self._result, "modelUsage")
        models = [*by_model.values()] if isinstance(by_model, dict) else []
        names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens")
        found = Tokens(*(added(*(count_at(model, name) for model in models)) for name in names))
        if found.total is None:
            found = _tokens(at(self._result, "usage"))
        if found.total is None and not self._result:
            return Tokens(*map(added, *self._messages.values())) if self._messages else found
        return found


def _version(document: object) -> tuple[int, ...]:
    found = re.match(
        r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", text_at(document, "claude_code_version") or ""
    )
    return tuple(map(int, found.groups())) if found is not None else ()


def _tokens(usage: object) -> Tokens:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
             "output_tokens")  # fmt: skip
    return Tokens(*(count_at(usage, name) for name in names))

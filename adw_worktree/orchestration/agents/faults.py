"""What kind of error a status or a message is: whether another try has any sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from adw_worktree.orchestration.agents.record import Fault

_STATUSES: Mapping[int, Fault] = MappingProxyType(
    {400: "request", 401: "authentication", 403: "authentication", 404: "request",
     408: "connection", 413: "context", 422: "request", 429: "rate"}
)  # fmt: skip
_MESSAGES: tuple[tuple[str, Fault], ...] = (
    (r"context (window|length)|prompt is too long|too many tokens|maximum context", "context"),
    (r"\b401\b|\b403\b|unauthori[sz]ed|authenticat|api key|/login|not logged in", "authentication"),
    (r"\b429\b|rate.?limit|too many requests", "rate"),
    (r"\b5\d\d\b|overloaded|internal server error|bad gateway|unavailable|high demand", "server"),
    (r"connect|network|timed? ?out|stream|socket|disconnect|ECONN|EPIPE|DNS", "connection"),
    (r"\b4\d\d\b|invalid.request|bad request", "request"),
)


def fault_of(message: str | None, status: int | None = None) -> Fault:
    """Return the kind of an error, by its HTTP status if there is one, else by its words."""
    found = _by_words(message)
    if status is None:
        return found
    by_status = "server" if status >= 500 else _STATUSES.get(status, "request")
    # A prompt that is too long has the status of any bad request.
    return "context" if (by_status, found) == ("request", "context") else by_status


def _by_words(message: str | None) -> Fault:
    for pattern, fault in _MESSAGES:
        if message is not None and re.search(pattern, message, re.IGNORECASE):
            return fault
    return "unknown"


def may_pass(fault: Fault | None) -> bool:
    """Return whether an error of this kind may pass by itself."""
    return fault in ("connection", "server", "rate")

"""What kind of error a status or a message is: whether another try has any sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from adw_worktree.orchestration.agents.record import Fault, Record

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


_LIMITS = (
    r"(?<!not your )usage limit|hit your ([\w-]+ )?limit|limit reached|insufficient_quota"
    r"|quota exceeded|exceeded your current quota|credit balance is too low|out of (usage )?credits"
)
_SPAN = r"try again in (?:(\d+) days?)?[ ,]*(?:(\d+) hours?)?[ ,]*(?:(\d+) minutes?)?"


def limited(record: Record, now: float) -> Record:
    """Return the record as one of a limit, if its message says that the account has met one."""
    if (
        record.ended != "error"
        or record.error is None
        or not re.search(_LIMITS, record.error, re.IGNORECASE)
    ):
        return record
    resume_at = record.resume_at or end_of_limit(record.error, now)
    return record._replace(ended="limit", fault=None, resume_at=resume_at)


def end_of_limit(message: str, now: float) -> float | None:
    """Return when a limit ends by its message, in seconds since 1970; None if it does not say.

    A time of day without a zone says nothing: it is not ours.
    """
    stamp = re.search(r"\|(\d{10})\b", message)
    if stamp is not None:
        return float(stamp[1])
    span = re.search(_SPAN, message, re.IGNORECASE)
    if span is None or not any(span.groups()):
        return None
    days, hours, minutes = (int(part or 0) for part in span.groups())
    return now + 86400 * days + 3600 * hours + 60 * minutes

"""Whether an address of the web answers, as one looks at what has landed."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException

from adw_worktree.orchestration.gates.finding import Finding
from adw_worktree.system.web import without_redirections

_ANSWER_SECONDS = 10.0


def check_address(address: str) -> Finding:
    """Return whether an address answers with 2xx or 3xx."""
    request = urllib.request.Request(address, headers={"User-Agent": "adw-worktree"})
    try:
        with without_redirections().open(request, timeout=_ANSWER_SECONDS) as answer:
            return Finding("pass", f"{address} answers {answer.status}")
    except urllib.error.HTTPError as exc:
        leads_on = 300 <= exc.code < 400
        return Finding("pass" if leads_on else "fail", f"{address} answers {exc.code}")
    except (OSError, HTTPException, ValueError) as exc:
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        return Finding("fail", f"{address} does not answer: {reason}")

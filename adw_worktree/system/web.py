"""Requests to addresses of the web, by Python's own client."""

from __future__ import annotations

import urllib.request
from typing import Any


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirection."""

    def redirect_request(self, *_: Any) -> None:
        return None


def without_redirections() -> urllib.request.OpenerDirector:
    """Return what opens an address, and goes nowhere else: a redirection is an HTTPError."""
    return urllib.request.build_opener(_StayHere)

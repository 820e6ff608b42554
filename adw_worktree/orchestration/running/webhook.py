"""Posting an event to a server, signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import NamedTuple

from adw_worktree.orchestration.store.deliveries import NotDelivered
from adw_worktree.system.web import without_redirections

ANSWER_SECONDS = 10.0


class Message(NamedTuple):
    """What is posted."""

    id: str
    """The same each time that it is tried."""
    body: bytes


def post(message: Message, address: str, secret: str | None) -> None:
    """Post a message, signed as https://www.standardwebhooks.com has it.

    Raises NotDelivered, unless the answer is 2xx.
    """
    request = urllib.request.Request(address, data=message.body, method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", "adw-worktree")
    for name, value in signed(message, int(time.time()), secret).items():
        request.add_header(name, value)
    try:
        # What is signed for one address is not sent to another.
        with without_redirections().open(request, timeout=ANSWER_SECONDS):
            return
    except urllib.error.HTTPError as exc:
        raise NotDelivered(f"{address} answered {exc.code}") from exc
    except (OSError, HTTPException, ValueError) as exc:
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        raise NotDelivered(f"{address} cannot be reached: {reason}") from exc


def signed(message: Message, seconds: int, secret: str | None) -> dict[str, str]:
    """Return the headers of a message that is sent at `seconds` since 1970."""
    headers = {"webhook-id": message.id, "webhook-timestamp": str(seconds)}
    if secret is not None:
        content = f"{message.id}.{seconds}.".encode() + message.body
        digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def _key(secret: str) -> bytes:
    """Return the key that a secret stands for: `whsec_` and base64, or the text as it is."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"))
    return secret.encode()

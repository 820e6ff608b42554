"""The two ways in: a link, on a machine that belongs to one person; a log-in, where users are."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from adw_worktree.board.access.accounts import (
    RENEWED_SECONDS,
    SESSION_SECONDS,
    Accounts,
)
from adw_worktree.board.access.cookies import read_cookie, set_cookie
from adw_worktree.board.access.keys import SESSION_SECONDS as KEY_SECONDS
from adw_worktree.board.access.keys import Keys
from adw_worktree.board.access.limits import Requests
from adw_worktree.board.access.places import Place
from adw_worktree.board.access.visitor import Visitor
from adw_worktree.orchestration.store.opening import kept_store

AUTH = "/api/v1/auth/"
_CLOSED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>adw-worktree board</title>
<h1>This board opens with a link</h1>
<p>Run <code>adw-worktree board --open</code> on the machine that it runs on. It prints a link that
is good for one browser, for ten minutes.</p></html>
"""


class Entrance(Protocol):
    """How somebody gets in."""

    hint: str
    """What who has no key is to do."""

    def is_open(self, path: str) -> bool:
        """Return whether a path answers to everybody."""

    def follow(self, scope: Scope) -> Response | None:
        """Return the answer to a link; None to a request without one."""

    async def visitor(self, headers: Headers) -> Visitor | None:
        """Return who shows that key; None if it is none. Raises StoreError."""

    def page(self, scope: Scope) -> Response:
        """Return what a person without a key sees."""

    def seconds_to_wait(self, visitor: Visitor) -> int | None:
        """Count a request; return how long to wait if there were too many, or None."""

    def renew(self, visitor: Visitor, answer: Response) -> None:
        """Give a browser that has been here for a while a new key."""


class LinkEntrance:
    """Whoever can read the state directory follows a link; a cookie keeps the browser in."""

    hint = (
        "adw-worktree board (prints a link that opens it); programs send the token of "
        "adw-worktree board token"
    )

    def __init__(self, keys: Keys, place: Place) -> None:
        self._keys, self._place = keys, place

    def is_open(self, path: str) -> bool:
        return False

    def follow(self, scope: Scope) -> Response | None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        [link] = query.pop("link", [""])[-1:]
        if not link:
            return None
        if not self._keys.follow(link):
            return self.page(scope)
        rest = urlencode(query, doseq=True)
        answer = RedirectResponse(f"/?{rest}" if rest else "/", 303)
        set_cookie(answer, self._place, self._keys.session(), KEY_SECONDS)
        return answer

    async def visitor(self, headers: Headers) -> Visitor | None:
        token = bearer(headers)
        if token:
            return Visitor() if self._keys.is_program(token) else None
        return Visitor() if self._keys.is_session(read_cookie(headers, self._place)) else None

    def page(self, scope: Scope) -> Response:
        return HTMLResponse(_CLOSED, 401)

    def seconds_to_wait(self, visitor: Visitor) -> int | None:
        return None

    def renew(self, visitor: Visitor, answer: Response) -> None:
        pass


class LoginEntrance:
    """Users log in; programs of the machine's owner have the token of the state directory."""

    hint = "log in; programs send the `token` of POST /api/v1/auth/login"

    def __init__(self, keys: Keys, accounts: Accounts, place: Place, state_dir: Path) -> None:
        self._keys, self._accounts, self._place = keys, accounts, place
        self._state_dir = state_dir
        self._requests = Requests()

    def is_open(self, path: str) -> bool:
        known = ("/login", "/register", f"{AUTH}login", f"{AUTH}register")
        return path in known or path.startswith("/static/")

    def follow(self, scope: Scope) -> Response | None:
        return None

    async def visitor(self, headers: Headers) -> Visitor | None:
        token = bearer(headers)
        if token and self._keys.is_program(token):
            return Visitor()
        shown = token or read_cookie(headers, self._place)
        return await asyncio.to_thread(self._user, shown) if shown else None

    def _user(self, token: str) -> Visitor | None:
        return self._accounts.visitor(kept_store(self._state_dir), token)

    def page(self, scope: Scope) -> Response:
        return RedirectResponse(f"/login?next={quote(scope['path'])}", 303)

    def seconds_to_wait(self, visitor: Visitor) -> int | None:
        user = visitor.user
        return self._requests.seconds_to_wait(user.id) if user is not None else None

    def renew(self, visitor: Visitor, answer: Response) -> None:
        if visitor.user is None or visitor.expires is None:
            return
        if visitor.expires - time.time() < SESSION_SECONDS - RENEWED_SECONDS:
            session = self._accounts.session(visitor.user)
            set_cookie(answer, self._place, session.token, SESSION_SECONDS)


def bearer(headers: Headers) -> str:
    """Return the token that a program sends; an empty text if it sends none."""
    return headers.get("authorization", "").removeprefix("Bearer ")

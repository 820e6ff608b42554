"""Who may use the board. It stands before everything that the board answers.

What holds here: no key, no answer, also for a WebSocket. The names in `Host` and `Origin` are
checked, so that no other page reaches the board through the browser of somebody who may use it:
neither by a name that is pointed at this machine, nor by a form or a script of its own.
"""

from __future__ import annotations

import logging
import time
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adw_worktree.board.access.keys import SESSION_SECONDS, Keys

_log = logging.getLogger(__name__)
HOOK_PATH = "/workflow-complete"
"""Takes a report that is signed, too: its route sees to that."""
_OPEN_PATHS = ("/health",)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_DOOR = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>adw-worktree board</title>
<h1>This board opens with a link</h1>
<p>Run <code>adw-worktree board --open</code> on the machine that it runs on. It prints a link that
is good for one browser, for ten minutes.</p></html>
"""


class Place(NamedTuple):
    """Where the board answers."""

    hosts: frozenset[str]
    """Names with ports, as browsers send them in `Host`."""
    cookie: str
    """The name of the cookie. Browsers send a cookie to every port of a name: it has the port."""


def place_of(port: int, names: tuple[str, ...] = ()) -> Place:
    """Return the place of a board on this machine; `names` are further ones, with their ports."""
    own = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    return Place(frozenset({*own, *names}), f"adw-board-{port}")


class Door:
    """Lets in who has a key, and gives every answer the headers that browsers heed."""

    def __init__(self, app: ASGIApp, keys: Keys, place: Place, *, read_only: bool) -> None:
        self._app, self._keys, self._place, self._read_only = app, keys, place, read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope)
        if scope["type"] == "websocket":
            if answer is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                # Refused before it is accepted: the browser sees a 403.
                await send({"type": "websocket.close", "code": 1008})
            return

        began = time.perf_counter()

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _log.info("request", extra={"request": {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": message["status"],
                    "ms": round((time.perf_counter() - began) * 1000, 1),
                }})  # fmt: skip
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (self._app if answer is None else answer)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that does not come in; None to one that does."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._place.hosts:
            return refusal(421, "unknown-host", f"this board does not answer to the name {host!r}",
                           "adw-worktree board (prints the address)")  # fmt: skip
        path, is_get = scope["path"], scope.get("method") == "GET"
        if path in _OPEN_PATHS:
            return None
        if is_get and path == "/" and (entry := self._entry(scope)) is not None:
            return entry
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token and self._keys.is_program(token):
            return self._unless_read_only(scope)
        if path == HOOK_PATH and "webhook-signature" in headers:
            scope.setdefault("state", {})["is_stranger"] = True
            return self._unless_read_only(scope)
        if not self._keys.is_session(_cookie(headers, self._place.cookie)):
            is_person = is_get and "text/html" in headers.get("accept", "")
            return _door() if is_person else refusal(
                401, "no-key", "the board answers only to who has a key",
                "adw-worktree board (prints a link that opens it); programs send the token of "
                "adw-worktree board token")  # fmt: skip
        is_change = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if is_change and not self._is_own(headers):
            return refusal(403, "other-origin", "the request does not come from the board's page",
                           "programs send the token of adw-worktree board token")  # fmt: skip
        return self._unless_read_only(scope)

    def _entry(self, scope: Scope) -> Response | None:
        """Return the answer to a link; None to a request without one."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        [link] = query.pop("link", [""])[-1:]
        if not link:
            return None
        if not self._keys.follow(link):
            return _door()
        rest = urlencode(query, doseq=True)
        answer = RedirectResponse(f"/?{rest}" if rest else "/", 303)
        answer.set_cookie(
            self._place.cookie,
            self._keys.session(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _is_own(self, headers: Headers) -> bool:
        origin = headers.get("origin", "")
        scheme, _, host = origin.partition("://")
        return scheme in ("http", "https") and host == headers.get("host")

    def _unless_read_only(self, scope: Scope) -> Response | None:
        if self._read_only and scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
            return refusal(403, "read-only", "this board shows, and changes nothing",
                           "start it without --read-only")  # fmt: skip
        return None


def refusal(status: int, code: str, message: str, hint: str) -> JSONResponse:
    """Return an answer that says why there is none."""
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status)


def _door() -> HTMLResponse:
    return HTMLResponse(_DOOR, 401)


def _cookie(headers: Headers, name: str) -> str:
    """Return the value of a cookie; an empty text if there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""

"""Who may use the board. It stands before everything that the board answers.

What holds here: no key, no answer, also for a WebSocket. The names in `Host` and `Origin` are
checked, so that no other page reaches the board through the browser of somebody who may use it:
neither by a name that is pointed at this machine, nor by a form or a script of its own.
"""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adw_worktree.board.access.denied import Denied, TooLong, TooMany
from adw_worktree.board.access.entrances import AUTH, Entrance, bearer
from adw_worktree.board.access.places import Place
from adw_worktree.board.access.visitor import Visitor
from adw_worktree.errors import AdwError

_log = logging.getLogger(__name__)
HOOK_PATH = "/workflow-complete"
"""Takes a report that is signed, too: its route sees to that."""
_OPEN_PATHS = ("/health",)
_MOST_BYTES = 17 * 1024 * 1024
"""A plan has at most four million characters."""
_MOST_STRANGE_BYTES = 64 * 1024
"""From who has shown no key."""
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


class Door:
    """Lets in who has a key, and gives every answer the headers that browsers heed."""

    def __init__(self, app: ASGIApp, entrance: Entrance, place: Place, *, read_only: bool) -> None:
        self._app, self._entrance, self._place = app, entrance, place
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        try:
            answer, visitor = await self._look(scope)
        except AdwError as exc:  # the store cannot be used
            answer, visitor = JSONResponse({"error": exc.as_document()}, 503), None
        scope.setdefault("state", {})["visitor"] = visitor
        if scope["type"] == "websocket":
            if answer is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                # Refused before it is accepted: the browser sees a 403.
                await send({"type": "websocket.close", "code": 1008})
            return

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
                if self._place.is_secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                if visitor is not None and answer is None:
                    self._renew(scope, visitor, headers)
            await send(message)

        most = _MOST_STRANGE_BYTES if visitor is _STRANGER else _MOST_BYTES
        await (answer or self._app)(scope, _at_most(most, receive), send_guarded)

    def _renew(self, scope: Scope, visitor: Visitor, headers: MutableHeaders) -> None:
        """Give a browser a new key in time; programs ask for one themselves."""
        if bearer(Headers(scope=scope)) or scope["path"].startswith(AUTH):
            return
        renewed = Response()
        self._entrance.renew(visitor, renewed)
        for cookie in renewed.headers.getlist("set-cookie"):
            headers.append("set-cookie", cookie)

    async def _look(self, scope: Scope) -> tuple[Response | None, Visitor | None]:
        """Return the answer to who does not come in, or None, and who it is that comes in."""
        headers = Headers(scope=scope)
        path, is_get = scope["path"], scope.get("method") == "GET"
        if (elsewhere := self._elsewhere(headers)) is not None:
            return elsewhere, None
        if path in _OPEN_PATHS:
            return None, _STRANGER
        if is_get and path == "/" and (entry := self._entrance.follow(scope)) is not None:
            return entry, None
        if self._entrance.is_open(path):
            is_foreign = _is_change(scope) and "origin" in headers and not self._is_own(headers)
            return (_other_origin() if is_foreign else None), _STRANGER
        if path == HOOK_PATH and "webhook-signature" in headers and not bearer(headers):
            return self._forbidden(scope, Visitor()), _STRANGER
        visitor = await self._entrance.visitor(headers)
        if visitor is None:
            is_person = is_get and "text/html" in headers.get("accept", "")
            return (
                self._entrance.page(scope)
                if is_person
                else refusal(401, "no-key", "the board answers only to who has a key",
                             self._entrance.hint)
            ), None  # fmt: skip
        if _is_change(scope) and not bearer(headers) and not self._is_own(headers):
            return _other_origin(), None
        if (seconds := self._entrance.seconds_to_wait(visitor)) is not None:
            return TooMany("requests", seconds).answer(), None
        return self._forbidden(scope, visitor), visitor

    def _elsewhere(self, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if host in self._place.hosts:
            return None
        return refusal(421, "unknown-host", f"this board does not answer to the name {host!r}",
                       "adw-worktree board (prints the address)")  # fmt: skip

    def _is_own(self, headers: Headers) -> bool:
        """Return whether a request comes from the board's own page."""
        scheme, _, host = headers.get("origin", "").partition("://")
        schemes = ("https",) if self._place.is_secure else ("http", "https")
        return scheme in schemes and host == headers.get("host")

    def _forbidden(self, scope: Scope, visitor: Visitor) -> Response | None:
        """Return the answer to a change that is not to be made."""
        is_change = scope["type"] == "http" and scope["method"] not in _SAFE_METHODS
        if not is_change or scope["path"].startswith(AUTH):
            return None
        if self._read_only:
            return refusal(403, "read-only", "this board shows, and changes nothing",
                           "start it without --read-only")  # fmt: skip
        if not visitor.may_change:
            return refusal(403, "not-allowed", "your account shows, and changes nothing",
                           "ask an admin of this board for the role of a member")  # fmt: skip
        return None


_STRANGER = Visitor(is_stranger=True)


def refusal(status: int, code: str, message: str, hint: str) -> JSONResponse:
    """Return an answer that says why there is none."""
    return Denied(status, code, message, hint).answer()


def _other_origin() -> Response:
    return refusal(403, "other-origin", "the request does not come from the board's page",
                   "programs send a token, and no cookie")  # fmt: skip


def _at_most(most: int, receive: Receive) -> Receive:
    """Return what receives a request that is not longer than so many bytes. Raises TooLong."""
    left = most

    async def received() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise TooLong(most)
        return message

    return received


def _is_change(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS

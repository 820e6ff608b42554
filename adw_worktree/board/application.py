"""The application: its routes, its errors, and the door before them."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match, Route

from adw_worktree._version import __version__
from adw_worktree.board.access.denied import Denied
from adw_worktree.board.access.door import Door, refusal
from adw_worktree.board.access.entrances import Entrance, LinkEntrance, LoginEntrance
from adw_worktree.board.contents.board import Board
from adw_worktree.board.contents.documents import Refusal
from adw_worktree.board.page import add_page
from adw_worktree.board.routes import (
    auth,
    features,
    hook,
    hosts,
    machine,
    metrics,
    people,
    queue,
    socket,
)
from adw_worktree.errors import AdwError

_log = logging.getLogger(__name__)
_ABOUT = "Features, phases and slots of agent workflows. See docs/board.md."
_STATUSES = {
    "unknown-phase": 404,
    "unknown-adw": 404,
    "not-a-repository": 404,
    "hook-untrusted": 403,
    "plan-invalid": 422,
    "usage": 422,
    "unexpected": 500,
    "error": 500,
    "file-unusable": 503,
    "lock-timeout": 503,
    "store": 503,
    "store-too-new": 503,
}
"""HTTP statuses of errors, by their codes."""
_THREADS = 8
"""Requests that are answered at once. Each more takes memory, and time from the others."""
_CANNOT_BE_DONE_NOW = 409
_NO_SUCH_METHOD = 405
_REFUSALS = ("400", "401", "403", "404", "409", "413", "421", "422", "429", "503")
"""What every route may answer."""
_HTTP = {
    401: ("no-key", "sign it with the secret of adw-worktree board hook-secret"),
    404: ("unknown-address", "see /docs for what there is"),
    405: ("unknown-method", "see /docs for what there is"),
}
"""Codes and hints of what is refused before it is looked at."""


def application(board: Board) -> FastAPI:
    """Return the application of a board."""
    with_users = () if board.accounts is None else (auth.router, people.router)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = _THREADS
        gc.collect()
        gc.freeze()  # what is there now stays: to look it through again and again takes long
        async with board.live.following():
            yield

    app = FastAPI(
        title="adw-worktree board",
        description=_ABOUT,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses={code: {"model": Refusal} for code in _REFUSALS},
    )
    app.state.board = board
    for router in (features.router, queue.router, machine.router, hosts.router, *with_users):
        app.include_router(router, prefix="/api/v1")
    app.include_router(machine.health_router)
    app.include_router(hook.router)
    app.include_router(metrics.router)
    app.include_router(socket.router)
    add_page(app)
    _add_errors(app)
    app.add_middleware(Door, _entrance(board), board.place, read_only=board.read_only)
    return app


def _entrance(board: Board) -> Entrance:
    if board.accounts is None:
        return LinkEntrance(board.keys, board.place)
    return LoginEntrance(board.keys, board.accounts, board.place, board.state_dir)


def _methods(request: Request) -> set[str]:
    """Return the methods that the address of a request has."""
    routes = [one for one in request.app.routes if isinstance(one, Route)]
    there = [one for one in routes if one.matches(request.scope)[0] != Match.NONE]
    return {method for one in there for method in one.methods or ()}


def _add_errors(app: FastAPI) -> None:
    """Have every error answered in the same form."""

    @app.exception_handler(AdwError)
    def failed(_: Request, exc: AdwError) -> JSONResponse:
        status = _STATUSES.get(exc.code, _CANNOT_BE_DONE_NOW)
        return JSONResponse({"error": exc.as_document()}, status)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, exc: RequestValidationError) -> JSONResponse:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return refusal(422, "usage", f"{place}: {first['msg']}", "see /docs for what is asked for")

    @app.exception_handler(Denied)
    def denied(_: Request, exc: Denied) -> JSONResponse:
        return exc.answer()

    @app.exception_handler(UnicodeEncodeError)
    def half_a_character(_: Request, exc: UnicodeEncodeError) -> JSONResponse:
        return refusal(422, "usage", "a text has half a character in it", "send whole ones")

    @app.exception_handler(HTTPException)
    def unknown(request: Request, exc: HTTPException) -> JSONResponse:
        code, hint = _HTTP.get(exc.status_code, ("usage", "see /docs for what there is"))
        answer = refusal(exc.status_code, code, exc.detail, hint)
        if exc.status_code == _NO_SUCH_METHOD:
            answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
        return answer

    @app.exception_handler(Exception)
    def unexpected(_: Request, exc: Exception) -> JSONResponse:
        _log.error("unexpected: %s", exc, exc_info=exc)
        message = f"an unexpected error: {type(exc).__name__}"
        return refusal(500, "unexpected", message, "report it, with what the board has logged")

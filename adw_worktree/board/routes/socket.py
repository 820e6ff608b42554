"""The WebSocket: what happens, as it happens, and logs as they grow."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.followed_log import FollowedLog
from adw_worktree.board.contents.live import Listener
from adw_worktree.errors import AdwError, FileUnusable, UsageError

router = APIRouter()
_log = logging.getLogger(__name__)
_MOST_CHARACTERS = 4096
_MOST_LOGS = 4
SESSION_OVER = 4401
"""Why a connection is closed: its user has logged out, or has another role."""
TRY_LATER = 1013


@router.websocket("/ws/queue")
async def follow_queue(
    socket: WebSocket,
    board: Here,
    seen: Annotated[int | None, Query(ge=0, le=10**15)] = None,
) -> None:
    """Send a snapshot, or what came after the event `seen`; then all that happens.

    A client may send `{"type": "subscribe", "log": "login.3"}`, and `unsubscribe`.
    """
    await socket.accept()
    if board.live.is_full_for(board.visitor):
        await socket.close(TRY_LATER)
        return
    listener = board.live.listen(board.visitor)
    talk = _Talk(socket, board)
    try:
        await board.live.see_to_session(listener)
        for message in await board.live.missed(board.visitor.viewer, seen):
            await talk.send(message)
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(talk.hear())
            telling = tasks.create_task(_tell(talk, board, listener))
            ending = tasks.create_task(_end_in_time(talk, board, listener))
            hearing.add_done_callback(lambda _: telling.cancel())
            hearing.add_done_callback(lambda _: ending.cancel())
    except* WebSocketDisconnect:
        pass
    except* AdwError as failed:
        _log.warning("a connection is closed: %s", failed.exceptions[0])
        with suppress(RuntimeError):
            await socket.close(TRY_LATER)
    finally:
        board.live.leave(listener)
        await talk.end()


async def _tell(talk: _Talk, board: Board, listener: Listener) -> None:
    while True:
        message = await listener.take()
        if message is None:
            await talk.look_again()
            [message] = await board.live.missed(board.visitor.viewer, None)
        await talk.send(message)


async def _end_in_time(talk: _Talk, board: Board, listener: Listener) -> None:
    """Close the connection once the session is over that it was opened with."""
    expires = board.visitor.expires
    seconds = expires - time.time() if expires is not None else None
    with suppress(TimeoutError):
        await asyncio.wait_for(listener.cut.wait(), seconds)
    await talk.close()


class _Talk:
    """One client, and the logs that it follows."""

    def __init__(self, socket: WebSocket, board: Board) -> None:
        self._socket, self._board = socket, board
        self._sending = asyncio.Lock()
        self._logs: dict[str, asyncio.Task[None]] = {}

    async def send(self, message: str) -> None:
        """Send a message. Raises WebSocketDisconnect."""
        async with self._sending:
            try:
                await self._socket.send_text(message)
            except RuntimeError as exc:  # it was closed just now
                raise WebSocketDisconnect(1006) from exc

    async def hear(self) -> None:
        """Do what the client asks for, until it leaves."""
        while True:
            try:
                text = await self._socket.receive_text()
            except (WebSocketDisconnect, KeyError):
                return
            try:
                await self._answer(text)
            except AdwError as exc:
                await self.send(json.dumps({"type": "error", "data": exc.as_document()}))

    async def close(self) -> None:
        """Tell the client that its session is over, and send nothing more."""
        async with self._sending:
            with suppress(RuntimeError):
                await self._socket.close(SESSION_OVER)

    async def look_again(self) -> None:
        """Follow no log any more that may not be seen any more."""
        for name, task in list(self._logs.items()):
            try:
                await asyncio.to_thread(self._last_attempt, name)
            except AdwError:
                task.cancel()
                if self._logs.get(name) is task:
                    del self._logs[name]

    async def end(self) -> None:
        """Follow no log any more."""
        for task in self._logs.values():
            task.cancel()
        await asyncio.gather(*self._logs.values(), return_exceptions=True)

    async def _answer(self, text: str) -> None:
        kind, name = _asked(text)
        before = self._logs.pop(name, None)
        if before is not None:
            before.cancel()
        if kind == "unsubscribe":
            return
        if len(self._logs) >= _MOST_LOGS:
            raise UsageError(
                f"{_MOST_LOGS} logs are followed at once", hint="unsubscribe from one of them"
            )
        token = await asyncio.to_thread(self._last_attempt, name)
        log = FollowedLog(self._board.state_dir, name, token)
        self._logs[name] = asyncio.create_task(self._follow(name, log))

    async def _follow(self, name: str, log: FollowedLog) -> None:
        try:
            await log.follow(self.send)
        except OSError as exc:  # too many files are open
            failed = FileUnusable.because(f"the log of {name} cannot be followed", exc)
            await self.send(json.dumps({"type": "error", "data": failed.as_document()}))

    def _last_attempt(self, name: str) -> str:
        with self._board.store() as database:
            _, _, tried = self._board.tried(database, name)
        if not tried:
            raise UsageError(f"{name} has not run yet", hint="subscribe once it runs")
        return tried[-1].token


def _asked(text: str) -> tuple[str, str]:
    """Return what a client asks for, and of which log. Raises UsageError."""
    hint = 'send {"type": "subscribe", "log": "login.3"}'
    if len(text) > _MOST_CHARACTERS:
        raise UsageError("the message is too long", hint=hint)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    kind, name = (
        (message.get("type"), message.get("log")) if isinstance(message, dict) else (None, None)
    )
    # Half a character is not printable.
    is_named = isinstance(name, str) and name.isprintable()
    if kind not in ("subscribe", "unsubscribe") or not is_named:
        raise UsageError("the message cannot be understood", hint=hint)
    return str(kind), str(name)

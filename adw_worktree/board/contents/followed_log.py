"""A log that is sent as it grows: woken by the kernel, never by a clock."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from adw_worktree.board.contents.logs import MOST_BYTES, log_names, log_tail, read_part
from adw_worktree.errors import AdwError
from adw_worktree.orchestration.runs.far_logs import AGAIN_SECONDS, fetch_logs, is_far
from adw_worktree.orchestration.runs.run_directory import run_directory
from adw_worktree.orchestration.store.opening import kept_store
from adw_worktree.orchestration.store.records import attempts
from adw_worktree.system.file_watch import woken_by_writes

_READ_BYTES = 65536
_MOST_BEHIND = 4 * 1024 * 1024
"""What is written faster than anybody reads it is left out, but for its end."""

Send = Callable[[str], Awaitable[None]]


class FollowedLog:
    """The logs of one attempt, and how far they were sent."""

    def __init__(self, state_dir: Path, name: str, token: str) -> None:
        self._state_dir, self._name, self._token = state_dir, name, token
        self._directory = run_directory(state_dir, token).path
        self._sent: dict[str, int] = {}

    async def follow(self, send: Send) -> None:
        """Send the end of the last log, then what is added to it and to those that come after.

        Ends when the directory of the attempt is deleted.
        """
        with suppress(FileNotFoundError):
            await self._follow(send)

    async def _follow(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        written = asyncio.Event()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with woken_by_writes(self._directory) as woken:

            def hear() -> None:
                with suppress(BlockingIOError):
                    os.read(woken, _READ_BYTES)
                written.set()

            loop.add_reader(woken, hear)
            fetching = asyncio.create_task(self._keep_fetching())
            try:
                for message in await asyncio.to_thread(self._begin):
                    await send(message)
                while True:
                    for message in await asyncio.to_thread(self._more):
                        await send(message)
                    await written.wait()
                    written.clear()
            finally:
                fetching.cancel()
                loop.remove_reader(woken)

    async def _keep_fetching(self) -> None:
        """Have what is printed on another host come here, as long as somebody follows."""
        while not await asyncio.to_thread(self._fetch):
            await asyncio.sleep(AGAIN_SECONDS)

    def _fetch(self) -> bool:
        """Fetch what another host has; return whether nothing comes any more."""
        try:
            database = kept_store(self._state_dir)
            found = attempts(database, "token = ?", [self._token])
            if not found or not is_far(database, self._state_dir, found[0]):
                return True
            fetch_logs(database, self._state_dir, found[0])
        except AdwError:
            return False  # the store is away
        return found[0].ended_at is not None

    def _begin(self) -> list[str]:
        """Return the end of what was printed; what came before it is for who asks for it."""
        parts = log_tail(self._state_dir, self._token)
        for part in parts:
            self._sent[part.log] = part.end
        for name in log_names(self._state_dir, self._token):
            self._sent.setdefault(name, (self._directory / name).stat().st_size)
        return [self._message(part.log, part.start, part.text) for part in parts]

    def _more(self) -> list[str]:
        """Return what was written since the last time, at most one piece of each log at once."""
        messages = []
        for name in log_names(self._state_dir, self._token):
            size = (self._directory / name).stat().st_size
            if size - self._sent.get(name, 0) > _MOST_BEHIND:
                self._sent[name] = size - MOST_BYTES
            while True:
                start = self._sent.get(name, 0)
                data, first = read_part(self._directory / name, start, start + MOST_BYTES)
                if not data:
                    break
                self._sent[name] = first + len(data)
                messages.append(self._message(name, first, data.decode(errors="replace")))
        return messages

    def _message(self, log: str, start: int, text: str) -> str:
        data = {"name": self._name, "attempt": self._token, "log": log, "start": start}
        return json.dumps({"type": "log", "data": {**data, "text": text}})

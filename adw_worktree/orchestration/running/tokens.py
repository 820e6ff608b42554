"""Taking this host's tokens: a worker of procrastinate, in a thread of the coordinator.

What holds here: a token has the coordinator look, and is done. The worker is begun again whenever
it ends, and the coordinator looks after each beginning: a token may have been missed.

The coordinator looks as soon as the notification of a token is there, and does not wait for the job
to be fetched. The worker is told of it once more a moment later: procrastinate 3.10 forgets a
notification that comes while it finds no job (`_fetch_and_process_jobs` clears its event after the
answer), and would leave the token, and with it those after it, for up to five seconds.

A task that comes once a minute is registered, for two reasons: it is the net under leases and
wake-ups; and without one a worker's listener ends for good when the server is first restarted
(procrastinate#1597).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

import procrastinate
from procrastinate.connector import Notify
from procrastinate.exceptions import ProcrastinateException

from adw_worktree.orchestration.store.postgres import with_patience
from adw_worktree.orchestration.store.tokens import TASK, queue_of

_NOISY = ("procrastinate", "psycopg.pool")
"""They log each outage, with a traceback; the coordinator says once that the store is away."""
_POLL_SECONDS = 5.0
"""procrastinate looks by itself so often, beside hearing of each token."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_GRACE_SECONDS = 1.0
_ONCE_MORE_SECONDS = 0.03


class _Connector(procrastinate.PsycopgConnector):
    """A connector that tells of each notification at once, and the worker of it twice."""

    look: Callable[[], object]

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        again: set[asyncio.Task[None]] = set()

        async def once_more(channel: str, payload: str) -> None:
            await asyncio.sleep(_ONCE_MORE_SECONDS)
            await on_notification(channel=channel, payload=payload)

        async def hear(*, channel: str, payload: str) -> None:
            self.look()
            await on_notification(channel=channel, payload=payload)
            task = asyncio.ensure_future(once_more(channel, payload))
            again.add(task)
            task.add_done_callback(again.discard)

        try:
            await super().listen_notify(hear, channels)
        finally:
            for task in again:
                task.cancel()


class Tokens:
    """A thread that calls `look` for each token of a host, and once a minute."""

    def __init__(self, url: str, host: str, look: Callable[[], object]) -> None:
        self._url, self._host, self._look = url, host, look
        self._loop = asyncio.new_event_loop()
        self._worker: asyncio.Task[None] | None = None
        self._stopping = False
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more tokens."""
        self._stopping = True
        with suppress(RuntimeError):  # it has just ended by itself
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(_GRACE_SECONDS * 3)

    def _cancel(self) -> None:
        if self._worker is not None:
            self._worker.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work())
        finally:
            self._loop.close()

    async def _work(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping:
            self._worker = asyncio.ensure_future(self._work_once())
            try:
                await self._worker
                pause = _FIRST_PAUSE_SECONDS
            except asyncio.CancelledError:
                continue
            except (ProcrastinateException, OSError):
                pass  # the server is away
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _work_once(self) -> None:
        """Take tokens until the worker ends, which it does when the server goes away."""
        connector = _Connector(
            conninfo=with_patience(self._url),
            min_size=1,
            max_size=3,
            kwargs={"prepare_threshold": None},
        )
        connector.look = self._look
        app = procrastinate.App(connector=connector)
        queue = queue_of(self._host)

        @app.task(name=TASK, queue=queue)
        async def look() -> None:
            self._look()

        @app.periodic(cron="* * * * *", periodic_id=self._host)
        @app.task(name=f"{TASK}.again", queue=queue)
        async def look_again(timestamp: int) -> None:
            self._look()

        async with app.open_async():
            self._look()
            await app.run_worker_async(
                queues=[queue],
                name=self._host,
                concurrency=1,
                fetch_job_polling_interval=_POLL_SECONDS,
                shutdown_graceful_timeout=_GRACE_SECONDS,
                delete_jobs="always",
                install_signal_handlers=False,
            )

"""A web server that sleeps while nobody asks it for anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

_PING_SECONDS = 20.0
_GRACE_SECONDS = 3
_MOST_MESSAGE_BYTES = 65536


class _Talk(WebSocketsSansIOProtocol):
    """A WebSocket, which may be closing already when the server ends."""

    def shutdown(self) -> None:
        try:
            super().shutdown()
        except InvalidState:
            self.transport.close()


class QuietServer(uvicorn.Server):
    """uvicorn, which would wake up ten times a second to see whether it is to end."""

    def __init__(
        self, app: FastAPI, proxies: str | None = None, tls: tuple[Path, Path] | None = None
    ) -> None:
        """Serve `app`; `proxies` are believed about who asks; `tls`: a certificate, its key."""
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="on",
                proxy_headers=proxies is not None,
                forwarded_allow_ips=proxies,
                ssl_certfile=None if tls is None else tls[0],
                ssl_keyfile=None if tls is None else tls[1],
                server_header=False,
                date_header=False,  # it is made at each waking
                ws=_Talk,
                ws_max_size=_MOST_MESSAGE_BYTES,
                ws_ping_interval=_PING_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait until a signal comes."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ending.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)

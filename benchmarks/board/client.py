"""A client that takes next to no time itself: of two cores, the board is to have one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import urlsplit


class Client:
    """Somebody who asks, over a connection that is made anew when the board has closed it."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        self._place = urlsplit(address)
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Send a request; return the status and the body of the answer."""
        try:
            return await self._ask(method, path, body)
        except (asyncio.IncompleteReadError, ConnectionError):  # it was quiet for too long
            self.close()
            return await self._ask(method, path, body)

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    async def _ask(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        if self._connection is None:
            place = (self._place.hostname, self._place.port)
            self._connection = await asyncio.open_connection(*place)
        reader, writer = self._connection
        sent = b"" if body is None else json.dumps(body).encode()
        kind = "" if body is None else "Content-Type: application/json\r\n"
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {self._place.netloc}\r\n{self._headers}{kind}"
            f"Content-Length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        return int(head.split(" ", 2)[1]), await reader.readexactly(length)

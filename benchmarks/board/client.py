"""A client that takes next to no time itself: of two cores, the board is to have one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_MOST_HEAD = 2**16

Ask = Callable[[str, str, object], Awaitable[tuple[int, bytes]]]


@asynccontextmanager
async def asked(address: str, headers: Mapping[str, str]) -> AsyncIterator[Ask]:
    """Connect for the block; yield what sends a request and returns status and body."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=_MOST_HEAD)
    own = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def ask(method: str, path: str, body: object) -> tuple[int, bytes]:
        sent = b"" if body is None else json.dumps(body).encode()
        kind = "" if body is None else "Content-Type: application/json\r\n"
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {place.netloc}\r\n{own}{kind}"
            f"Content-Length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        return int(head.split(" ", 2)[1]), await reader.readexactly(length)

    try:
        yield ask
    finally:
        writer.close()

"""Leads connections on, each piece after a delay: `slow_link.py ADDRESS DELAYFILE PORT:TARGET…`.

The delay, in seconds, is what stands in the file when a piece comes.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

_PIECE = 65536


async def _lead(delay: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            seconds = float(delay.read_text() or 0)
            if seconds:
                await asyncio.sleep(seconds)
            writer.write(piece)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _both_ways(
    address: str,
    target: int,
    delay: Path,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        there, back = await asyncio.open_connection(address, target)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_lead(delay, reader, back), _lead(delay, there, writer))


async def _main(address: str, delay: Path, pairs: list[str]) -> None:
    for pair in pairs:
        port, target = map(int, pair.split(":"))
        handler = partial(_both_ways, address, target, delay)
        await asyncio.start_server(handler, address, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))

"""People at the board: what they wait for, and what the board grows to."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import httpx2
import psutil

from tests.support.board import BoardProcess

from ..machine import say
from .room import board_with

_CLICKS = {
    "create a feature": (2, "POST", "/planned-features"),
    "list 1,000 features": (5, "GET", "/planned-features?limit=1000"),
    "list 1,000 phases": (5, "GET", "/queue?limit=1000"),
    "show a feature": (30, "GET", "/planned-features/feature-{}"),
    "show a phase": (40, "GET", "/queue/feature-{}.1"),
    "what has happened": (15, "GET", "/events?after={}&limit=100"),
    "the slots": (3, "GET", "/slots"),
}
"""What a person asks for: how often of a hundred, and how."""
_SECONDS_BETWEEN = 1.0
"""On average, between two clicks of a person: so many as in an hour, in two minutes."""


class Load(NamedTuple):
    """What was measured."""

    seconds: dict[str, list[float]]
    """Of each request, by what was asked for."""
    failed: int
    memory: tuple[int, int]
    """Of the board, in bytes, before and after."""


def load(scratch: Path, users: int, seconds: float, features: int) -> Load:
    """Let so many people click for so long, at a board with so many features of ten phases."""
    say(f"  {users} users, {features} features")
    with board_with(scratch, features, 10) as board:
        process = psutil.Process(board.process.pid)
        asyncio.run(_all(board, 2, 2.0, features))  # the first requests load what they need
        before = process.memory_info().rss
        found, failed = asyncio.run(_all(board, users, seconds, features))
        return Load(found, failed, (before, process.memory_info().rss))


async def _all(
    board: BoardProcess, users: int, seconds: float, features: int
) -> tuple[dict[str, list[float]], int]:
    found: dict[str, list[float]] = defaultdict(list)
    failures: list[str] = []
    end = time.monotonic() + seconds
    limits = httpx2.Limits(max_connections=users, max_keepalive_connections=users)
    headers = {"Authorization": f"Bearer {board.token}"}
    async with httpx2.AsyncClient(
        base_url=f"{board.address}/api/v1", headers=headers, limits=limits, timeout=60, verify=False
    ) as client:

        async def person(number: int) -> None:
            chosen = random.Random(number)
            await asyncio.sleep(chosen.random() * _SECONDS_BETWEEN)
            while time.monotonic() < end:
                what = chosen.choices([*_CLICKS], [one[0] for one in _CLICKS.values()])[0]
                _, method, path = _CLICKS[what]
                body = {"title": f"Wish {number} {chosen.random()}"} if method == "POST" else None
                began = time.perf_counter()
                answer = await client.request(
                    method, path.format(chosen.randint(1, features)), json=body
                )
                found[what].append(time.perf_counter() - began)
                if answer.status_code >= 400:
                    failures.append(f"{method} {path}: {answer.text[:200]}")
                await asyncio.sleep(chosen.expovariate(1 / _SECONDS_BETWEEN))

        await asyncio.gather(*(person(number) for number in range(users)))
    for line in failures[:5]:
        say(f"    {line}")
    return found, len(failures)

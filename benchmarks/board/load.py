"""People at the board: what they wait for, and what the board grows to."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.support.board import BoardProcess

from ..machine import say
from .client import Client
from .room import board_with
from .room import users as make_users
from .statements import asking

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
_PARTS = 4
"""After each of which the memory is looked at."""
_SECONDS_BETWEEN = 1.0
"""On average, between two clicks of a person: so many as in an hour, in two minutes."""


class Load(NamedTuple):
    """What was measured."""

    seconds: dict[str, list[float]]
    """Of each request, by what was asked for."""
    failed: int
    statements: list[float]
    """Of each statement that the store was asked meanwhile for such a list or page."""
    memory: list[int]
    """Of the board, in bytes, from its beginning to its end."""


def load(scratch: Path, users: int, seconds: float, features: int) -> Load:
    """Let so many users click for so long, at a board with so many features of ten phases."""
    say(f"  {users} users, {features} features")
    with board_with(scratch, features, 10, "--users") as board:
        people = make_users(users)
        process = psutil.Process(board.process.pid)
        asyncio.run(_clicked(board, people, 5.0, features))  # at first, it loads what it needs
        found: dict[str, list[float]] = defaultdict(list)
        failed, memory = 0, [process.memory_info().rss]
        with asking() as statements:
            for _ in range(_PARTS):
                part, failures = asyncio.run(_clicked(board, people, seconds / _PARTS, features))
                memory.append(process.memory_info().rss)
                failed += failures
                for what, each in part.items():
                    found[what] += each
        return Load(found, failed, statements, memory)


async def _clicked(
    board: BoardProcess, people: Sequence[Mapping[str, str]], seconds: float, features: int
) -> tuple[dict[str, list[float]], int]:
    found: dict[str, list[float]] = defaultdict(list)
    failures: list[str] = []
    began_at = time.monotonic()
    end = began_at + seconds

    async def click(number: int) -> None:
        chosen = random.Random(f"{number} {began_at}")
        await asyncio.sleep(chosen.random() * _SECONDS_BETWEEN)
        client = Client(board.address, people[number])
        while time.monotonic() < end:
            what = chosen.choices([*_CLICKS], [one[0] for one in _CLICKS.values()])[0]
            _, method, path = _CLICKS[what]
            body = {"title": f"Wish {number} {time.monotonic_ns()}"} if method == "POST" else None
            path = f"/api/v1{path.format(chosen.randint(1, features))}"
            began = time.perf_counter()
            status, answer = await client.ask(method, path, body)
            found[what].append(time.perf_counter() - began)
            if status >= 400:
                failures.append(f"{method} {path}: {answer[:200]!r}")
            await asyncio.sleep(chosen.expovariate(1 / _SECONDS_BETWEEN))
        client.close()

    await asyncio.gather(*(click(number) for number in range(len(people))))
    for line in failures[:5]:
        say(f"    {line}")
    return found, len(failures)

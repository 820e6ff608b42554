"""Ports that no other test uses, of this run or another."""

from __future__ import annotations

import random
import socket
from functools import cache

_CLAIMS: list[socket.socket] = []


def free_services() -> str:
    """Return bases for `backend` and `frontend` whose 100 ports each are free just now.

    Others than last time, since connections to those may still wind down.
    """
    block = own_block()
    choice = random.SystemRandom()
    while True:
        base = choice.randrange(block + 1, block + 800)
        if all(_is_bindable(port) for port in range(base, base + 200)):
            return f"backend={base},frontend={base + 100}"


@cache
def own_block() -> int:
    """Return the first of 1000 ports that no other test process uses, of this run or another's.

    Whoever has the first of them bound has them all. They lie below the ephemeral ranges of Linux
    and macOS, so that no outgoing connection takes one.
    """
    blocks = list(range(12000, 32000, 1000))
    random.SystemRandom().shuffle(blocks)
    for start in blocks:
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind(("127.0.0.1", start))
        except OSError:
            claim.close()
            continue
        _CLAIMS.append(claim)
        return start
    return blocks[0]


def _is_bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True

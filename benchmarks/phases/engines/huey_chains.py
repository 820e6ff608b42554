"""huey on SQLite: each task runs a command and enqueues the next, in the consumer's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock

from huey import SqliteHuey

DOCUMENT = Path(sys.argv[1])
huey = SqliteHuey(filename=str(DOCUMENT.with_suffix(".huey")), fsync=True)
CHAINS = json.loads(DOCUMENT.read_text())["chains"]
_lock = Lock()
_left = len(CHAINS)


@huey.task()
def phase(chain: int, place: int) -> None:
    """Run one command, and have the next one run."""
    global _left
    subprocess.run(CHAINS[chain][place], check=True)
    if place + 1 < len(CHAINS[chain]):
        phase(chain, place + 1)
        return
    with _lock:
        _left -= 1
        if _left == 0:
            os._exit(0)


if __name__ == "__main__":
    for number in range(len(CHAINS)):
        phase(number, 0)
    huey.create_consumer(workers=len(CHAINS), worker_type="thread", periodic=False).run()

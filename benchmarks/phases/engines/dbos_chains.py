"""DBOS on SQLite: each workflow runs a command and enqueues the next, on one queue with a limit.

`python dbos_chains.py CHAINS.json [SECONDS]`: how often the queue is looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from threading import Event, Lock

from dbos import DBOS

DOCUMENT = Path(sys.argv[1])
CHAINS = json.loads(DOCUMENT.read_text())["chains"]
PAUSE = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
DBOS(
    config={
        "name": "chains",
        "system_database_url": f"sqlite:///{DOCUMENT.with_suffix('.dbos')}",
        "log_level": "ERROR",
    }
)
_QUEUE = "phases"
_over, _lock = Event(), Lock()
_left = len(CHAINS)


@DBOS.step()
def run(command: list[str]) -> None:
    """Run one command."""
    subprocess.run(command, check=True)


@DBOS.workflow()
def phase(chain: int, place: int) -> None:
    """Run one command, and have the next one run."""
    global _left
    run(CHAINS[chain][place])
    if place + 1 < len(CHAINS[chain]):
        DBOS.enqueue_workflow(_QUEUE, phase, chain, place + 1)
        return
    with _lock:
        _left -= 1
        if _left == 0:
            _over.set()


if __name__ == "__main__":
    DBOS.launch()
    DBOS.register_queue(_QUEUE, global_concurrency=len(CHAINS), polling_interval_sec=PAUSE)
    for number in range(len(CHAINS)):
        DBOS.enqueue_workflow(_QUEUE, phase, number, 0)
    _over.wait()
    DBOS.destroy()

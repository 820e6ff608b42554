"""One process that reserves and releases slots with the library, and times each pair.

`python -m benchmarks.rows.pool_worker LEDGER PAIRS [DISK_FILE]` prints `ready`, waits for a line,
and then prints one JSON document: the seconds of the pairs, of the calls that found the pool
exhausted, and of writing as much as the ledger has with fsync and rename, in turns; and when each
was done.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from adw_worktree import PortPool
from adw_worktree.errors import PoolExhausted


def main() -> None:
    ledger, pairs = Path(sys.argv[1]), int(sys.argv[2])
    disk_file = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    pool = PortPool(ledger)
    me = f"worker-{os.getpid()}"
    found: dict[str, list[float]] = {"pairs": [], "exhausted": [], "disk": [], "ends": []}
    # What is loaded on first use is not what is measured.
    pool.get_allocation(me)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(pairs):
        begun = time.perf_counter()
        try:
            pool.reserve(me)
            pool.release(me)
            found["pairs"].append(time.perf_counter() - begun)
        except PoolExhausted:
            found["exhausted"].append(time.perf_counter() - begun)
        found["ends"].append(time.monotonic())  # which all processes share
        if disk_file is not None:
            data = ledger.read_bytes()
            begun = time.perf_counter()
            _replace(disk_file, data)
            found["disk"].append(time.perf_counter() - begun)
    print(json.dumps(found))


def _replace(file: Path, data: bytes) -> None:
    """Write, fsync, rename: the least that a ledger can cost that survives a crash."""
    fresh = file.with_name(f"{file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.rename(file)


if __name__ == "__main__":
    main()

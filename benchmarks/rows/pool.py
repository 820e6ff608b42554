"""The row of the pool: reserving and releasing a slot with the library, alone and among many."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from subprocess import PIPE

from ..machine import Room, say
from ..measure import Failed, Scene, Timing
from ..peers import Installed
from ..scenes import SERVICES, Workshop
from .plan import Plan

DISK = "write + fsync + rename of the ledger's bytes"
ALONE = "one process"
FULL = "exhausted: the error"

_FILL = """
import json, sys
from benchmarks.rows.pool import fill
fill(*json.loads(sys.argv[1]))
"""


def pool(_shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare a reservation with the one write that it cannot do without.

    On a disk: in memory, where `fsync` does nothing, that write costs nothing either.
    """
    with tempfile.TemporaryDirectory(prefix="adw-bench-", ignore_cleanup_errors=True) as disk:
        return _measure_pool(Workshop(Path(disk)), plan.processes, plan.times(50), plan.big_pool)


def _measure_pool(shop: Workshop, processes: int, repeat: int, big: int) -> list[Scene]:
    """Measure with 0, 90 and 100 of 100 slots taken, and with none and nine tenths of `big`."""
    takes = [(100, 0), (100, 90), (100, 100), (big, 0), (big, big * 9 // 10)]
    scenes = []
    for slots, taken in takes:
        name = f"{taken:,} of {slots:,} slots taken"
        say(f"  {name}")
        # A ledger of thousands takes its time.
        scenes.append(_measure(shop, name, slots, taken, processes, min(repeat, 200_000 // slots)))
    return scenes


def _measure(
    shop: Workshop, name: str, slots: int, taken: int, processes: int, repeat: int
) -> Scene:
    room = shop.room(ADW_SLOTS=str(slots), ADW_SERVICES=SERVICES)
    ledger = shop.repository(1) / "agents" / "port_allocations.json"
    room.run(sys.executable, "-c", _FILL, json.dumps([str(ledger), taken]), cwd=_checkout())
    found = _together(room, ledger, 1, repeat, shop.scratch / "disk-file")[0]
    timings = [
        Timing(DISK, found["disk"]),
        Timing(ALONE, found["pairs"]),
        Timing(FULL, found["exhausted"]),
    ]
    answers = _together(room, ledger, processes, max(1, repeat // 10), None)
    exhausted = sum(len(one["exhausted"]) for one in answers)
    ends = sorted(end for one in answers for end in one["ends"])
    note = f"{exhausted} of {len(ends)} found the pool exhausted" if exhausted else ""
    crowd = Timing(f"{processes} processes at once, per call", gaps(ends), note=note)
    return Scene("pool", name, [one for one in [*timings, crowd] if one.seconds], DISK)


def gaps(ends: Sequence[float]) -> list[float]:
    """Return the time from each end to the next: what one more call costs among many."""
    return [later - earlier for earlier, later in pairwise(ends)]


def _together(
    room: Room, ledger: Path, processes: int, pairs: int, disk_file: Path | None
) -> list[dict[str, list[float]]]:
    """Let so many processes begin at once, and return what each measured."""
    disk_words = [str(disk_file)] if disk_file else []
    command = [
        sys.executable,
        "-m",
        "benchmarks.rows.pool_worker",
        str(ledger),
        str(pairs),
        *disk_words,
    ]
    workers = [
        subprocess.Popen(command, cwd=_checkout(), env=room.env, stdin=PIPE, stdout=PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for worker in workers:
            if worker.stdout is None or worker.stdout.readline() != "ready\n":
                raise Failed("a process that reserves slots did not start")
        for worker in workers:
            if worker.stdin is not None:
                worker.stdin.write("go\n")
                worker.stdin.flush()
        answers = [worker.communicate()[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return [json.loads(answer) for answer in answers]


def fill(ledger: str, taken: int) -> None:
    """Lease so many slots without worktrees; in one write, for thousands take their time."""
    from adw_worktree import PortPool
    from adw_worktree.pool.lease import ports_of

    pool = PortPool(ledger)
    pool.reserve("first")
    if taken == 0:
        pool.release("first")
        return
    inner = pool._pool
    with inner.ledger.locked():
        leases = inner.ledger.load()
        first = leases["first"]
        for slot in [slot for slot in range(taken) if slot != first.slot][: taken - 1]:
            ports = ports_of(slot, inner.settings.services)
            name = f"taken-{slot}"
            token = token_hex(16)
            leases[name] = first._replace(adw_id=name, slot=slot, ports=ports, token=token)
        inner.ledger.commit(leases)
    # Through the front door, so that the machine's registry knows of all of them.
    pool.release("first")
    pool.reserve("first")


def _checkout() -> Path:
    return Path(__file__).resolve().parents[2]

"""Transitions a second: workers that end attempts and claim the next ones, and do nothing else.

Each worker is a process with a connection of its own. It is the store that is measured: an end and
the claim in its place are one transaction, and all of them wait for one gate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import get_context
from typing import NamedTuple

import psutil

from adw_worktree.orchestration.plan.feature_file import FeatureFile, PhaseEntry
from adw_worktree.orchestration.store.attempts import End, claim, end
from adw_worktree.orchestration.store.features import Origin, add_feature
from adw_worktree.orchestration.store.hosts import Offer, register
from adw_worktree.orchestration.store.opening import connect_to_server
from adw_worktree.orchestration.store.steering import set_limit
from tests.support import server_store
from tests.support.postgres_server import Server

from .room import server

_ORIGIN = Origin("0" * 40, "/nowhere", "plan.toml", "", "somebody")
_PHASES_OF_FEATURE = 500
_MOST_A_SECOND = 300
"""Transitions: so many phases are there to be run."""


class Measured(NamedTuple):
    """What so many workers did with so many running phases."""

    workers: int
    running: int
    seconds: list[float]
    """Of each transition."""
    rate: float
    """Transitions a second, of all workers."""
    server_load: float
    """Processors that the server's processes took."""
    workers_load: float
    """Processors that the workers took."""


def transitions(
    workers: tuple[int, ...], running: tuple[int, ...], seconds: float
) -> list[Measured]:
    """Measure each number of workers with each number of running phases."""
    found = []
    with server() as started:
        for most in running:
            for count in workers:
                found.append(_measure(started, count, most, seconds))
    return found


def _measure(started: Server, workers: int, running: int, seconds: float) -> Measured:
    url = server_store.made(started)
    _fill(url, workers, running, int(running + _MOST_A_SECOND * seconds))
    context = get_context("spawn")
    with context.Pool(workers) as pool:
        arguments = [(url, f"host{number}", running, seconds) for number in range(workers)]
        ready = pool.starmap_async(_work, arguments)
        time.sleep(2.0)  # they have loaded and claimed
        theirs = [psutil.Process(one.pid) for one in psutil.Process().children()
                  if "postgres" not in one.name()]  # fmt: skip
        before = [_cpu(_server_processes()), _cpu(theirs)]
        began = time.monotonic()
        time.sleep(max(seconds - 3.0, 1.0))
        took = time.monotonic() - began
        after = [_cpu(_server_processes()), _cpu(theirs)]
        results = ready.get()
    every = [one for times, _ in results for one in times]
    rate = sum(len(times) / span for times, span in results if span)
    loads = [(now - then) / took for now, then in zip(after, before, strict=True)]
    return Measured(workers, running, every, rate, *loads)


def _fill(url: str, workers: int, running: int, count: int) -> None:
    """Add phases that wait for nothing, and let hosts work."""
    with closing(connect_to_server(url)) as database:
        for number in range(workers):
            name = f"host{number}"
            offer = Offer(name, name, None, 3600.0, "0", places={_ORIGIN.repository: "/nowhere"})
            register(database, offer, serves=True)
        set_limit(database, running)
        for number in range(-(-count // _PHASES_OF_FEATURE)):
            entries = tuple(
                PhaseEntry(number=one, title="p", run=("true",))
                for one in range(1, _PHASES_OF_FEATURE + 1)
            )
            plan = FeatureFile(slug=f"f{number}", title="F", phases=entries)
            add_feature(database, plan, _ORIGIN)


def _work(url: str, host: str, most: int, seconds: float) -> tuple[list[float], float]:
    """End the attempts of a host one after the other for a while; return each one's seconds."""
    with closing(connect_to_server(url)) as database:
        mine = [one.attempt.token for one in claim(database, host)]
        times: list[float] = []
        began = time.perf_counter()
        deadline = began + seconds
        while mine and time.perf_counter() < deadline:
            token = mine.pop(0)
            start = time.perf_counter()
            claimed = end(database, token, End("completed", exit_code=0), host=host)
            times.append(time.perf_counter() - start)
            mine += [one.attempt.token for one in claimed]
        return times, time.perf_counter() - began


def _server_processes() -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres"]


def _cpu(processes: Iterator[psutil.Process] | list[psutil.Process]) -> float:
    """Return the seconds of processor that processes have taken."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total

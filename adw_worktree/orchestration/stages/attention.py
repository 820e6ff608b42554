"""Heeding a stop while something is waited for that hears of nothing: git, or a lock."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import TypeVar

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.runs.processes import end_processes
from adw_worktree.orchestration.stages.commands import (
    GRACE_SECONDS,
    Interrupted,
    Reported,
    heed,
)
from adw_worktree.orchestration.stages.stage import Bench

T = TypeVar("T")


def attentively(bench: Bench, work: Callable[[], T]) -> T:
    """Return what `work` returns, which runs in a thread; a stop ends its processes.

    Raises Interrupted, with the thread left to itself: the attempt ends, and its process with it.
    Raises AdwError as `work` does.
    """
    done, told = os.pipe()
    results: list[T] = []
    errors: list[AdwError] = []

    def run() -> None:
        try:
            results.append(work())
        except AdwError as exc:
            errors.append(exc)
        finally:
            os.close(told)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    around = bench.around
    try:
        while done not in select.select([done, around.bell.descriptor], [], [])[0]:
            around.bell.silence()
            _heed(bench)
    finally:
        os.close(done)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _heed(bench: Bench) -> None:
    """Look at what was left for the runner; a report is looked at by whoever comes next."""
    try:
        heed(bench.around)
    except Reported:
        return
    except Interrupted as exc:
        if exc.reported is None:
            end_processes(bench.around.run, bench.worktree, grace=GRACE_SECONDS)
            raise

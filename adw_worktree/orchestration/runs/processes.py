"""The processes of an attempt: found wherever they hid, and ended.

What holds here: a process belongs to an attempt if it has the attempt's token in its environment,
holds the lock that the attempt's commands inherit, or was started since and works in the attempt's
worktree without a terminal. `nohup`, `setsid` and `env -i` do not change all of these.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.system.servers import own_line

TOKEN_VARIABLE = "ADW_ATTEMPT"
_COARSE_SECONDS = 2.0
"""The kernel tells when it started in whole seconds, and a process's time counts from there."""
_PAUSE_SECONDS = 0.02
_KILL_SECONDS = 10.0


class _Traces(NamedTuple):
    """What a process of an attempt is known by."""

    token: str
    tree: str
    """The file of the lock that its commands, and whatever they start, inherit."""
    worktree: Path | None
    since: float

    def belong_to(self, process: psutil.Process) -> bool:
        """Return whether a process is of the attempt."""
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(TOKEN_VARIABLE) == self.token:
                return True
            if any(one.path == self.tree for one in process.open_files()):
                return True
            # An editor that was open before; a person who looks around there in a terminal.
            return (
                process.create_time() >= self.since - _COARSE_SECONDS
                and process.terminal() is None
                and self.worktree is not None
                and Path(process.cwd()).is_relative_to(self.worktree)
            )
        except (psutil.Error, OSError):
            return False

    def may_be_of(self, pid: int, *, holders: bool) -> bool:
        """Return whether a closer look at a process is worth while; Linux alone.

        Of each of a thousand processes two small files are read; with `holders` also which files it
        has open.
        """
        place = f"/proc/{pid}"
        try:
            environ = Path(place, "environ").read_bytes()
            if self.token.encode() in environ:
                return True
            directory = os.readlink(f"{place}/cwd")
            if self.worktree is not None and directory.startswith(str(self.worktree)):
                return True
            names = os.listdir(f"{place}/fd") if holders else []
        except OSError:
            return False  # it has ended, or is another user's
        for name in names:
            with suppress(OSError):
                if os.readlink(f"{place}/fd/{name}") == self.tree:
                    return True
        return False


def end_processes(run: RunDirectory, worktree: Path | None, *, grace: float) -> bool:
    """End every process of the attempt: asked first, killed after `grace` seconds.

    Returns whether all have ended. Those of other users cannot be ended.
    """
    traces = _Traces(run.path.name, str(run.path / "tree.lock"), worktree, run.began())
    left = _found(run, traces)
    _signal(left, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        left = _found(run, traces)
    deadline = time.monotonic() + _KILL_SECONDS
    while left and time.monotonic() < deadline:
        _signal(left, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)
        left = _found(run, traces)
    return not left


def _found(run: RunDirectory, traces: _Traces) -> list[psutil.Process]:
    """Return the processes of the attempt, but for this one and those that it descends from."""
    pids = psutil.pids()
    if sys.platform == "linux":
        holders = run.is_locked("tree")  # if nobody has it locked, nobody has it open
        pids = [pid for pid in pids if traces.may_be_of(pid, holders=holders)]
    spared, found = own_line() if pids else set(), []
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if pid not in spared and traces.belong_to(process):
                found.append(process)
    return found


def _signal(processes: Iterable[psutil.Process], signum: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error, OSError):
            process.send_signal(signum)

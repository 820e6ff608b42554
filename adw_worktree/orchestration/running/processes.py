"""The processes of an attempt: found wherever they hid, and ended.

What holds here: a process belongs to an attempt if it has the attempt's token in its environment,
or was started since and works in the attempt's worktree without a terminal. `nohup` and `setsid`
change none of these.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from adw_worktree.orchestration.running.run_directory import RunDirectory
from adw_worktree.system.servers import own_line

TOKEN_VARIABLE = "ADW_ATTEMPT"
_PAUSE_SECONDS = 0.02
_KILL_SECONDS = 10.0


def end_processes(run: RunDirectory, worktree: Path | None, *, grace: float) -> bool:
    """End every process of the attempt: asked first, killed after `grace` seconds.

    Returns whether all have ended. Those of other users cannot be ended.
    """
    token, since = run.path.name, run.began()
    left = found = _found(token, worktree, since)
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        left = _found(token, worktree, since)
    deadline = time.monotonic() + _KILL_SECONDS
    while left and time.monotonic() < deadline:
        _signal(left, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)
        left = _found(token, worktree, since)
    return not left


def _found(token: str, worktree: Path | None, since: float) -> list[psutil.Process]:
    spared = own_line()
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in spared and _belongs(process, token, worktree, since)
    ]


def _belongs(process: psutil.Process, token: str, worktree: Path | None, since: float) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(TOKEN_VARIABLE) == token:
            return True
        # A person may look around there, in a terminal, or have an editor open from before.
        return (
            worktree is not None
            and process.create_time() >= since
            and process.terminal() is None
            and Path(process.cwd()).is_relative_to(worktree)
        )
    except (psutil.Error, OSError):
        return False


def _signal(processes: Iterable[psutil.Process], signum: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error, OSError):
            process.send_signal(signum)

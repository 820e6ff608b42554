"""Ending the servers of a worktree, and nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from adw_worktree.system.ports import Listener, _working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from psutil import Process

# A killed process is gone at once, but for one that sleeps in the kernel.
_KILL_SECONDS = 5.0


def way_to_end(server: Listener) -> str:
    """Return how a person ends a server that was left running."""
    if server.pid is None:
        return f"to see whose it is, as root: ss -ltnp 'sport = :{server.port}'"
    return f"to end it: kill {server.pid}"


def stop_servers(
    found: Iterable[Listener], worktree: Path, *, grace: float = 5.0
) -> tuple[list[Listener], list[Listener]]:
    """End the listeners that run inside `worktree`, and those of their descendants that do.

    They are asked first, and killed after `grace` seconds. Returns those that ended, and those
    that were left because they run elsewhere, started this process, or could not be ended.
    """
    import psutil

    found, directory, spared = list(found), worktree.resolve(), own_line()
    inside: dict[int | None, Process | None] = {}
    for one in found:
        if one.pid and one.pid not in spared and _is_inside(one.cwd, directory):
            with suppress(psutil.NoSuchProcess):
                inside[one.pid] = None  # ended since, unless it is found
                inside[one.pid] = psutil.Process(one.pid)
    # Asked anew where it runs: its number may have gone to another process since it was found.
    roots = [process for process in inside.values() if process and _is_at(process, directory)]
    _end(roots, directory, grace)
    running = {pid for pid, process in inside.items() if process and _runs(process)}
    stopped = [one for one in found if one.pid in inside and one.pid not in running]
    return stopped, [one for one in found if one not in stopped]


def own_line() -> set[int]:
    """Return the pids of this process, of those it descends from, and of init."""
    import psutil

    line, pid = {1}, os.getpid()
    while pid and pid not in line:
        line.add(pid)
        try:
            pid = psutil.Process(pid).ppid()
        except psutil.Error:
            break
    return line


def _is_inside(cwd: str | None, directory: Path) -> bool:
    """Whether a working directory is `directory` or below; the kernel tells it resolved."""
    return cwd is not None and Path(cwd).is_relative_to(directory)


def _is_at(process: Process, directory: Path) -> bool:
    return _is_inside(_working_directory(process), directory)


def _end(roots: list[Process], directory: Path, grace: float) -> None:
    """Ask `roots` and their descendants inside `directory` to end; kill what is left."""
    asked = _families(roots, directory)
    _signal(asked, signal.SIGTERM)
    # Anew, for what was started meanwhile.
    doomed = _families(_outlasting(asked, grace), directory)
    _signal(doomed, signal.SIGKILL)
    _outlasting(doomed, _KILL_SECONDS)


def _families(roots: Iterable[Process], directory: Path) -> list[Process]:
    """Return `roots`, and their descendants inside `directory`, parents first and each once."""
    import psutil

    families: dict[Process, None] = {}
    for root in roots:
        families[root] = None
        with suppress(psutil.Error):
            children = root.children(recursive=True)
            families.update((child, None) for child in children if _is_at(child, directory))
    return list(families)


def _signal(processes: Iterable[Process], signum: signal.Signals) -> None:
    import psutil

    for process in processes:
        with suppress(psutil.Error):  # gone already, or not ours to end: waiting for it tells
            process.send_signal(signum)


def _outlasting(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait for `processes` to end, and return those that still run after `seconds`.

    Not with psutil.wait_procs, which takes the exit status of the caller's own children.
    """
    deadline = time.monotonic() + seconds
    alive = [process for process in processes if _runs(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [process for process in alive if _runs(process)]
    return alive


def _runs(process: Process) -> bool:
    """Whether the process runs; one that merely waits for its parent to notice does not."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False

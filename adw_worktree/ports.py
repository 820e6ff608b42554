"""Ports: whether any process holds one, who listens, and ending the servers of a worktree.

What holds here: probing binds and lets go, and connects to nothing; only processes that run inside
the worktree are ended, with their descendants, and never this one or what started it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

# A listener on ::1 alone (Vite on `localhost`) looks free from 127.0.0.1, and the reverse.
_ADDRESSES = (
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET, "0.0.0.0"),
    (socket.AF_INET6, "::1"),
)
_ABSENT_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_COMMAND_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on a port."""

    port: int
    pid: int | None
    """None if it is another user's and cannot be seen."""
    command: str
    """Its command line, on one line and cut short."""
    cwd: str | None = None
    """Its working directory, where that can be read."""


def is_free(port: int) -> bool:
    """Whether nobody holds the TCP port on 127.0.0.1, 0.0.0.0 or ::1.

    Without SO_REUSEADDR, so that connections which still wind down count as holding it.
    """
    return all(_is_bindable(family, host, port) for family, host in _ADDRESSES)


def busy_ports(ports: Iterable[int]) -> set[int]:
    """Return those of `ports` that some process holds."""
    return {port for port in ports if not is_free(port)}


def _is_bindable(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except OSError as exc:
        return exc.errno in _ABSENT_FAMILY
    return True


def listeners(ports: Collection[int]) -> dict[int, list[Listener]]:
    """Return who listens on each of `ports`; ports without a listener are left out.

    Reads the kernel's tables. Where those are closed to the user (macOS), the user's own processes
    are asked one by one, and what is left busy is reported without a pid. Of processes that share
    a socket the system may name only one.
    """
    if not ports:
        return {}
    found: dict[int, list[Listener]] = {}
    for port, pid in _listening(frozenset(ports)):
        known = found.setdefault(port, [])
        if pid not in [one.pid for one in known]:
            known.append(_listener(port, pid))
    return found


def _listening(ports: frozenset[int]) -> Iterator[tuple[int, int | None]]:
    """Yield (port, pid) of every listening socket on `ports`."""
    import psutil

    try:
        sockets = [(one, one.pid) for one in psutil.net_connections(kind="tcp")]
    except psutil.AccessDenied:
        yield from _listening_of_own(ports)
        return
    for connection, pid in sockets:
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            port = connection.laddr[1]
            if port in ports:
                yield port, pid


def _listening_of_own(ports: frozenset[int]) -> Iterator[tuple[int, int | None]]:
    import psutil

    seen = set()
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN and connection.laddr:
                port = connection.laddr[1]
                if port in ports:
                    seen.add(port)
                    yield port, process.pid
    for port in sorted(ports - seen):
        if not is_free(port):
            yield port, None


def _listener(port: int, pid: int | None) -> Listener:
    import psutil

    if pid is None:
        return Listener(port, None, "another user's process")
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return Listener(port, pid, "a process that cannot be read")
    return Listener(port, pid, _one_line(command), _working_directory(process))


def _one_line(command: str) -> str:
    """Return a command line cut short, without what could move the cursor."""
    cut = command if len(command) <= _COMMAND_LENGTH else command[: _COMMAND_LENGTH - 3] + "..."
    return "".join(char if char.isprintable() else "?" for char in cut)


def _working_directory(process: Process) -> str | None:
    import psutil

    try:
        # Linux says so of a directory that was deleted.
        return process.cwd().removesuffix(" (deleted)") or None
    except (psutil.Error, OSError):
        return None


def stop_servers(
    found: Iterable[Listener], worktree: Path, *, grace: float = 5.0
) -> tuple[list[Listener], list[Listener]]:
    """End the listeners that run inside `worktree`, with their descendants.

    They are asked first, and killed after `grace` seconds. Returns those that ended, and those
    that were left because they run elsewhere or could not be ended.
    """
    import psutil

    found = list(found)
    processes = {one.pid: process for one in found for process in _inside(one, worktree)}
    doomed = {process for root in processes.values() for process in _family(root)}
    _, alive = psutil.wait_procs(_told(doomed, "terminate"), timeout=grace)
    psutil.wait_procs(_told(alive, "kill"), timeout=grace)
    ended = [one for one in found if one.pid in processes and not _runs(processes[one.pid])]
    return ended, [one for one in found if one not in ended]


def _inside(one: Listener, worktree: Path) -> Iterator[Process]:
    """Yield the process of `one` if it runs inside `worktree` and may be ended."""
    import psutil

    if one.pid is None or one.cwd is None or one.pid in _own_line():
        return
    if not Path(one.cwd).is_relative_to(worktree.resolve()):
        return
    try:
        process = psutil.Process(one.pid)
    except psutil.Error:
        return
    # Its number may have gone to another process since it was seen.
    if _working_directory(process) == one.cwd:
        yield process


def _own_line() -> set[int]:
    """Return the pids of this process and of those it descends from."""
    import psutil

    return {os.getpid(), *(process.pid for process in psutil.Process().parents())}


def _family(process: Process) -> list[Process]:
    import psutil

    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def _told(processes: Iterable[Process], what: str) -> list[Process]:
    """Send each process the signal, and return all."""
    import psutil

    told = list(processes)
    for process in told:
        try:
            getattr(process, what)()
        except psutil.Error:
            continue  # gone already, or not ours to end: waiting for it tells
    return told


def _runs(process: Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

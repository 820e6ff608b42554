"""Ports: whether any process holds one, who listens, and ending the servers of a worktree.

What holds here: probing binds and lets go, looking for listeners never binds; only processes that
run inside the worktree are ended, and never this one or what started it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Collection, Iterable, Iterator

from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from psutil import Process

# A socket that is bound to all addresses conflicts with one on any single address: 0.0.0.0 with
# those of IPv4, :: with those of IPv6: Vite on `localhost` has ::1 alone.
_ADDRESSES = ("127.0.0.1", "0.0.0.0", "::1", "::")
_ABSENT_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
# proc(5): of this process's own network namespace.
_TABLES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")
_LISTEN = "0A"
_COMMAND_LENGTH = 80
_CONNECT_SECONDS = 0.1


class Listener(NamedTuple):
    """A process that listens on a port."""

    port: int
    pid: int | None
    """None if it is another user's and cannot be seen."""
    command: str
    """Its command line, on one line and cut short."""
    cwd: str | None
    """Its working directory, where that can be read."""


def is_free(port: int) -> bool:
    """Whether nobody holds the TCP port on any address of this machine, IPv4 or IPv6.

    Without SO_REUSEADDR, so that connections which still wind down count as holding it.
    """
    if sys.platform == "linux":
        # One socket for both families, which Linux compares with those of each: an eighth of the
        # time, and `create` may have to look at many.
        free = _is_bindable("::", port, both=True)
        if free is not None:
            return free
    return all(_is_bindable(host, port) is not False for host in _ADDRESSES)


def busy_ports(ports: Iterable[int]) -> set[int]:
    """Return those of `ports` that some process holds."""
    return {port for port in ports if not is_free(port)}


def _is_bindable(host: str, port: int, *, both: bool = False) -> bool | None:
    """Return whether a socket can have the address; None where there is no such address.

    `both` has one of IPv6 stand for IPv4, too.
    """
    # Of the C module that socket wraps: to make enums of all its constants, as socket does when it
    # is loaded, takes a tenth of `create`.
    from _socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_STREAM, socket

    family = AF_INET6 if ":" in host else AF_INET
    try:
        probe = socket(family, SOCK_STREAM)
        try:
            if family == AF_INET6:
                probe.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, not both)
            probe.bind((host, port))
        finally:
            probe.close()
    except OSError as exc:
        return None if exc.errno in _ABSENT_FAMILY else False
    return True


def listeners(ports: Collection[int]) -> dict[int, list[Listener]]:
    """Return who listens on each of `ports`; ports without a listener are left out.

    Reads the kernel's tables. Where those are closed to the user (macOS), the user's own processes
    are asked one by one, and another's is known by its answering a connection, without a pid.
    Every process that shares a listening socket is named, of those the user may look into.
    """
    if not _may_be_open(ports):
        return {}
    pids: dict[int, set[int | None]] = {}
    for port, pid in _listening(frozenset(ports)):
        pids.setdefault(port, set()).add(pid)
    return {
        port: [_listener(port, pid) for pid in sorted(found, key=lambda pid: pid or 0)]
        for port, found in pids.items()
    }


def _may_be_open(ports: Collection[int]) -> bool:
    """Whether one of `ports` has a listener, or the kernel's tables are not to be read as files.

    Nearly always none has, and then no library has to be loaded, nor every process looked into, to
    say who.
    """
    wanted = {f"{port:04X}" for port in ports}
    try:
        for table in _TABLES:
            with open(table) as lines:
                for line in lines:
                    _, local, _, state, *_ = line.split()
                    if state == _LISTEN and local.rpartition(":")[2] in wanted:
                        return True
    except (OSError, ValueError):
        return True
    return False


def _listening(ports: frozenset[int]) -> Iterator[tuple[int, int | None]]:
    """Yield (port, pid) of every listening socket on `ports`; a pair may come twice."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, PermissionError):
        yield from _listening_of_own(ports)
        return
    sockets: dict[str, int] = {}
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr[1] in ports:
            yield one.laddr[1], one.pid
            link = _socket_link(one.pid, one.fd)
            if link is not None:
                sockets[link] = one.laddr[1]
    yield from _sharing(sockets)


def _socket_link(pid: int | None, descriptor: int) -> str | None:
    """Return Linux's name of an open socket, the same in every process that shares it."""
    if pid is None:
        return None
    try:
        link = os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return None
    return link if link.startswith("socket:") else None


def _sharing(sockets: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Yield (port, pid) of all that have one of `sockets` open.

    psutil names one process for a socket, on Linux the youngest: of a server that forks, a worker,
    and not the master that would put another in its place.
    """
    import psutil

    for pid in psutil.pids() if sockets else ():
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for descriptor in descriptors:
            port = sockets.get(_socket_link(pid, int(descriptor)) or "")
            if port is not None:
                yield port, pid


def _listening_of_own(ports: frozenset[int]) -> Iterator[tuple[int, int | None]]:
    """Yield (port, pid) by asking each process; pid None for a port where an unseen one answers."""
    import psutil

    seen = set()
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        for one in connections:
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr[1] in ports:
                seen.add(one.laddr[1])
                yield one.laddr[1], process.pid
    for port in sorted(ports - seen):
        if _answers("127.0.0.1", port) or _answers("::1", port):
            yield port, None


def _answers(host: str, port: int) -> bool:
    # Not by binding: a probe for a free port, at the same time, would take ours for a server.
    import socket

    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _listener(port: int, pid: int | None) -> Listener:
    import psutil

    if pid is None:
        return Listener(port, None, "another user's process", None)
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return Listener(port, pid, "a process that cannot be read", None)
    return Listener(port, pid, _one_line(command), _working_directory(process))


def _one_line(command: str) -> str:
    """Return a command line cut short, without what could move the cursor."""
    cut = command if len(command) <= _COMMAND_LENGTH else command[: _COMMAND_LENGTH - 3] + "..."
    return "".join(char if char.isprintable() else "?" for char in cut)


def _working_directory(process: Process) -> str | None:
    import psutil

    try:
        # psutil drops Linux's mark of a deleted directory, unless one has a name that ends so.
        return process.cwd() or None
    except (psutil.Error, OSError):
        return None

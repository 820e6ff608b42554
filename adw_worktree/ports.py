"""Ports: whether anybody holds one, and who listens."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_ADDRESSES = (
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET, "0.0.0.0"),
    (socket.AF_INET6, "::1"),
)
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


@dataclass(frozen=True, slots=True)
class Listener:
    port: int
    pid: int | None
    command: str
    cwd: str | None


def is_free(port: int) -> bool:
    return all(_can_bind(family, host, port) for family, host in _ADDRESSES)


def _can_bind(family: int, host: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except OSError as exc:
        return exc.errno in _NO_SUCH_FAMILY
    return True


def busy_ports(ports: Iterable[int]) -> set[int]:
    return {port for port in ports if not is_free(port)}


def listeners(ports: Collection[int]) -> dict[int, list[Listener]]:
    import psutil

    found: dict[int, list[Listener]] = {}
    if not ports:
        return found
    for c in psutil.net_connections(kind="tcp"):
        if c.status == psutil.CONN_LISTEN and c.laddr.port in ports:
            try:
                p = psutil.Process(c.pid) if c.pid else None
                cmd = " ".join(p.cmdline())[:80] if p else "another user's process"
                cwd = p.cwd() if p else None
            except psutil.Error:
                cmd, cwd = "?", None
            one = Listener(c.laddr.port, c.pid, cmd, cwd)
            if one not in found.setdefault(one.port, []):
                found[one.port].append(one)
    return found


def stop_servers(
    found: Iterable[Listener], worktree: Path, *, grace: float = 5.0
) -> tuple[list[Listener], list[Listener]]:
    import psutil

    s, l = [], []
    for one in found:
        if one.cwd and Path(one.cwd).is_relative_to(worktree.resolve()):
            psutil.Process(one.pid).terminate()
            s.append(one)
        else:
            l.append(one)
    return s, l

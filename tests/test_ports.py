"""Ports: every way of holding one is seen, and only a worktree's own servers are ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import settle

from adw_worktree.ports import Listener, busy_ports, is_free, listeners, stop_servers

Serve = Callable[..., subprocess.Popen[bytes]]

# Listens on a free port, writes it down, and goes on.
SERVER = """
import os, signal, socket, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", 0))
if "child" in sys.argv and os.fork() == 0:
    open("child", "w").write(str(os.getpid()))
    server.close()
    time.sleep(300)
open("port.tmp", "w").write(str(server.getsockname()[1]))
os.rename("port.tmp", "port")
time.sleep(300)
"""


def started(serve: Serve, directory: Path, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server in `directory` and return it with its port."""
    directory.mkdir(exist_ok=True)
    process = serve([sys.executable, "-c", SERVER, *words], directory)
    settle((directory / "port").exists, "the server never listened")
    return process, int((directory / "port").read_text())


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::1", "::"])
def held(request: pytest.FixtureRequest) -> Iterator[int]:
    """Return a port that is held at one address."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind((request.param, 0))
    except OSError:
        holder.close()
        pytest.skip("this machine has no IPv6")
    holder.listen()
    yield holder.getsockname()[1]
    holder.close()


def test_port_held_at_any_address_is_not_free(held: int) -> None:
    """Vite listens on ::1 alone, and looks free from 127.0.0.1."""
    assert not is_free(held)
    assert busy_ports([held]) == {held}


def test_released_port_is_free_again() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_udp_does_not_count() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with socket.socket() as tcp:
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                pytest.skip("the TCP port of that number is taken")
        assert is_free(port)


def test_listener_is_named_with_pid_command_and_directory(held: int) -> None:
    (one,) = listeners([held])[held]
    assert one.pid == os.getpid()
    assert one.cwd == os.getcwd()
    assert one.command


def test_nobody_listens_on_a_bound_port_that_does_not_listen() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        assert listeners([holder.getsockname()[1]]) == {}
    assert listeners([]) == {}


def test_command_lines_cannot_move_the_cursor(serve: Serve, tmp_path: Path) -> None:
    _, port = started(serve, tmp_path / "in", "\x1b[2J\n", "x" * 200)
    (one,) = listeners([port])[port]
    assert one.command.isprintable()
    assert len(one.command) <= 80


def all_of(ports: list[int]) -> list[Listener]:
    return [one for group in listeners(ports).values() for one in group]


def test_stop_ends_servers_inside_with_their_children_and_no_others(
    serve: Serve, tmp_path: Path
) -> None:
    """Another project's server on a port of ours is not ours to end."""
    inside, one = started(serve, tmp_path / "tree", "child")
    outside, two = started(serve, tmp_path / "tree-of-another")
    ended, left = stop_servers(all_of([one, two]), tmp_path / "tree")
    assert [server.pid for server in ended] == [inside.pid]
    assert [server.pid for server in left] == [outside.pid]
    child = int((tmp_path / "tree" / "child").read_text())
    settle(lambda: not is_running(child), "the child runs on")
    assert outside.poll() is None


def is_running(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_stubborn_server_is_killed(serve: Serve, tmp_path: Path) -> None:
    process, port = started(serve, tmp_path / "tree", "stubborn")
    ended, left = stop_servers(all_of([port]), tmp_path / "tree", grace=0.3)
    assert [server.pid for server in ended] == [process.pid]
    assert left == []


def test_stop_never_ends_this_process(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = all_of([server.getsockname()[1]])
        assert stop_servers(found, tmp_path) == ([], found)


def test_server_whose_directory_was_deleted_is_still_inside(serve: Serve, tmp_path: Path) -> None:
    process, port = started(serve, tmp_path / "tree")
    subprocess.run(["rm", "-rf", str(tmp_path / "tree")], check=True)
    ended, _ = stop_servers(all_of([port]), tmp_path / "tree")
    assert [server.pid for server in ended] == [process.pid]

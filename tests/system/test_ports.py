"""Ports: every way of holding one is seen, and only a worktree's own servers are ended."""

from __future__ import annotations

import _socket
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from adw_worktree.system.ports import Listener, busy_ports, is_free, listeners
from adw_worktree.system.servers import stop_servers
from tests.support.checkout import CHECKOUT
from tests.support.machine import settle

Serve = Callable[..., subprocess.Popen[bytes]]
Start = Callable[..., "Server"]

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


def own_addresses() -> list[str]:
    """Return the addresses of this machine that are not of its loopback device."""
    found = [one.address for some in psutil.net_if_addrs().values() for one in some
             if one.family in (socket.AF_INET, socket.AF_INET6)]  # fmt: skip
    plain = {address for address in found if "%" not in address}  # or it needs its device's number
    return sorted(address for address in plain if not ip_address(address).is_loopback)


@pytest.mark.parametrize("listening", [True, False], ids=["listening", "bound"])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_port_held_at_one_address_of_the_machine_is_not_free(
    family: socket.AddressFamily, listening: bool
) -> None:
    """A server at `::`, node's default, could not have it either."""
    mine = [one for one in own_addresses() if (":" in one) == (family == socket.AF_INET6)]
    if not mine:
        pytest.skip("this machine has no such address")
    with socket.socket(family, socket.SOCK_STREAM) as holder:
        holder.bind((mine[0], 0))
        if listening:
            holder.listen()
        port = holder.getsockname()[1]
        assert busy_ports([port]) == {port}
    assert busy_ports([port]) == set()


def test_ports_are_probed_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without it makes no such sockets; one with all of it switched off has no ::1."""
    real = socket.socket

    def without(family: int, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr(socket, "socket", without)
    with real() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux's network namespaces")
def test_ports_are_probed_where_ipv6_is_switched_off() -> None:
    look = (
        "import socket; from adw_worktree.system.ports import busy_ports; "
        "held = socket.create_server(('127.0.0.1', 21100)); print(busy_ports([21100, 21101]))"
    )
    off = "ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || exit 77"
    command = ["unshare", "--net", "sh", "-c", f'{off}; "$@"', "sh", sys.executable, "-c", look]
    try:
        ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if ran.returncode in (1, 77):
        pytest.skip("no network namespace can be made here")
    assert ran.stdout == "{21100}\n", ran.stderr


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


LISTEN = """
import json, os, signal, socket, subprocess, sys, time
door = socket.create_server(("127.0.0.1", 0))
def ready(*pids):
    print(json.dumps([door.getsockname()[1], *pids]), flush=True)
"""
"""How each server below begins; `ready` tells the test its port and the pids of its children."""

IDLE = LISTEN + "ready(); signal.pause()"
STUBBORN = LISTEN + "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(600)"
PARENT = LISTEN + (
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
    " cwd=sys.argv[1]); ready(child.pid); signal.pause()"
)
PREFORK = (
    LISTEN
    + """
def fork():
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
    return pid
ready(fork(), fork())
while True:
    os.wait()
    fork()
"""
)
"""A master that puts a new worker in the place of each that ends, as gunicorn does."""

STOPPED_BY_ITS_CHILD = (
    LISTEN
    + """
import pathlib
from adw_worktree.system.ports import listeners
from adw_worktree.system.servers import stop_servers
port = door.getsockname()[1]
master = os.getpid()
if os.fork() == 0:
    door.close()
    found = listeners([port])[port]
    stopped, left = stop_servers(found, pathlib.Path.cwd(), grace=0.3)
    print(json.dumps([port, [one.pid for one in stopped], [one.pid for one in left]]), flush=True)
    os._exit(0)
os.wait()
signal.pause()
"""
)


class Server:
    """A process that listens, and what it said when it was ready."""

    def __init__(self, process: subprocess.Popen[str], told: list[Any]) -> None:
        self.process = process
        self.pid = process.pid
        self.port: int = told[0]
        self.told = told[1:]

    def listener(self) -> Listener:
        """Return the process as `listeners` reports it."""
        (found,) = [one for one in listeners([self.port])[self.port] if one.pid == self.pid]
        return found


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a way to start a server; it and its children are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, cwd: Path, *args: str | bytes) -> Server:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *args],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        return Server(process, json.loads(process.stdout.readline()))

    yield begin
    for process in started:
        # Nobody has waited for it, so that the number of its group is still its own.
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # only the ended are left in it
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return the directory that stands for the worktree."""
    path = tmp_path / "tree"
    path.mkdir()
    return path


def hold(host: str, port: int = 0, *, listen: bool = True) -> socket.socket:
    """Return a socket that holds a port on `host`, an IPv6 wildcard with IPv4 as well."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        held = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        held.bind((host, port))
    except OSError as exc:
        if exc.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        pytest.skip(f"this machine has no {host}")
    if listen:
        held.listen()
    return held


def port_of(held: socket.socket) -> int:
    port = held.getsockname()[1]
    assert isinstance(port, int)
    return port


def free_port() -> int:
    with hold("0.0.0.0", listen=False) as held:
        return port_of(held)


def denied(*_: object, **__: object) -> NoReturn:
    raise psutil.AccessDenied


@pytest.mark.parametrize("listen", [True, False], ids=["listening", "bound"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"])
def test_port_bound_on_one_address_is_held(host: str, listen: bool) -> None:
    with hold(host, listen=listen) as held:
        port = port_of(held)
        assert not is_free(port)
        assert not is_free(port)
    assert is_free(port)


def test_probing_leaves_the_port_to_the_next_who_wants_it() -> None:
    port = free_port()
    assert is_free(port)
    hold("0.0.0.0", port).close()


def test_port_whose_connections_wind_down_is_held() -> None:
    with hold("127.0.0.1") as held:
        port = port_of(held)
        with socket.create_connection(("127.0.0.1", port)) as client:
            held.accept()[0].close()  # who closes first is the one to wind down
            assert client.recv(1) == b""
    assert not is_free(port)


@pytest.mark.parametrize(
    ("code", "free"),
    [
        (errno.EAFNOSUPPORT, True),
        (errno.EADDRNOTAVAIL, True),
        (errno.EADDRINUSE, False),
        (errno.EACCES, False),
        (errno.EMFILE, False),
    ],
    ids=lambda value: errno.errorcode[value] if value not in (True, False) else "",
)
def test_only_a_missing_address_family_is_passed_over(
    code: int, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(_socket.socket):
        def bind(self, address: Any) -> None:
            if self.family == socket.AF_INET6:
                raise OSError(code, os.strerror(code))
            super().bind(address)

    monkeypatch.setattr(_socket, "socket", Failing)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = port_of(held)
        assert not is_free(port)
    assert is_free(port) is free


def test_busy_ports_are_those_that_are_held() -> None:
    with hold("127.0.0.1") as one, hold("0.0.0.0") as two:
        held = {port_of(one), port_of(two)}
        assert busy_ports(iter([*held, free_port()])) == held
    assert busy_ports([]) == set()


def test_connection_is_no_listener() -> None:
    with hold("127.0.0.1") as held, socket.create_connection(held.getsockname()) as client:
        assert listeners([port_of(client)]) == {}


def test_process_with_several_sockets_on_a_port_is_named_once() -> None:
    with hold("127.0.0.1") as held, hold("::1", port_of(held)):
        assert [one.pid for one in listeners([port_of(held)])[port_of(held)]] == [os.getpid()]


def test_every_process_that_shares_a_socket_is_named(start: Start, tmp_path: Path) -> None:
    server = start(PREFORK, tmp_path)
    found = listeners([server.port])[server.port]
    assert sorted(one.pid or 0 for one in found) == sorted([server.pid, *server.told])
    assert {one.cwd for one in found} == {str(tmp_path)}


@pytest.mark.parametrize(
    "title",
    ["a\nb", "\x1b]0;owned\x07\x1b[2J", "$(touch x) 'q' \"q\"", "\u202etxt.exe", b"\xff\xfe"],
    ids=["newline", "escapes", "shell", "bidi", "not-utf8"],
)
def test_hostile_command_line_is_shown_as_one_short_printable_line(
    title: str | bytes, start: Start, tmp_path: Path
) -> None:
    # A process names itself as it likes; the interpreter's path would fill the line by itself.
    (tmp_path / "s").write_text(IDLE)
    argv = [os.fsencode(title), b"-c", b"exec(open('s').read())", b"x" * 500]
    renamed = f"import os; os.execv({sys.executable!r}, {argv!r})"
    one = start(renamed, tmp_path).listener()
    assert len(one.command) == 80
    assert one.command.isprintable()
    assert "exec(open('s').read()) xxx" in one.command


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_process_of_another_user_is_reported_without_pid() -> None:
    code = (
        "import os, sys, psutil\n"
        "from adw_worktree.system.ports import listeners\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(listeners([int(sys.argv[1])]))\n"
    )
    with hold("127.0.0.1") as held:
        port = port_of(held)
        shown = subprocess.check_output(
            [sys.executable, "-c", code, str(port)], cwd=CHECKOUT, text=True
        )
    assert shown.strip() == str({port: [Listener(port, None, "another user's process", None)]})


def test_without_the_tables_own_processes_are_asked(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "net_connections", denied)
    server = start(PREFORK, tmp_path)
    found = listeners([server.port, free_port()])
    assert found.keys() == {server.port}
    assert {one.pid for one in found[server.port]} == {server.pid, *server.told}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_without_the_tables_who_cannot_be_seen_is_known_by_its_answer(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "net_connections", denied)
    monkeypatch.setattr(psutil.Process, "net_connections", denied)
    with hold(host) as held, hold("127.0.0.1", listen=False) as bound:
        port = port_of(held)
        unseen = Listener(port, None, "another user's process", None)
        # Had it bound the ports to find out, the second would be reported as well.
        assert listeners([port, port_of(bound)]) == {port: [unseen]}


def test_stop_ends_an_http_server_in_a_directory_below(tree: Path) -> None:
    below = tree / "web app" / "$(dist)"
    below.mkdir(parents=True)
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, cwd=below, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split(" port ")[1].split()[0])
            found = listeners([port])[port]
            assert [one.pid for one in found] == [server.pid]
            assert stop_servers(found, tree) == (found, [])
            assert not is_running(server.pid)
        finally:
            server.kill()


def test_stop_asks_before_it_kills(start: Start, tree: Path) -> None:
    code = LISTEN + (
        "signal.signal(signal.SIGTERM, lambda *_: (open('saved', 'w').close(), sys.exit(7)))\n"
        "ready(); signal.pause()"
    )
    server = start(code, tree)
    stop_servers([server.listener()], tree, grace=60)
    assert (tree / "saved").exists()
    # The exit code is the caller's, whose child it may be: looking must not take it away.
    assert server.process.wait() == 7


def test_stop_ends_a_master_that_replaces_its_workers(start: Start, tree: Path) -> None:
    server = start(PREFORK, tree)
    found = listeners([server.port])[server.port]
    assert stop_servers(found, tree) == (found, [])
    assert not is_running(server.pid)
    assert listeners([server.port]) == {}


def test_stop_leaves_a_child_that_runs_elsewhere(start: Start, tree: Path, tmp_path: Path) -> None:
    # It may be the server of another worktree, or anything a person started from there.
    server = start(PARENT, tree, str(tmp_path))
    stop_servers([server.listener()], tree)
    assert not is_running(server.pid)
    assert is_running(server.told[0])


def test_stop_leaves_what_it_was_started_by(start: Start, tree: Path) -> None:
    server = start(STOPPED_BY_ITS_CHILD, tree)
    assert server.told == [[], [server.pid]]
    assert is_running(server.pid)


@pytest.mark.parametrize("name", ["tree-2", "tree (deleted)", "tree\n"])
def test_stop_leaves_a_server_in_a_directory_named_alike(
    name: str, start: Start, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    server = start(IDLE, tmp_path / name)
    one = server.listener()
    assert stop_servers([one], tree, grace=0.3) == ([], [one])
    assert is_running(server.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells where a deleted one was")
def test_stop_ends_children_of_a_server_whose_worktree_was_deleted(
    start: Start, tree: Path
) -> None:
    below = tree / "web"
    below.mkdir()
    servers = [start(PARENT, place, str(place)) for place in (tree, below)]
    below.rmdir()
    tree.rmdir()
    found = [server.listener() for server in servers]
    assert stop_servers(found, tree) == (found, [])
    assert not any(is_running(pid) for server in servers for pid in (server.pid, *server.told))


def test_stop_knows_the_worktree_by_a_symbolic_link(
    start: Start, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tree)
    server = start(IDLE, tree)
    one = server.listener()
    assert stop_servers([one], tmp_path / "link") == ([one], [])


def test_stop_leaves_a_process_that_got_the_number_of_a_server(
    start: Start, tree: Path, tmp_path: Path
) -> None:
    other = start(IDLE, tmp_path)
    before = Listener(other.port, other.pid, "the server of before", str(tree))
    assert stop_servers([before], tree, grace=0.3) == ([], [before])
    assert is_running(other.pid)


def test_stop_counts_a_server_that_ended_by_itself_as_ended(start: Start, tree: Path) -> None:
    server = start(IDLE, tree)
    one = server.listener()
    server.process.kill()
    server.process.wait()
    assert stop_servers([one], tree) == ([one], [])


def test_stop_claims_no_server_elsewhere_that_ended_by_itself(
    start: Start, tree: Path, tmp_path: Path
) -> None:
    server = start(IDLE, tmp_path)
    one = server.listener()
    server.process.kill()
    server.process.wait()
    assert stop_servers([one], tree) == ([], [one])


def test_stop_ends_what_a_server_starts_when_it_is_asked(start: Start, tree: Path) -> None:
    code = LISTEN + (
        "signal.signal(signal.SIGTERM, lambda *_: os.fork() or time.sleep(600))\n"
        "ready(); time.sleep(600)"
    )
    server = start(code, tree)
    stop_servers([server.listener()], tree, grace=1)
    # The child would hold the socket on.
    assert listeners([server.port]) == {}


def test_stop_leaves_what_cannot_be_seen(tree: Path) -> None:
    unseen = Listener(free_port(), None, "another user's process", None)
    assert stop_servers([unseen], tree) == ([], [unseen])
    assert stop_servers([], tree) == ([], [])

"""A network of its own for each host of a test: cut, cut one way, slowed down, and healed.

Linux alone, as root: a namespace for the servers with a bridge, and one for each host, on the
bridge by a pair of virtual devices. Nothing of the machine's own network is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SERVERS = "10.77.0.1"
"""The address of the servers, for all hosts."""


def lacks() -> str | None:
    """Return what is missing for networks to be made; None if nothing is."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces are made by root, on Linux"
    if shutil.which("ip") is None or shutil.which("iptables") is None:
        return "ip (iproute2) and iptables are not installed"
    name = f"adw-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return f"network namespaces cannot be made: {made.stderr.strip()}" if made.returncode else None


class Network:
    """The servers' namespace, and those of the hosts."""

    def __init__(self, place: Path, count: int) -> None:
        self._place = place
        self._mark = f"adw{os.getpid()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.names = [f"{self._mark}-{number}" for number in range(1, count + 1)]
        self.hub = f"{self._mark}-0"

    def make(self) -> None:
        """Make all of it."""
        _ip("netns", "add", self.hub)
        self._in(self.hub, "ip", "link", "set", "lo", "up")
        self._in(self.hub, "ip", "link", "add", "hub", "type", "bridge")
        self._in(self.hub, "ip", "link", "set", "hub", "up")
        self._in(self.hub, "ip", "address", "add", f"{SERVERS}/24", "dev", "hub")
        for number, name in enumerate(self.names, 1):
            _ip("netns", "add", name)
            link, end = _link(number), f"e{number}"
            self._in(self.hub, "ip", "link", "add", link, "type", "veth", "peer", "name", end)
            self._in(self.hub, "ip", "link", "set", end, "netns", name)
            self._in(self.hub, "ip", "link", "set", link, "master", "hub", "up")
            self._in(name, "ip", "link", "set", "lo", "up")
            self._in(name, "ip", "address", "add", f"10.77.0.{number + 1}/24", "dev", end)
            self._in(name, "ip", "link", "set", end, "up")

    def remove(self) -> None:
        """Take all of it away."""
        for process in self._processes:
            process.kill()
            process.wait()
        for name in [*self.names, self.hub]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def inside(self, number: int) -> list[str]:
        """Return the command that runs another in the namespace of a host; 0 is the servers'."""
        return ["ip", "netns", "exec", self.hub if number == 0 else self.names[number - 1]]

    # ---- what may happen --------------------------------------------------------------

    def cut(self, number: int) -> None:
        """Let nothing to a host, and nothing from it."""
        self._in(self.hub, "ip", "link", "set", _link(number), "down")

    def cut_one_way(self, number: int) -> None:
        """Let what a host sends arrive, and nothing come back."""
        self._in(self.names[number - 1], "iptables", "-A", "INPUT", "-s", SERVERS, "-j", "DROP")

    def slow_down(self, number: int, seconds: float) -> None:
        """Have all that goes to the servers from a host, and back, take so much longer."""
        self._delay(number).write_text(f"{seconds}")

    def heal(self, number: int) -> None:
        """Undo all of that."""
        self._in(self.hub, "ip", "link", "set", _link(number), "up")
        self._in(self.names[number - 1], "iptables", "-F", "INPUT")
        self.slow_down(number, 0.0)

    # ---- servers ----------------------------------------------------------------------

    def serve(self, number: int, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in a namespace that ends with the network."""
        with (self._place / "network.log").open("ab") as log:
            process = subprocess.Popen(
                [*self.inside(number), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def forward(self, number: int, ports: Sequence[tuple[int, int]]) -> None:
        """Lead ports of the servers' address to others, for a host that can be slowed down."""
        self.slow_down(number, 0.0)
        script = Path(__file__).with_name("slow_link.py")
        pairs = [f"{listened}:{target}" for listened, target in ports]
        self.serve(0, sys.executable, str(script), SERVERS, str(self._delay(number)), *pairs)

    def _delay(self, number: int) -> Path:
        return self._place / f"delay-{number}"

    @staticmethod
    def _in(name: str, *command: str) -> None:
        _ip("netns", "exec", name, *command)


@contextmanager
def networks(place: Path, count: int) -> Iterator[Network]:
    """Have a network for each of so many hosts, for the block."""
    network = Network(place, count)
    try:
        network.make()
        yield network
    finally:
        network.remove()


def _link(number: int) -> str:
    return f"h{number}"


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"

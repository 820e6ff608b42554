"""Hosts that share a store, on one machine: each with a home, a state and clones of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psutil

from adw_worktree.orchestration.store.opening import connect_to_server
from tests.support.command_line import Adw, Ran
from tests.support.machine import settle


class Host(Adw):
    """One host: its command line, and its worker."""

    def __init__(self, name: str, home: Path, clone: Path, url: str, **settings: str) -> None:
        super().__init__(clone)
        self.name, self.home, self.url = name, home, url
        self.environ = {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "ADW_STORE": url,
            **settings,
        }
        self.worker: subprocess.Popen[bytes] | None = None
        self.prefix: Sequence[str] = ()
        """What a process of this host is started by."""

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.home / "state" / "adw-worktree"

    def _run(self, args: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Ran:
        if not self.prefix:
            return super()._run(args, cwd, {**environ, **self.environ})
        done = subprocess.run(
            [*self.prefix, *self.command, *args],
            cwd=cwd,
            env={**environ, **self.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            text=True,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str, quiet: bool = False, **env: str) -> subprocess.Popen[str]:
        return super().start(*args, quiet=quiet, **{**self.environ, **env})

    def work(self, *options: str) -> None:
        """Start its worker, and wait until it serves."""
        self.start_worker(*options)
        settle(self.serves, f"{self.name} does not serve: {self.said()}")

    def start_worker(self, *options: str) -> None:
        """Start its worker."""
        log = (self.home / "worker.log").open("ab")
        self.worker = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "adw_worktree", "work", "--name", self.name,
             "--repo", str(self.directory), *options],
            cwd=self.directory,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )  # fmt: skip
        log.close()

    def stop_worker(self) -> None:
        """Stop its worker as a service manager does, and wait for its end."""
        assert self.worker is not None
        self.worker.terminate()
        self.worker.wait(60)
        self.worker = None

    def serves(self) -> bool:
        """Return whether the store knows that it works."""
        with closing(connect_to_server(self.url)) as database:
            found = database.execute(
                "SELECT 1 FROM hosts WHERE name = ? AND serving = 1", [self.name]
            )
            return bool(found) and (self.state / "phases" / "coordinator.bell").exists()

    def said(self) -> str:
        """Return what its worker has printed."""
        log = self.home / "worker.log"
        return log.read_text() if log.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """Return everything that runs there."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("XDG_STATE_HOME") == self.environ["XDG_STATE_HOME"]:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def signal(self, signum: signal.Signals) -> None:
        """Send everything that runs there a signal, until nothing new is met."""
        seen: set[int] = set()
        while new := [one for one in self.processes() if one.pid not in seen]:
            for process in new:
                seen.add(process.pid)
                try:
                    process.send_signal(signum)
                except psutil.Error:
                    continue

    def end(self) -> None:
        """Kill everything that runs there, as a power cut does."""
        settle(lambda: not self._killed(), f"{self.name} does not end")
        if self.worker is not None:
            self.worker.wait()
            self.worker = None

    def _killed(self) -> int:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        return len([one for one in self.processes() if one.is_running()
                    and one.status() != psutil.STATUS_ZOMBIE])  # fmt: skip


def make_hosts(
    place: Path, remote: Path, url: str, names: Sequence[str], **settings: str
) -> list[Host]:
    """Return hosts of these names, each with a clone of the remote."""
    hosts = []
    for name in names:
        home = place / name
        home.mkdir(parents=True)
        subprocess.run(["git", "clone", "-q", str(remote), str(home / "shop")], check=True)
        hosts.append(Host(name, home, home / "shop", url, **settings))
    return hosts

"""Hosts that share a store, on one machine: each with a home, a state and clones of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.opening import connect_to_server
from tests.support.command_line import Adw
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

    def _run(self, args: Any, cwd: Path, environ: Any) -> Any:
        return super()._run(args, cwd, {**environ, **self.environ})

    def work(self, *options: str) -> None:
        """Start its worker, and wait until it serves."""
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
        settle(self.serves, f"{self.name} does not serve: {self.said()}")

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

    def store(self) -> Database:
        """Open the store."""
        return connect_to_server(self.url)


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

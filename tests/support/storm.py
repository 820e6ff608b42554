"""A storm over hosts that share a store: links are cut, hosts are killed and suspended, the server
too, while features are worked on.

What is counted is seen from outside: each phase's command writes down when it lives, and what the
remote has in the end is read with git.
"""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.support import postgres_server, server_store
from tests.support.features import phase, write_feature
from tests.support.hosts import Host, make_hosts
from tests.support.machine import settle
from tests.support.network import SERVERS, Network, networks
from tests.support.postgres_server import Server
from tests.support.repositories import git, make_repo

LEASE = 5.0
_FEW = 10
"""Phases that are not completed: with fewer, another feature is started."""
_PORTS = {"store": 5432, "git": 9418}
_WOKEN_SECONDS = 2.0
"""For which a command may live after its host was suspended, until its runner has looked."""
_BEATS = """\
for _ in $(seq {beats}); do
  echo "$(date +%s.%N) $ADW_ATTEMPT {name}" >>{log}
  sleep 0.1
done
"""
_WORK = """\
[ -e $ADW_ID ] || {
  echo $ADW_ATTEMPT >>$ADW_ID
  git add $ADW_ID
  git commit -qm "worked on $ADW_ID"
}
"""
"""What was committed by an attempt that is gone on with is not done again."""


class Beat(NamedTuple):
    """A sign of life of a phase's command."""

    at: float
    attempt: str


class Storm:
    """Hosts, their servers, and what happens to them."""

    def __init__(self, place: Path, network: Network, server: Server, hosts: list[Host]) -> None:
        self._place, self.network, self._server = place, network, server
        self.hosts, self.counts = hosts, Counter[str]()
        self._noting = threading.Lock()
        self.faults: list[str] = []
        self._numbers = itertools.count(1)
        self._down: set[str] = set()
        """Hosts that are switched off."""
        self._resumed: dict[str, list[tuple[float, float]]] = defaultdict(list)
        """When it was begun to let each host go on that was suspended, and when that was done."""
        self.person = hosts[0]
        self.log = place / "beats"
        self.log.mkdir()

    # ---- work -------------------------------------------------------------------------

    def start_feature(self, rng: random.Random) -> None:
        """Start a feature: a diamond of five phases of half a second to three."""
        slug = f"f{next(self._numbers)}"
        needs = {1: [], 2: [1], 3: [1], 4: [1], 5: [2, 3, 4]}
        phases = [
            phase(
                number,
                self._beats(slug, number, rng.randint(5, 30)),
                _WORK,
                needs=before,
                attempts=1000,
            )
            for number, before in needs.items()
        ]
        file = write_feature(self.person, slug, *phases)
        self.person("feature", "start", str(file), "--yes", "--max-running", "8")

    def _beats(self, slug: str, number: int, count: int) -> str:
        return _BEATS.format(beats=count, name=slug, log=self.log / f"{slug}.{number}")

    def is_done(self) -> bool:
        """Return whether every phase of every feature is completed."""
        listed = self._server.run("SELECT status FROM phases", database=self.database)
        return {*listed} == {"completed"}

    @property
    def database(self) -> str:
        """The name of the store's database."""
        return self.person.url.partition("?")[0].rpartition("/")[2]

    # ---- weather ----------------------------------------------------------------------

    def blow(self, rng: random.Random, seconds: float) -> None:
        """Let things happen to all hosts for a while, with work going on; then heal all."""
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(len(self.hosts)) as threads:
            weathers = [
                threads.submit(self._weather, number, random.Random(rng.random()), end)
                for number in range(len(self.hosts))
            ]
            while time.monotonic() < end:
                self._see_to_all()
                with suppress(psycopg.OperationalError, AssertionError):  # the server is just away
                    if self._count("phases WHERE status <> 'completed'") < _FEW:
                        self.start_feature(rng)
                time.sleep(0.2)
        for weather in weathers:
            weather.result()
        self.calm()

    def _weather(self, number: int, rng: random.Random, end: float) -> None:
        """Let things happen to a host, or to the server if it is that of the person."""
        troubles = [self._kill_server] if number == 0 else [
            self._cut, self._cut, self._cut_one_way, self._slow, self._kill, self._kill_worker,
            self._suspend,
        ]  # fmt: skip
        while True:
            time.sleep(rng.uniform(0.0, 6.0 if number else 40.0))
            if time.monotonic() > end:
                return
            rng.choice(troubles)(number, rng)

    def calm(self) -> None:
        """Heal what is broken, and have every host work."""
        for number, host in enumerate(self.hosts):
            if number:
                self.network.heal(number)
                host.signal(signal.SIGCONT)
        self._down.clear()
        self._see_to_all()

    def _note(self, what: str) -> None:
        with self._noting:
            self.counts[what] += 1

    def _count(self, what: str) -> int:
        return int(self._server.run(f"SELECT count(*) FROM {what}", database=self.database)[0])

    def _cut(self, number: int, rng: random.Random) -> None:
        self.network.cut(number)
        self._note("cuts")
        self._while_broken(number, rng)

    def _cut_one_way(self, number: int, rng: random.Random) -> None:
        self.network.cut_one_way(number)
        self._note("cuts")
        self._while_broken(number, rng)

    def _slow(self, number: int, rng: random.Random) -> None:
        self.network.slow_down(number, rng.uniform(0.05, 0.4))
        self._note("delays")
        self._while_broken(number, rng)

    def _while_broken(self, number: int, rng: random.Random) -> None:
        time.sleep(rng.uniform(0.5, 2.5 * LEASE))
        self.network.heal(number)

    def _kill(self, number: int, rng: random.Random) -> None:
        host = self.hosts[number]
        self._down.add(host.name)
        host.end()
        self._note("kills")
        time.sleep(rng.uniform(0.0, 2.0 * LEASE))
        self._down.discard(host.name)

    def _kill_worker(self, number: int, _rng: random.Random) -> None:
        """Kill the worker alone: what runs goes on."""
        worker = self.hosts[number].worker
        if worker is not None:
            worker.kill()
            self._note("kills")

    def _suspend(self, number: int, rng: random.Random) -> None:
        host = self.hosts[number]
        host.signal(signal.SIGSTOP)
        self._note("suspensions")
        time.sleep(rng.uniform(0.5, 2.5 * LEASE))
        began = time.time()
        host.signal(signal.SIGCONT)
        self._resumed[host.name].append((began, time.time()))

    def _kill_server(self, _number: int, rng: random.Random) -> None:
        self._server.kill()
        self._note("server kills")
        time.sleep(rng.uniform(0.0, LEASE))
        self._server.start()

    def _see_to_all(self) -> None:
        """Have a worker on each host that is not switched off, as service managers do."""
        for host in self.hosts[1:]:
            ended = host.worker is None or host.worker.poll() is not None
            if ended and host.name not in self._down:
                host.start_worker()

    def wait(self) -> None:
        """Wait until every phase is completed."""
        settle(self._is_done_or_seen_to, "not all phases are completed")

    def _is_done_or_seen_to(self) -> bool:
        self._see_to_all()
        return self.is_done()

    # ---- what came of it --------------------------------------------------------------

    def judge(self, remote: Path) -> Counter[str]:
        """Return what was done, and what must not have been."""
        counts = self.counts
        ran_on = dict(self._pairs("SELECT token || ' ' || host FROM attempts"))
        counts["attempts"] = len(ran_on)
        counts["taken over"] = self._count("attempts WHERE end_reason = 'lost'")
        slugs = self._server.run("SELECT slug FROM features ORDER BY id", database=self.database)
        counts["features"] = len(slugs)
        for slug in slugs:
            subjects = git("log", "--format=%s", f"feature/{slug}", cwd=remote).splitlines()
            for number in range(1, 6):
                counts["phases"] += 1
                done = subjects.count(f"worked on {slug}-p{number}")
                counts["lost"] += done == 0
                counts["applied twice"] += done > 1
                if done != 1:
                    self.faults.append(f"{slug}.{number} is {done} times in the branch")
                self._judge_beats(self.log / f"{slug}.{number}", ran_on)
        return counts

    def _judge_beats(self, file: Path, ran_on: dict[str, str]) -> None:
        """Count attempts that lived while another one of their phase did."""
        beats = [_beat(line) for line in file.read_text().splitlines() if line.count(" ") == 2]
        first: dict[str, float] = {}
        for beat in sorted(beats):
            first.setdefault(beat.attempt, beat.at)
        overlaps = {
            beat.attempt: beat.at
            for beat in beats
            if any(began > first[beat.attempt] and beat.at > began for began in first.values())
        }
        for attempt, at in overlaps.items():
            woken = any(
                began <= at <= ended + _WOKEN_SECONDS
                for began, ended in self._resumed[ran_on.get(attempt, "")]
            )
            self.counts["woken from suspension" if woken else "twice at once"] += 1
            if not woken:
                self.faults.append(f"{file.name}: {attempt} lived at {at}; {first}")

    def _pairs(self, query: str) -> Iterator[tuple[str, str]]:
        for line in self._server.run(query, database=self.database):
            first, _, second = str(line).partition(" ")
            yield first, second


def _beat(line: str) -> Beat:
    at, attempt, _ = line.split(" ")
    return Beat(float(at), attempt)


@contextmanager
def storms(place: Path, count: int) -> Iterator[tuple[Storm, Path]]:
    """Have so many hosts at work, each in a network of its own, for the block; and their remote."""
    programs = postgres_server.programs()
    assert programs is not None
    place.mkdir(exist_ok=True)
    with networks(place, count) as network:
        server = Server(programs, network.inside(0), listen_addresses=SERVERS)
        try:
            remote = _serve_git(place, network)
            url = server_store.made(server)
            hosts = _hosts(place, network, remote, url, count)
            storm = Storm(place, network, server, hosts)
            try:
                for host in hosts[1:]:
                    host.start_worker()
                settle(
                    lambda: len(server.run("SELECT name FROM hosts WHERE serving = 1",
                                           database=storm.database)) == count,
                    "not all hosts work",
                )  # fmt: skip
                yield storm, remote
            finally:
                for host in hosts:
                    host.end()
        finally:
            server.kill()
            server.discard()


def _serve_git(place: Path, network: Network) -> Path:
    """Serve a repository that all hosts may push to; return it."""
    remote = place / "git" / "shop.git"
    git("clone", "-q", "--bare", str(make_repo(place / "first")), str(remote), cwd=place)
    network.serve(
        0, "git", "daemon", "--reuseaddr", "--export-all", "--enable=receive-pack",
        f"--base-path={place / 'git'}", f"--listen={SERVERS}", f"--port={_PORTS['git']}",
    )  # fmt: skip
    return remote


def _hosts(place: Path, network: Network, remote: Path, url: str, count: int) -> list[Host]:
    """Return the host of a person, which does not work, and those that do."""
    names = ["person", *(f"host{number}" for number in range(1, count + 1))]
    settings = {"ADW_LEASE": f"{LEASE:g}", "GIT_ALLOW_PROTOCOL": "file:git"}
    hosts = make_hosts(place / "hosts", remote, url, names, **settings)
    database = url.partition("?")[0].rpartition("/")[2]
    for number, host in enumerate(hosts):
        ports = {name: port + 1000 * number for name, port in _PORTS.items()}
        host.prefix = network.inside(number)
        if number:
            pairs = [(ports[name], port) for name, port in _PORTS.items()]
            network.forward(number, pairs)
            host.environ["ADW_STORE"] = (
                f"postgresql://postgres@{SERVERS}:{ports['store']}/{database}"
            )
        address = f"git://{SERVERS}:{ports['git']}/shop.git"
        subprocess.run(
            ["git", "-C", str(host.directory), "remote", "set-url", "origin", address], check=True
        )
    return hosts

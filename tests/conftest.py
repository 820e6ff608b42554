"""Every test is sealed: its own HOME, state, configuration and ports; nothing of the machine's."""

from __future__ import annotations

import fnmatch
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import npm_packages
import postgres_server
import pytest

# The real home, before any test is sealed: nothing may write there.
_REAL_HOME = Path.home()

T = TypeVar("T")

# Before any test is sealed, which takes ADW_* away.
_STRESS = os.environ.get("ADW_STRESS", "0") not in ("", "0")
_STRESS_SIZE = os.environ.get("ADW_STRESS_SIZE", "")
_TALLY = os.environ.get("ADW_STRESS_TALLY", "")


def stress_size(default: T, full: T) -> T:
    """Return how much a test does: `full` under ADW_STRESS, which `nox -s stress` sets.

    ADW_STRESS_SIZE lowers a number.
    """
    if not _STRESS:
        return default
    lowered = bool(_STRESS_SIZE) and isinstance(full, int) and full > int(_STRESS_SIZE)
    return type(full)(_STRESS_SIZE) if lowered else full  # type: ignore[call-arg]


def pytest_configure(config: pytest.Config) -> None:
    """Keep what Hypothesis stores, with or without a database, out of the checkout."""
    from hypothesis.configuration import set_hypothesis_home_dir

    directory = tempfile.TemporaryDirectory()
    config.add_cleanup(directory.cleanup)
    set_hypothesis_home_dir(directory.name)


@pytest.fixture(scope="session", autouse=True)
def heard_signals() -> None:
    """Undo what a shell's `&` and `nohup` do: children would inherit signals that are ignored."""
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(signum) == signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def sealed_env(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home of its own, and git no configuration but what is written here."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("GIT_", "ADW_", "XDG_", "PG")) or name == "PYTEST_ADDOPTS":
            monkeypatch.delenv(name)
    settings = {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "ADW_SERVICES": free_services(),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / "missing-gitconfig"),
        "GIT_AUTHOR_NAME": "A U Thor",
        "GIT_AUTHOR_EMAIL": "author@example.com",
        "GIT_COMMITTER_NAME": "C O Mitter",
        "GIT_COMMITTER_EMAIL": "committer@example.com",
        "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
        "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    monkeypatch.setenv("PATH", f"{silent_managers(home)}{os.pathsep}{os.environ['PATH']}")
    assert Path.home() != _REAL_HOME
    return home


def silent_managers(home: Path) -> Path:
    """Return a directory of service managers that do not answer: the machine's would start what a
    test installs, and end what its user did."""
    directory = home / "managers"
    directory.mkdir()
    for name in ("systemctl", "launchctl"):
        (directory / name).write_text("#!/bin/sh\nexit 1\n")
        (directory / name).chmod(0o755)
    return directory


def free_services() -> str:
    """Return bases for `backend` and `frontend` whose 100 ports each are free just now.

    Others than last time, since connections to those may still wind down.
    """
    block = own_block()
    choice = random.SystemRandom()
    while True:
        base = choice.randrange(block + 1, block + 800)
        if all(_is_bindable(port) for port in range(base, base + 200)):
            return f"backend={base},frontend={base + 100}"


@cache
def own_block() -> int:
    """Return the first of 1000 ports that no other test process uses, of this run or another's.

    Whoever has the first of them bound has them all. They lie below the ephemeral ranges of Linux
    and macOS, so that no outgoing connection takes one.
    """
    blocks = list(range(12000, 32000, 1000))
    random.SystemRandom().shuffle(blocks)
    for start in blocks:
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind(("127.0.0.1", start))
        except OSError:
            claim.close()
            continue
        _CLAIMS.append(claim)
        return start
    return blocks[0]


_CLAIMS: list[socket.socket] = []


def _is_bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def git(*args: str, cwd: Path, check: bool = True) -> str:
    """Run git as a person would and return its stdout."""
    done = subprocess.run(
        ["git", *args], cwd=cwd, check=False, capture_output=True, text=True, errors="replace"
    )
    if check and done.returncode != 0:
        raise AssertionError(f"git {args} exited {done.returncode}: {done.stderr}")
    return done.stdout


def make_repo(path: Path) -> Path:
    """Make a repository with one commit on `main`."""
    path.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", cwd=path)
    (path / "README").write_text("hello\n")
    git("add", "README", cwd=path)
    git("commit", "--quiet", "-m", "first", cwd=path)
    return path


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a fresh repository with one commit on `main`."""
    return make_repo(tmp_path / "repo")


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """Mount a file system of its own at `place`; skip the test where that cannot be."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "adw-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True)  # or it was already


def anywhere(directory: Path, pattern: str) -> list[Path]:
    """Return what has such a name below `directory`, from which others may be deleting."""
    return [
        Path(folder, name)
        for folder, folders, files in os.walk(directory)
        for name in fnmatch.filter([*folders, *files], pattern)
    ]


def branches(repo: Path) -> set[str]:
    return set(git("for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=repo).split())


def worktrees(repo: Path) -> list[str]:
    listed = git("worktree", "list", "--porcelain", cwd=repo).splitlines()
    return [line.removeprefix("worktree ") for line in listed if line.startswith("worktree ")]


def settle(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition()` holds, for a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def managed_hook(adw: Adw, event: str) -> Path:
    """Return the script that git runs, which stands where its version has it."""
    states = adw.json("hooks", "status")["hooks"]
    return next(Path(one["path"]) for one in states if one["event"] == event)


def user_hook(moment: str, command: str) -> None:
    """Set a hook in the user's own settings, where it needs no approval."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f'[hooks]\n{moment} = ["""{command}"""]\n')


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    postgres_server.discard_all()
    npm_packages.discard_all()


@pytest.fixture
def postgres() -> Iterator[postgres_server.Server]:
    """Return a running PostgreSQL server; skip the test where none is installed."""
    if postgres_server.programs() is None:
        pytest.skip("PostgreSQL is not installed")
    server = postgres_server.running()
    server.clear()  # of what a test that kills left
    yield server


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        assert document["schema_version"] == 1
        return document


class Adw:
    """Runs the command line in a real process, in a repository."""

    command: tuple[str, ...] = (sys.executable, "-m", "adw_worktree")

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(
        self, *args: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> Ran:
        done = subprocess.run(
            [*self.command, *args],
            cwd=cwd or self.directory,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=120,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert code is None or ran.code == code, (
            f"{args}: exit {ran.code}\n{ran.stdout}{ran.stderr}"
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    def json(
        self, *args: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> dict[str, Any]:
        """Run with `--json` and return the document."""
        return self(*args, "--json", cwd=cwd, code=code, **env).json

    def start(self, *args: str, quiet: bool = False, **env: str) -> subprocess.Popen[str]:
        """Start it and return the process; `quiet` without pipes, which orphans would keep open."""
        stream = subprocess.DEVNULL if quiet else subprocess.PIPE
        return subprocess.Popen(
            [*self.command, *args],
            cwd=self.directory,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            text=True,
        )


@pytest.fixture
def adw(repo: Path) -> Adw:
    """Return the command line in the fresh repository."""
    return Adw(repo)


@pytest.fixture
def serve() -> Iterator[Callable[[Sequence[str], Path], subprocess.Popen[bytes]]]:
    """Return a way to start processes that are ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: Sequence[str], cwd: Path) -> subprocess.Popen[bytes]:
        null = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=cwd, stdin=null, stdout=null, stderr=null)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def count(event: str, number: int = 1) -> None:
    """Note `number` of `event` for the table of `nox -s stress`; nothing outside of it."""
    if _TALLY and number:
        line = json.dumps({"event": event, "number": number}) + "\n"
        with open(_TALLY, "a", encoding="utf-8") as file:  # one short write: whole lines
            file.write(line)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count failed tests, in the process that runs them."""
    if report.failed and not hasattr(report, "node"):
        count("failed tests")


@pytest.fixture
def tally() -> Callable[..., None]:
    """Return the way to note an event for the table of `nox -s stress`."""
    return count

"""Every test is sealed: its own HOME, state, configuration and ports; nothing of the machine's."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

from tests.support import agent_programs, browser, npm_packages, postgres_server, server_store
from tests.support.board import BoardProcess, serving
from tests.support.command_line import Adw
from tests.support.features import state_dir
from tests.support.free_ports import free_services
from tests.support.machine import silent_managers
from tests.support.model_server import ModelServer
from tests.support.repositories import make_repo
from tests.support.stress_size import count

# The real home, before any test is sealed: nothing may write there.
_REAL_HOME = Path.home()
# Variables that no test is to inherit: of git, GitHub, of ours, and of the agents' programs.
_OTHERS = (
    "GIT_", "GITHUB_", "GH_", "ADW_", "XDG_", "PG", "CLAUDE", "ANTHROPIC_", "CODEX_", "OPENAI_",
)  # fmt: skip


_PARTS = ("few", "thorough", "rest")
"""Of all tests and their variants: what takes little time, what takes long, and what is left."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep what Hypothesis stores out of the checkout, and its tests free of a deadline."""
    from hypothesis import settings
    from hypothesis.configuration import set_hypothesis_home_dir

    directory = tempfile.TemporaryDirectory()
    config.add_cleanup(directory.cleanup)
    set_hypothesis_home_dir(directory.name)
    # No test is held to a time: the machine may be busy with others.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be a part of all."""
    told = "every tenth variant of each quick test, of each thorough one, or all the others"
    choices = ("all", *_PARTS)
    parser.addoption("--variants", choices=choices, default="all", help=told)
    stores = ("file", "server")
    parser.addoption("--store", choices=stores, default="file", help="where phases are kept")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for another part: all parts together are all."""
    if config.getoption("store") == "server":
        of_file = [item for item in items if item.get_closest_marker("file_store")]
        items[:] = [item for item in items if item not in of_file]
        config.hook.pytest_deselected(items=of_file)
    wanted = config.getoption("variants")
    if wanted == "all":
        return
    known: Counter[str] = Counter()
    parts: dict[str, list[pytest.Item]] = {name: [] for name in _PARTS}
    for item in items:
        name = item.nodeid.partition("[")[0]
        one_of_few = "few" if item.get_closest_marker("thorough") is None else "thorough"
        parts[one_of_few if known[name] % 10 == 0 else "rest"].append(item)
        known[name] += 1
    items[:] = parts.pop(wanted)
    config.hook.pytest_deselected(items=[item for others in parts.values() for item in others])


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
        if name.startswith(_OTHERS) or name == "PYTEST_ADDOPTS":
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


@pytest.fixture(autouse=True)
def shared_store(
    request: pytest.FixtureRequest, sealed_env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--store=server`, have each test's phases on a server, and this host work on it."""
    if request.config.getoption("store") == "server":
        server = request.getfixturevalue("postgres")
        monkeypatch.setenv("ADW_STORE", server_store.made(server))
        server_store.serve_here(state_dir())


@pytest.fixture
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a fresh repository with one commit on `main`."""
    made = make_repo(tmp_path / "repo")
    if request.config.getoption("store") == "server":
        server_store.give_remote(made, tmp_path / "remote.git")
    return made


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    postgres_server.discard_all()
    npm_packages.discard_all()
    browser.discard_all()


@pytest.fixture
def postgres() -> Iterator[postgres_server.Server]:
    """Return a running PostgreSQL server; skip the test where none is installed."""
    if postgres_server.programs() is None:
        pytest.skip("PostgreSQL is not installed")
    server = postgres_server.running()
    server.clear()  # of what a test that kills left
    yield server


@pytest.fixture
def model(sealed_env: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """Return a model that follows a script; `claude` and `codex` are the real ones, and ask it.

    Skip the test where they cannot be installed.
    """
    programs = agent_programs.directory()
    if programs is None:
        pytest.skip("npm cannot install Claude Code and Codex here")
    with ModelServer() as server:
        for name, value in server.environment(sealed_env).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        yield server


@pytest.fixture
def adw(repo: Path) -> Adw:
    """Return the command line in the fresh repository."""
    return Adw(repo)


@pytest.fixture
def board(adw: Adw) -> Iterator[BoardProcess]:
    """Return a board that runs; whatever it has started is ended with the test."""
    with serving(adw) as process:
        yield process


@pytest.fixture
def users_board(adw: Adw) -> Iterator[BoardProcess]:
    """Return a board that people log in to."""
    with serving(adw, "--users") as process:
        yield process


@pytest.fixture
def page(board: BoardProcess) -> Iterator[Page]:
    """Return a browser's page that shows the board; what a script does wrong fails the test."""
    if browser.program() is None:
        pytest.skip("no Chromium is installed")
    with browser.opened() as opened:
        opened.page.goto(board.link)
        opened.page.get_by_role("heading", level=1).wait_for()
        yield opened.page


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


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count failed tests, in the process that runs them."""
    if report.failed and not hasattr(report, "node"):
        count("failed tests")


@pytest.fixture
def tally() -> Callable[..., None]:
    """Return the way to note an event for the table of `nox -s stress`."""
    return count

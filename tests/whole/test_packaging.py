"""What people install: the wheel, the sdist, and the way to pip on a Python without it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from email import message_from_string
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from adw_worktree import __version__
from adw_worktree.system.shipped import shipped_text
from scripts.docs.manpage import write_pages
from tests.support.checkout import CHECKOUT
from tests.support.repositories import git

NAME = f"adw_worktree-{__version__}"
INFO = f"{NAME}.dist-info"
MAN_PAGES = {
    f"{NAME}.data/data/share/man/man1/{name}" for name in ("adw-worktree.1", "git-adw-worktree.1")
}
FOLDERS = [
    ".ci",
    ".github",
    "adw_worktree",
    "benchmarks",
    "deploy",
    "docs",
    "hooks",
    "scripts",
    "templates",
    "tests",
]
FILES = [
    ".dockerignore",
    ".git-blame-ignore-revs",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Containerfile",
    "LICENSE",
    "README.md",
    "install.sh",
    "mkdocs.yml",
    "noxfile.py",
    "pyproject.toml",
    "test.sh",
]
# Read before any test is sealed, which takes ADW_* away.
_DIST = os.environ.get("ADW_DIST")
LITTER = ["trees/a/file", "agents/port_allocations.json", ".env.ports", "build/old.py", "secret"]
"""What lies in a checkout that is worked in."""


def files_of(*folders: str) -> set[str]:
    """Return the files in folders of the checkout that are to be shipped."""
    found = [path for folder in folders for path in (CHECKOUT / folder).rglob("*")]
    return {
        path.relative_to(CHECKOUT).as_posix()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and from it the wheel, of a copy of the checkout with litter in it.

    `nox -s build` has built them, and says where.
    """
    if _DIST is not None:
        return Path(_DIST)
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        if (CHECKOUT / folder).is_dir():
            shutil.copytree(CHECKOUT / folder, source / folder)
    for name in FILES:
        if (CHECKOUT / name).is_file():
            shutil.copyfile(CHECKOUT / name, source / name)
    for name in LITTER:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("litter\n")
    built = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return built


@pytest.fixture
def wheel(dist: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(dist / f"{NAME}-py3-none-any.whl") as opened:
        yield opened


def test_wheel_has_the_package_with_hooks_and_templates_and_nothing_else(
    wheel: zipfile.ZipFile,
) -> None:
    shipped = {f"adw_worktree/_shipped/{name}" for name in files_of("hooks", "templates")}
    told = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert set(wheel.namelist()) == (
        files_of("adw_worktree") | shipped | {f"{INFO}/{name}" for name in told} | MAN_PAGES
    )
    assert "adw_worktree/py.typed" in wheel.namelist()
    assert {name.split("/")[2] for name in shipped} == {"hooks", "templates"}


def test_wheel_has_the_man_pages_of_this_very_command_line(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    for page in write_pages(tmp_path):
        shipped = wheel.read(f"{NAME}.data/data/share/man/man1/{page.name}")
        assert shipped == page.read_bytes()


def test_sdist_has_all_that_a_build_and_a_test_run_need_and_no_litter(dist: Path) -> None:
    with tarfile.open(dist / f"{NAME}.tar.gz") as opened:
        names = {name.removeprefix(f"{NAME}/") for name in opened.getnames()}
    present = {name for name in FILES if (CHECKOUT / name).is_file()}
    assert names == files_of(*FOLDERS) | present | {"PKG-INFO"}


def test_sdist_has_what_is_committed_and_no_more(dist: Path) -> None:
    """A file of the developer's own that is uploaded cannot be called back."""
    if _DIST is None or not (CHECKOUT / ".git").exists() or git("status", "-s", cwd=CHECKOUT):
        pytest.skip("what is built here is no release")
    with tarfile.open(dist / f"{NAME}.tar.gz") as opened:
        names = {name.removeprefix(f"{NAME}/") for name in opened.getnames()}
    assert names == {*git("ls-files", cwd=CHECKOUT).split(), "PKG-INFO"}


def test_no_file_is_tracked_that_git_is_to_ignore() -> None:
    """The sdist would lack it, and whoever runs the code would change it."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("this is no checkout")
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard", cwd=CHECKOUT) == ""


def test_metadata_says_what_it_is_and_what_it_needs(wheel: zipfile.ZipFile) -> None:
    metadata = message_from_string(wheel.read(f"{INFO}/METADATA").decode())
    assert metadata["Name"] == "adw-worktree"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    needed = [one for one in metadata.get_all("Requires-Dist", []) if "extra ==" not in one]
    assert sorted(needed) == [
        "filelock>=4.2.1",
        "ftfy>=6.1",
        "genai-prices>=0.2",
        "gitpython>=3.1.43",
        "httpx2>=2",
        "markdown-it-py>=3",
        "platformdirs>=4",
        "psutil>=6",
        "pydantic>=2.7",
        "pyyaml>=6.0.1",
        "rich>=13",
        "tenacity>=9",
        "watchdog>=7.1",
    ]
    classifiers = metadata.get_all("Classifier", [])
    for version in ("3.11", "3.12", "3.13", "3.14"):
        assert f"Programming Language :: Python :: {version}" in classifiers


def test_both_commands_start_the_command_line(wheel: zipfile.ZipFile) -> None:
    entries = ConfigParser()
    entries.read_string(wheel.read(f"{INFO}/entry_points.txt").decode())
    assert dict(entries["console_scripts"]) == {
        "adw-worktree": "adw_worktree.__main__:run",
        "git-adw-worktree": "adw_worktree.__main__:run",
    }


def test_installed_package_works_without_the_checkout(
    wheel: zipfile.ZipFile, tmp_path: Path, repo: Path
) -> None:
    site = tmp_path / "site"
    wheel.extractall(site)
    ask = (
        "import adw_worktree, sys\n"
        "from adw_worktree.system.shipped import shipped_text\n"
        "print(adw_worktree.__file__)\n"
        "sys.stdout.write(shipped_text('hooks', 'git-hook.sh'))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=repo, env=env, check=True, capture_output=True, text=True
    )
    home, _, hook = done.stdout.partition("\n")
    assert Path(home).is_relative_to(site)
    assert hook == shipped_text("hooks", "git-hook.sh")
    command = [sys.executable, "-m", "adw_worktree", "create", "a"]
    subprocess.run(command, cwd=repo, env=env, check=True, capture_output=True)
    assert "BACKEND_PORT" in (repo / "trees" / "a" / ".env.ports").read_text()


class Index:
    """A package index of made-up pips on a port of this machine."""

    def __init__(self, root: Path) -> None:
        self.page = root / "simple" / "pip" / "index.html"
        self.page.parent.mkdir(parents=True)
        self.page.write_text("<!DOCTYPE html><body>\n")
        handler = partial(_Quiet, directory=str(root))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    def offer(self, version: str, attributes: str = "", sha256: str = "") -> None:
        """Add a wheel that, when it is run, writes its version to the file `ran`."""
        path = self.page.with_name(f"pip-{version}-py3-none-any.whl")
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("pip/__main__.py", f"open('ran', 'w').write('{version}')\n")
        sha256 = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
        with self.page.open("a") as page:
            page.write(f'<a href="{path.name}#sha256={sha256}" {attributes}>{path.name}</a>\n')


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index")
    thread = threading.Thread(target=index.server.serve_forever)
    thread.start()
    yield index
    index.server.shutdown()
    index.server.server_close()
    thread.join()


@pytest.fixture
def fetch_pip(index: Index, tmp_path: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Return a way to run the script against the made-up index."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    env |= {"PIP_INDEX_URL": f"{index.url}/", "no_proxy": "127.0.0.1"}
    script = str(CHECKOUT / "scripts" / "bootstrap" / "fetch_pip.py")

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, script],
            cwd=tmp_path,
            env=env,
            check=False,
            capture_output=True,
            text=True,
        )

    return run


def test_latest_pip_that_fits_installs_itself(
    index: Index, fetch_pip: Callable[[], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    index.offer("10.0")
    index.offer("9.9.9")
    index.offer("10.1", 'data-requires-python="&gt;=3.8,!=3.9.0"')
    index.offer("11.0", 'data-requires-python="&gt;=99.1"')
    index.offer("12.0", 'data-yanked="broken"')
    index.offer("13.0b1")
    done = fetch_pip()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ran").read_text() == "10.1"


def test_pip_with_another_checksum_is_never_run(
    index: Index, fetch_pip: Callable[[], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """What a broken or hostile mirror sends would run as the user."""
    index.offer("10.0", sha256="0" * 64)
    done = fetch_pip()
    assert done.returncode == 1
    assert "pip-10.0-py3-none-any.whl does not have the checksum" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_no_pip_at_the_index_is_said_with_what_to_do(
    fetch_pip: Callable[[], subprocess.CompletedProcess[str]],
) -> None:
    done = fetch_pip()
    assert done.returncode == 1
    assert "error: 127.0.0.1 has no pip for this Python\nhint: " in done.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Return a way to run install.sh for the sealed home."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(CHECKOUT / "install.sh")],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("name", ["adw-worktree", "git-adw-worktree"])
def test_install_leaves_the_command_of_another_installer(
    installed: Callable[[], subprocess.CompletedProcess[str]], sealed_env: Path, name: str
) -> None:
    """A command that pipx or the user put there would be lost."""
    other = sealed_env / ".local" / "bin" / name
    other.parent.mkdir(parents=True)
    other.write_text("theirs\n")
    done = installed()
    assert done.returncode == 1
    assert f"error: {other} exists" in done.stderr
    assert other.read_text() == "theirs\n"
    assert not (sealed_env / ".local" / "share").exists()

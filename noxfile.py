"""The developer's verbs. `nox` runs tests, lint, types and build; `nox -l` lists all."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types", "build"]
nox.options.reuse_existing_virtualenvs = True

LINTERS = {"bench", "docs", "lint", "types"}
"""The extras that no test needs."""


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, a few variants of each; what follows `--` goes to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "--numprocesses=auto", "--variants=few", *session.posargs)


ON_SERVER = ("tests/orchestration/running", "tests/board/test_live.py", "tests/board/test_api.py")
"""What is tried with both kinds of store."""


@nox.session(default=False)
def thorough(session: nox.Session) -> None:
    """Run the tests that take long, a few variants of each; what follows `--` goes to pytest.

    And those of running phases once more, with the store on a PostgreSQL server.
    """
    session.install("-e", ".[test]")
    session.run("pytest", "--numprocesses=auto", "--variants=thorough", *session.posargs)
    if not session.posargs:
        session.run("pytest", "--numprocesses=auto", "--variants=few", "--store=server", *ON_SERVER)


@nox.session(default=False)
def variants(session: nox.Session) -> None:
    """Run the variants that `tests` and `thorough` leave out; what follows `--` goes to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "--numprocesses=auto", "--variants=rest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style."""
    session.install(".[lint]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Ask a public database for known faults of what users get: it fails if there are any."""
    session.install(".[board,postgres]", "pip-audit>=2.7")
    session.run("pip-audit", "--local", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of package, tests and this file."""
    session.install("-e", ".[test,types]")
    session.run("mypy")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, twice the same; check them, and run the README's first minute."""
    session.install("-e", ".[test]", "build[virtualenv]>=1.2.1", "twine>=6.1", "virtualenv")
    dist = Path("dist")
    shutil.rmtree(dist, ignore_errors=True)
    # The same time in every archive that is made of a commit, wherever and whenever it is made.
    now = {"SOURCE_DATE_EPOCH": _commit_time()}
    session.run("python", "-m", "build", "--outdir", str(dist), env=now)
    [sdist] = dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as scratch:
        shutil.unpack_archive(sdist, scratch)
        again = Path(scratch, "dist")
        source = Path(scratch, sdist.name.removesuffix(".tar.gz"))
        session.run("python", "-m", "build", "--outdir", str(again), str(source), env=now)
        for built in again.iterdir():
            if built.read_bytes() != (dist / built.name).read_bytes():
                session.error(f"{built.name} is another one when it is built from the sdist")
    session.run("python", "-m", "twine", "check", "--strict", *map(str, dist.iterdir()))
    # What is in them, and that the wheel works by itself.
    tests = ["tests/whole/test_packaging.py", "tests/whole/test_readme.py"]
    session.run("pytest", *tests, env={"ADW_DIST": str(dist.absolute())})


def _commit_time() -> str:
    """Return when HEAD was committed, in seconds; of no checkout, what hatchling takes itself."""
    asked = ["git", "log", "-1", "--format=%ct"]
    told = subprocess.run(asked, check=False, capture_output=True, text=True)
    return told.stdout.strip() or "1580601600"


@nox.session(python="3.11", default=False)
def minimums(session: nox.Session) -> None:
    """Run the tests with the oldest Python and the lowest versions that pyproject.toml allows."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = sorted(project["optional-dependencies"].keys() - LINTERS)
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    # Ours, as in "adw-worktree[watch]", has no bound; an extra or a marker cannot be constrained.
    plain = [re.sub(r"\[.*?\]|[,;<].*", "", one) for one in asked if ">=" in one]
    lowest = "\n".join(plain).replace(">=", "==")
    with tempfile.TemporaryDirectory() as scratch:
        constraints = Path(scratch, "constraints.txt")
        constraints.write_text(lowest)
        session.install("-c", str(constraints), "-e", f".[{','.join(extras)}]")
    session.run("pytest", "--numprocesses=auto", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"], default=False)
def pythons(session: nox.Session) -> None:
    """Run the tests with each Python that is there."""
    session.install("-e", ".[test]")
    session.run("pytest", "--numprocesses=auto", *session.posargs)


@nox.session
def stress(session: nox.Session) -> None:
    """Run the big versions and print what they did: `nox -s stress -- --size 100`."""
    session.install("-e", ".[test]")
    session.run("python", "tests/support/stress_run.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure us beside git and our peers, and write docs/benchmarks.md: `-- --quick` to try it."""
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(name="bench-phases")
def bench_phases(session: nox.Session) -> None:
    """Measure phases beside other engines, and write docs/benchmarks-phases.md."""
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks.phases", *session.posargs)


@nox.session(name="bench-board")
def bench_board(session: nox.Session) -> None:
    """Measure the board with many browsers and people, and write docs/benchmarks-board.md."""
    session.install("-e", ".[bench,test]")
    session.run("python", "-m", "benchmarks.board", *session.posargs)


@nox.session(name="bench-hosts")
def bench_hosts(session: nox.Session) -> None:
    """Measure many hosts on one PostgreSQL server, and write docs/benchmarks-hosts.md."""
    session.install("-e", ".[bench,test]")
    session.run("python", "-m", "benchmarks.hosts", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write what the code knows of itself into docs, and build the site: `-- --serve` shows it."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "scripts.docs.reference")
    verb = ["serve"] if "--serve" in session.posargs else ["build", "--clean"]
    session.run("mkdocs", *verb, "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def pictures(session: nox.Session) -> None:
    """Record the pictures of README and docs anew, from real runs."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "scripts.docs.pictures", *session.posargs)


@nox.session
def reconcile(session: nox.Session) -> None:
    """Reconcile a repository: `nox -s reconcile -- --dry-run --repo DIR`; for people and cron.

    DIR is by default the directory nox was called from. All else goes to
    `adw-worktree reconcile`, whose output and exit code are nox's own.
    """
    parser = ArgumentParser(prog="nox -s reconcile --", add_help=False, allow_abbrev=False)
    parser.add_argument("--repo", metavar="DIR", default="")
    mine, words = parser.parse_known_args(session.posargs)
    _install_once(session)
    directory = str(Path(session.invoked_from, mine.repo))
    command = [f"{session.bin}/adw-worktree", "-C", directory, "reconcile", *words]
    # Not session.run: it makes every failure exit code 1, and puts stderr on stdout.
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        sys.exit(code)


def _install_once(session: nox.Session) -> None:
    """Install the checkout, unless that is done: cron is to be quick, and needs no network."""
    requirements = Path("pyproject.toml").read_bytes()
    installed = Path(session.bin).parent / "installed-pyproject.toml"
    if not installed.is_file() or installed.read_bytes() != requirements:
        session.install("-e", ".")
        installed.write_bytes(requirements)

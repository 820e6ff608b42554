"""The developer's verbs. `nox` runs tests, lint, types and build; `nox -l` lists all."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types", "build"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; what follows `--` goes to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "--numprocesses=auto", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style."""
    session.install(".[lint]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of package, tests and this file."""
    session.install("-e", ".[test,types]")
    session.run("mypy")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel; the wheel must run in an empty venv, outside of the checkout."""
    session.install("build[virtualenv]", "virtualenv")
    session.run("python", "-m", "build", "--outdir", "dist")
    wheel = max(Path("dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    with tempfile.TemporaryDirectory() as empty:
        session.run("python", "-m", "virtualenv", "--quiet", f"{empty}/venv")
        programs = Path(empty) / "venv" / "bin"
        python = str(programs / "python")
        session.run(python, "-m", "pip", "install", "--quiet", str(wheel), external=True)
        with session.chdir(empty):
            session.run(str(programs / "adw-worktree"), "--version", external=True)


@nox.session
def stress(session: nox.Session) -> None:
    """Run the big versions and print what they did: `nox -s stress -- --size 100`."""
    session.install("-e", ".[test]")
    session.run("python", "tests/stress.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure us beside git and our peers, and write docs/benchmarks.md: `-- --quick` to try it."""
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


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

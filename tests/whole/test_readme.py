"""The README's first minute, run as a user runs it: with the checkout, or with a wheel.

`nox -s build` names the built wheel in ADW_DIST. It is then installed into an empty virtual
environment, with an empty HOME.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw
from tests.support.machine import settle

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
# Read before any test is sealed, which takes ADW_* and the home away.
_DIST = os.environ.get("ADW_DIST")
_PIP_CONFIG = os.environ.get("PIP_CONFIG_FILE", str(Path.home() / ".config" / "pip" / "pip.conf"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put adw-worktree and git-adw-worktree on PATH, and return the directory with them."""
    programs = tmp_path / "venv" / "bin"
    if _DIST is None:
        programs.mkdir(parents=True)
        for name in ("adw-worktree", "git-adw-worktree"):
            words = shlex.join(Adw.command)
            (programs / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            (programs / name).chmod(0o755)
    else:
        [wheel] = Path(_DIST).glob("*.whl")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("PIP_CONFIG_FILE", _PIP_CONFIG)
        subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", programs.parent], check=True)
        pip = [str(programs / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--no-cache-dir", str(wheel)], check=True)
    python = Path(sys.executable).parent  # the session calls it `python3`
    monkeypatch.setenv("PATH", f"{programs}:{python}:{os.environ['PATH']}")
    return programs


def first_minute() -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of the README's session, each with what it prints there."""
    found = re.search(r"(?ms)^```console\n(.*?)^```", README)
    assert found is not None
    for part in found[1].split("$ ")[1:]:
        command, *printed = part.splitlines()
        yield command, printed


def likeness(text: str, repo: Path) -> list[str]:
    """Return the lines of what was printed, without what differs from machine to machine."""
    told = text.replace(str(repo), "/src/app")
    return [re.sub(r"\d+", "N", " ".join(line.split())) for line in told.splitlines()]


def test_the_first_minute_is_as_the_readme_shows_it(
    programs: Path,
    repo: Path,
    serve: Callable[[Sequence[str], Path], subprocess.Popen[bytes]],
) -> None:
    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command], cwd=repo, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    for command, printed in first_minute():
        if command.endswith(" &"):
            serve(["sh", "-c", f"exec {command.removesuffix(' &')}"], repo)
            settle(lambda: "http.server" in run("adw-worktree list"), "the server does not listen")
        else:
            assert likeness(run(command), repo) == likeness("\n".join(printed), Path("/src/app"))
    assert shutil.which("adw-worktree") == str(programs / "adw-worktree")
    assert run("git adw-worktree status").startswith("0 of 100 slots leased")
    if _DIST is not None:
        assert (programs.parent / "share" / "man" / "man1" / "adw-worktree.1").is_file()

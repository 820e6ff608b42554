"""The version before this one, built from the repository's own history, in processes of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw, Ran

COMMIT = "fb774a8c88f124edeeac12ffdc51866b3d519842"
"""The last one of the flat package, which people have installed."""


def unpack(place: Path) -> Path:
    """Build that version's wheel, and return the directory in which it lies unpacked.

    Skips the test where there is no history: in an sdist, or in a shallow clone.
    """
    # Asked before the tests are sealed.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    archive = ["git", "archive", "--format=zip", COMMIT]
    got = subprocess.run(archive, cwd=CHECKOUT, env=env, capture_output=True, check=False)
    if got.returncode != 0 or not (CHECKOUT / ".git").exists():
        pytest.skip(f"the version before, {COMMIT[:12]}, is not in the history of this checkout")
    source, built, site = place / "source", place / "built", place / "site"
    with zipfile.ZipFile(io.BytesIO(got.stdout)) as files:
        files.extractall(source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built)]
    done = subprocess.run([*command, str(source)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    return site


class VersionBefore(Adw):
    """Runs that version's command line, in a repository; so do processes that it starts."""

    def __init__(self, directory: Path, site: Path) -> None:
        super().__init__(directory)
        self.site = {"PYTHONPATH": str(site)}

    def __call__(
        self, *args: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> Ran:
        return super().__call__(*args, cwd=cwd, code=code, **env, **self.site)

    def start(self, *args: str, quiet: bool = False, **env: str) -> subprocess.Popen[str]:
        return super().start(*args, quiet=quiet, **env, **self.site)


def environment(version: Adw) -> dict[str, str]:
    """Return the environment in which a process runs the code of that version."""
    return {**os.environ, **(version.site if isinstance(version, VersionBefore) else {})}

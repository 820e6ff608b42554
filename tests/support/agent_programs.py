"""Claude Code and Codex themselves, from npm's registry: installed once per user of a machine.

They take 660 MB, so they stay in the user's cache, and all test processes share them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from filelock import FileLock

PACKAGES = ("@anthropic-ai/claude-code@2.1.197", "@openai/codex@0.171.0")
PROGRAMS = ("claude", "codex")
_QUIET = ["--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
_SECONDS = 600
# Read before any test is sealed, which takes the home away: the first may name the registry.
_CONFIG = os.environ.get("NPM_CONFIG_USERCONFIG", str(Path.home() / ".npmrc"))
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adw-worktree-tests"


@cache
def directory() -> Path | None:
    """Return the directory of the two, for PATH; None where npm cannot install them."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    place = _CACHE / "+".join(name.rpartition("/")[2] for name in PACKAGES)
    programs = place / "node_modules" / ".bin"
    try:
        _CACHE.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock", fallback_to_soft=False):
            if not place.exists():
                _install(npm, place)
    except (OSError, subprocess.SubprocessError):
        return None
    return programs


def _install(npm: str, place: Path) -> None:
    """Install the packages at `place`; all of them, or nothing is there."""
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        building = Path(scratch, "building")
        building.mkdir()
        (building / "package.json").write_text("{}\n")
        subprocess.run(
            [npm, "install", *_QUIET, f"--cache={scratch}/npm", *PACKAGES],
            cwd=building,
            env={**os.environ, "NPM_CONFIG_USERCONFIG": _CONFIG},
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        for name in PROGRAMS:
            # A package for this system is optional to npm, and a program without it says so only
            # when it is called.
            program = building / "node_modules" / ".bin" / name
            subprocess.run([program, "--version"], capture_output=True, timeout=60, check=True)
        building.rename(place)


@cache
def codex_has_sandbox() -> bool:
    """Return whether Codex can fence in its commands here; in many a container it cannot."""
    programs = directory()
    asked = ["codex", "sandbox", "--", "true"]
    if programs is None:
        return False
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        environ["CODEX_HOME"] = home
        return subprocess.run(asked, env=environ, capture_output=True, timeout=60).returncode == 0

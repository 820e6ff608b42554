"""Vite and mise, from npm's registry: installed once per test process, when first needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_PACKAGES = ["vite@7", "@jdxcode/mise-linux-x64"]
_QUIET = ["--no-audit", "--no-fund", "--loglevel=error"]
_PREFIX = "adw-npm-"
# Read before any test is sealed, which takes the home away: it may name the registry.
_CONFIG = os.environ.get("NPM_CONFIG_USERCONFIG", str(Path.home() / ".npmrc"))
_installed: list[Path] = []


@cache
def modules() -> Path | None:
    """Return the `node_modules` with them; None where there is no npm, or no registry.

    The tests' last step has to be `discard_all`.
    """
    npm = shutil.which("npm")
    if npm is None:
        return None
    place = Path(tempfile.mkdtemp(prefix=_PREFIX))
    _installed.append(place)
    (place / "package.json").write_text("{}\n")
    done = subprocess.run(
        [npm, "install", *_QUIET, *_PACKAGES],
        cwd=place,
        env={**os.environ, "NPM_CONFIG_USERCONFIG": _CONFIG},
        capture_output=True,
        timeout=300,
    )
    return place / "node_modules" if done.returncode == 0 else None


def discard_all() -> None:
    """Delete what was installed."""
    while _installed:
        place = _installed.pop()
        assert place.name.startswith(_PREFIX)
        shutil.rmtree(place)

"""Programs from npm's registry that are large: installed once per user of a machine.

They stay in the user's cache, and all test processes share them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from filelock import FileLock

_QUIET = ["--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
_SECONDS = 600
# Read before any test is sealed, which takes the home away: the first may name the registry.
_CONFIG = os.environ.get("NPM_CONFIG_USERCONFIG", str(Path.home() / ".npmrc"))
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adw-worktree-tests"


def installed(packages: Sequence[str], programs: Sequence[str]) -> Path | None:
    """Return the directory of the packages' programs; None where npm cannot install them."""
    name = "+".join(name.rpartition("/")[2] for name in packages)
    place = _present(name, partial(_install, packages, programs))
    return place and place / "node_modules" / ".bin"


def packed_file(package: str, member: str) -> Path | None:
    """Return one file of a package; None where npm cannot get it."""
    place = _present(f"{package.rpartition('/')[2]}-file", partial(_unpack, package, member))
    return place and place / Path(member).name


def _present(name: str, make: Callable[[str, Path, Path], None]) -> Path | None:
    """Return the directory `name` of the cache, made if it is not there, as a whole or not."""
    npm, place = shutil.which("npm"), _CACHE / name
    if npm is None:
        return None
    try:
        _CACHE.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(f"{place}.lock", fallback_to_soft=False),
            tempfile.TemporaryDirectory(dir=_CACHE) as scratch,
        ):
            building = Path(scratch, "building")
            if not place.exists():
                building.mkdir()
                (building / "package.json").write_text("{}\n")
                make(npm, building, Path(scratch))
                building.rename(place)
    except (OSError, subprocess.SubprocessError):
        return None
    return place


def _install(
    packages: Sequence[str], programs: Sequence[str], npm: str, building: Path, scratch: Path
) -> None:
    _run(npm, building, scratch, "install", *packages)
    for name in programs:
        # A package for this system is optional to npm, and a program without it says so only
        # when it is called.
        program = building / "node_modules" / ".bin" / name
        subprocess.run([program, "--version"], capture_output=True, timeout=60, check=True)


def _unpack(package: str, member: str, npm: str, building: Path, scratch: Path) -> None:
    _run(npm, building, scratch, "pack", "--silent", package)
    [archive] = building.glob("*.tgz")
    with tarfile.open(archive) as packed:
        file = packed.extractfile(f"package/{member}")
        assert file is not None
        (building / Path(member).name).write_bytes(file.read())
    archive.unlink()


def _run(npm: str, building: Path, scratch: Path, action: str, *words: str) -> None:
    subprocess.run(
        [npm, action, *_QUIET, f"--cache={scratch}/npm", *words],
        cwd=building,
        env={**os.environ, "NPM_CONFIG_USERCONFIG": _CONFIG},
        capture_output=True,
        timeout=_SECONDS,
        check=True,
    )

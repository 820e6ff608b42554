"""The command that adds a library to this very installation, whatever installed it.

pipx and uv make environments without pip, and forget on upgrade what was put in behind their backs;
each leaves a file of its own in the environment by which it is known.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from shlex import join, quote
from typing import Any

_NAME = "adw-worktree"


def install_command(*requirements: str, environment: Path | None = None) -> str:
    """Return the command that installs libraries, as in `watchdog>=7.1`, beside this package.

    `environment` is the root of the virtual environment; None is that of this interpreter.
    """
    place = environment or Path(sys.prefix)
    if os.path.isfile(place / "pipx_metadata.json"):
        return join(["pipx", "inject", place.name, *requirements])
    if os.path.isfile(place / "uv-receipt.toml"):
        source = _source_of(place / "uv-receipt.toml")
        wanted = [word for one in requirements for word in ("--with", one)]
        return join(["uv", "tool", "install", *wanted, source])
    python = quote(sys.executable)
    if find_spec("pip") is None and _is_made_by_uv(place):
        return f"uv pip install --python {python} {join(requirements)}"
    return f"{python} -m pip install {join(requirements)}"


def _source_of(receipt: Path) -> str:
    """Return where uv has this package from, as its receipt says; else the package's name."""
    import tomllib

    try:
        found = tomllib.loads(receipt.read_text(encoding="utf-8"))["tool"]["requirements"]
        [ours] = [one for one in found if one.get("name") == _NAME]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _NAME
    return next((text for text in map(str, _sources(ours)) if text), _NAME)


def _sources(requirement: dict[str, Any]) -> list[Any]:
    places = [requirement.get(key, "") for key in ("directory", "editable", "path", "url")]
    address = requirement.get("git", "")
    return [*places, f"git+{address}" if address else ""]


def _is_made_by_uv(environment: Path) -> bool:
    try:
        lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.partition("=")[0].strip() == "uv" for line in lines)

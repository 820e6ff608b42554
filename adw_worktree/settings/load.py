"""Reading the settings: the repository's file, the user's file, then `ADW_*` variables.

What holds here: a later layer wins key by key; what cannot be used is a SettingsError that names
the file or variable, the key and what it takes, never a guess; with no file and no variable
nothing slow is imported. Command-line flags are laid over the result by their callers.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from adw_worktree.errors import SettingsError
from adw_worktree.settings.check import (
    FURTHER,
    TAKES,
    USER_ONLY,
    Layer,
    check_port_ranges,
    checked,
    plain,
    variable_of,
    variable_source,
)
from adw_worktree.settings.model import DEFAULT_SERVICES, Postgres, Settings
from adw_worktree.settings.places import base_directory
from adw_worktree.settings.rules import COUNTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROJECT_FILE = "adw-worktree.toml"
_MAX_FILE_BYTES = 1024 * 1024
_REMEDIES = {
    errno.EACCES: "make it and the directories above it readable",
    errno.ELOOP: "put a file, or a link to one, in its place",
}
WITHOUT_VARIABLE = ("hooks", "values", "postgres", *USER_ONLY, *FURTHER)
"""Keys that no variable can set."""
_TRUTH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def load_settings(
    home: Path | None, *, bare: bool = False, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings that hold for a repository.

    `home` is its main worktree, its own directory if it is bare, or None outside of any.
    Raises SettingsError.
    """
    environ = os.environ if environ is None else environ
    layers = [*_repository_layers(home, bare), *_user_layers(environ), *_variable_layers(environ)]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        for key, value in checked(layer).items():
            # Tables are laid over one another name by name.
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
            sources[key] = layer.source
    if "services" in values:
        values["services"] = {**DEFAULT_SERVICES, **values["services"]}
    if "postgres" in values:
        values["postgres"] = _postgres(values["postgres"])
    settings = Settings(**values)
    check_port_ranges(settings, sources)
    return settings


def _postgres(table: Mapping[str, tuple[Any, bool]]) -> Postgres | None:
    """Return what a table asks for, by key the value and whether the repository gave it."""
    asked = [f"postgres.{key}={value}" for key, (value, theirs) in table.items() if theirs]
    given = {key: value for key, (value, _) in table.items()}
    enabled = given.pop("enabled")
    return Postgres(**given, asked=tuple(sorted(asked))) if enabled else None


def _repository_layers(home: Path | None, bare: bool) -> list[Layer]:
    """Return the one layer that the repository gives, or none. Raises SettingsError for two."""
    if home is None:
        return []
    own, shared = home / _PROJECT_FILE, home / "pyproject.toml"
    layers = [Layer(str(own), _load_toml(own), True)]
    if not bare:
        layers.append(Layer(f"{shared} [tool.adw-worktree]", _load_pyproject(shared), True))
    layers = [layer for layer in layers if layer.table != {}]
    if len(layers) > 1:
        raise SettingsError(
            f"{own} and {shared} both hold settings",
            hint=f"move [tool.adw-worktree] of pyproject.toml into {_PROJECT_FILE}, or the reverse",
        )
    return layers


def _user_layers(environ: Mapping[str, str]) -> list[Layer]:
    directory = base_directory("config", environ)
    if directory is None:
        return []
    path = directory / "config.toml"
    table = _load_toml(path)
    return [Layer(str(path), table)] if table else []


def _variable_layers(environ: Mapping[str, str]) -> list[Layer]:
    """Return one layer per variable, so that an error names the variable. Empty counts as unset."""
    layers = []
    for key in TAKES:
        text = environ.get(variable_of(key))
        if text and key not in WITHOUT_VARIABLE:
            layers.append(Layer(variable_source(key), {key: _typed(key, text)}))
    return layers


def _typed(key: str, text: str) -> object:
    """Return the value that a variable's text stands for, or the text, which the check refuses."""
    if key in ("adopt", "submodules"):
        return _TRUTH.get(text.lower(), text)
    if key in COUNTS:
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text
    if key in ("lock_timeout", "trash_days", "lease"):
        return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else text
    if key in ("include", "link", "write", "labels"):
        return text.split(",")
    if key in ("services", "container_ports"):
        pairs = re.findall(r"([^=,]+)=([0-9]{1,9})(?:,|$)", text)
        whole = ",".join(f"{name}={port}" for name, port in pairs) == text
        table = {name: int(port) for name, port in pairs}
        return table if whole and len(table) == len(pairs) else text
    return text


def _load_pyproject(path: Path) -> object:
    """Return `[tool.adw-worktree]`, empty if there is none.

    A file that does not mention us is not parsed: its faults are not ours to report.
    """
    data = _read(path)
    if b"adw-worktree" not in data:
        return {}
    tool = _parse(path, data).get("tool")
    return tool.get("adw-worktree", {}) if isinstance(tool, dict) else {}


def _load_toml(path: Path) -> dict[str, Any]:
    data = _read(path)
    return _parse(path, data) if data else {}


def _read(path: Path) -> bytes:
    """Return the file's bytes, none if there is no file. Raises SettingsError."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(path, "it is no regular file", "put a file in its place")
        if found.st_size > _MAX_FILE_BYTES:
            raise _unreadable(path, "it is larger than 1 MiB", "shorten it")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as exc:
        hint = _REMEDIES.get(exc.errno or 0, "check the disk, and repeat")
        raise _unreadable(path, str(exc.strerror), hint) from exc


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise _unreadable(path, f"line {line} is not UTF-8") from exc
    except RecursionError as exc:
        raise _unreadable(path, "it is nested too deeply") from exc
    except ValueError as exc:  # not only TOMLDecodeError: int() refuses thousands of digits
        raise _unreadable(path, f"it is not valid TOML: {plain(str(exc))}") from exc


def _unreadable(path: Path, reason: str, hint: str = "mend the file") -> SettingsError:
    return SettingsError(f"the settings file {path} cannot be read: {reason}", hint=hint)

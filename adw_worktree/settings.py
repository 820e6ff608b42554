"""Reading the settings: the repository's file, the user's file, then `ADW_*` variables.

What holds here: a later layer wins key by key; what cannot be used is a SettingsError that names
the file or variable, the key and what it takes, never a guess; with no file and no variable
nothing slow is imported. Command-line flags are laid over the result by their callers.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import SettingsError
from .model import DEFAULT_SERVICES, DEFAULT_SLOTS, HookCommands, Settings

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

TAKES: Mapping[str, str] = {
    "worktree_path": "a path with {adw_id} or {branch} in it",
    "ledger": "a path inside the repository",
    "branch_name": "a branch name with {adw_id} in it",
    "base": "a branch, tag or commit",
    "remote": "the name of a remote",
    "env_file": "a plain file name",
    "template": "the path of a file inside the repository",
    "services": "a table of service names and their first ports, such as backend = 9100",
    "slots": "a whole number from 1 to 10000",
    "adopt": "true or false",
    "submodules": "true or false",
    "lock_timeout": "a number of seconds, more than 0 and at most 3600",
    "hooks": "a table of pre-create, post-create, pre-remove and post-remove",
}
"""Every key and what it takes, in the words of the error messages."""

MOMENTS = ("pre-create", "post-create", "pre-remove", "post-remove")
"""The keys of `[hooks]`."""

_TAKES_BELOW = {
    "services": "a whole number from 1024 to 65535",
    "hooks": 'a command line, or a list of command lines and argument lists (["npm", "ci"])',
}
_PROJECT_FILE = "adw-worktree.toml"
_MAX_FILE_BYTES = 1024 * 1024
_MAX_NAME_BYTES = 200  # leaves room for the suffix of a temporary file
_MAX_PORT = 65535
_MAX_SHOWN = 80
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SERVICE = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TRUTH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True, slots=True)
class _Layer:
    """The settings of one file or variable, as they were found."""

    source: str
    table: object
    from_repository: bool = False


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
        for key, value in _checked(layer).items():
            # Services and hooks are laid over one another name by name.
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
            sources[key] = layer.source
    if "services" in values:
        values["services"] = {**DEFAULT_SERVICES, **values["services"]}
    settings = replace(Settings(), **values)
    _check_port_ranges(settings, sources)
    return settings


# ---- places -----------------------------------------------------------------------------------


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the machine-wide state is kept; it may not exist yet.

    Raises SettingsError if there is no telling, or if nothing can be written there.
    """
    environ = os.environ if environ is None else environ
    own = environ.get("ADW_STATE_HOME")
    if own and not Path(own).is_absolute():
        raise SettingsError(
            f"ADW_STATE_HOME is {_shown(own)}: a relative path would mean another pool of slots "
            "in every directory",
            hint="set ADW_STATE_HOME to an absolute path",
        )
    directory = Path(own) if own else _base_directory("state", environ)
    if directory is None:
        raise _homeless("the state directory", "ADW_STATE_HOME")
    _require_writable(directory)
    return directory


def user_config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the user's own settings would be. Raises SettingsError if HOME is needed."""
    environ = os.environ if environ is None else environ
    directory = _base_directory("config", environ)
    if directory is None:
        raise _homeless("the user's settings file", "XDG_CONFIG_HOME")
    return directory / "config.toml"


def worktree_path(
    settings: Settings, *, adw_id: str, branch: str | None, home: Path, bare: bool, repo_name: str
) -> Path:
    """Return where the worktree of `adw_id` goes; `branch` is None for a detached one.

    A relative template starts at the main worktree, or at the directory that holds a bare
    repository. A `/` in the branch becomes `-`. Raises SettingsError if the place cannot be one.
    """
    if settings.worktree_path is None:
        return _default_trees(home, bare) / adw_id
    named = (branch or adw_id).replace("/", "-")
    values = {"adw_id": adw_id, "branch": named, "repo": repo_name, "home": str(home)}
    start = home.parent if bare else home
    path = Path(os.path.normpath(start / _render(settings.worktree_path, values)))
    inner = path.relative_to(start) if path.is_relative_to(start) else path
    if home.is_relative_to(path) or _in_git_directory(inner.parts):
        raise _misplaced(path, "would replace the repository or lie inside its .git directory")
    if bare and path.is_relative_to(home):
        raise _misplaced(path, "would lie inside the bare repository")
    return path


def branch_name(settings: Settings, adw_id: str) -> str:
    """Return the branch that a new worktree of `adw_id` gets."""
    return _render(settings.branch_name, {"adw_id": adw_id})


def ledger_path(settings: Settings, *, home: Path, common_dir: Path, bare: bool) -> Path:
    """Return the repository's ledger; a bare repository's is in our directory inside of it."""
    if bare:
        return common_dir / "adw-worktree" / (settings.ledger or "port_allocations.json")
    return home / (settings.ledger or "agents/port_allocations.json")


def _base_directory(kind: str, environ: Mapping[str, str]) -> Path | None:
    """Return our directory for `state` or `config`; None if HOME does not say where."""
    given = Path(environ.get(f"XDG_{kind.upper()}_HOME", ""))
    if given.is_absolute():  # the XDG specification: ignore a relative one
        return given / "adw-worktree"
    if sys.platform in ("darwin", "win32"):
        import platformdirs

        find = {"state": platformdirs.user_state_path, "config": platformdirs.user_config_path}
        return find[kind]("adw-worktree")
    user = Path(environ.get("HOME", ""))
    below = {"state": ".local/state", "config": ".config"}[kind]
    return user / below / "adw-worktree" if user.is_absolute() else None


def _homeless(what: str, variable: str) -> SettingsError:
    return SettingsError(
        f"{what} has no place: HOME is not set to an absolute path",
        hint=f"set HOME, or {variable} to an absolute path",
    )


def _require_writable(directory: Path) -> None:
    """Raise SettingsError if `directory` is neither writable nor can be made."""
    places = (directory, *directory.parents)
    nearest = next((place for place in places if os.path.exists(place)), directory)
    if not nearest.is_dir():
        reason = f"{nearest} is not a directory"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        reason = f"{nearest} is not writable"
    else:
        return
    raise SettingsError(
        f"the state directory {directory} cannot be used: {reason}",
        hint="set ADW_STATE_HOME to a directory of your own",
    )


def _default_trees(home: Path, bare: bool) -> Path:
    if not bare:
        return home / "trees"
    if home.name in (".git", ".bare"):
        return home.parent / "trees"
    return home.with_name(f"{home.name.removesuffix('.git')}.trees")


def _misplaced(path: Path, reason: str) -> SettingsError:
    return SettingsError(f"worktree_path: {path} {reason}", hint="choose another worktree_path")


def _render(template: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders in one pass, so that a value with braces stays what it is."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)


# ---- layers -----------------------------------------------------------------------------------


def _repository_layers(home: Path | None, bare: bool) -> list[_Layer]:
    """Return the one layer that the repository gives, or none. Raises SettingsError for two."""
    if home is None:
        return []
    own, shared = home / _PROJECT_FILE, home / "pyproject.toml"
    layers = [_Layer(str(own), _load_toml(own), True)]
    if not bare:
        layers.append(_Layer(f"{shared} [tool.adw-worktree]", _load_pyproject(shared), True))
    layers = [layer for layer in layers if layer.table != {}]
    if len(layers) > 1:
        raise SettingsError(
            f"{own} and {shared} both hold settings",
            hint=f"move [tool.adw-worktree] of pyproject.toml into {_PROJECT_FILE}, or the reverse",
        )
    return layers


def _user_layers(environ: Mapping[str, str]) -> list[_Layer]:
    directory = _base_directory("config", environ)
    if directory is None:
        return []
    path = directory / "config.toml"
    table = _load_toml(path)
    return [_Layer(str(path), table)] if table else []


def _variable_layers(environ: Mapping[str, str]) -> list[_Layer]:
    """Return one layer per variable, so that an error names the variable. Empty counts as unset."""
    layers = []
    for key in TAKES:
        text = environ.get(f"ADW_{key.upper()}")
        if text and key != "hooks":
            layers.append(_Layer(_variable_source(key), {key: _typed(key, text)}))
    return layers


def _variable_source(key: str) -> str:
    return f"the variable ADW_{key.upper()}"


def _typed(key: str, text: str) -> object:
    """Return the value that a variable's text stands for, or the text, which the check refuses."""
    if key in ("adopt", "submodules"):
        return _TRUTH.get(text.lower(), text)
    if key == "slots":
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text
    if key == "lock_timeout":
        return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) else text
    if key == "services":
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
            raise _unreadable(path, "it is no regular file")
        if found.st_size > _MAX_FILE_BYTES:
            raise _unreadable(path, "it is larger than 1 MiB")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as exc:
        raise _unreadable(path, str(exc.strerror)) from exc


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
        raise _unreadable(path, f"it is not valid TOML: {_plain(str(exc))}") from exc


def _unreadable(path: Path, reason: str) -> SettingsError:
    return SettingsError(f"the settings file {path} cannot be read: {reason}", hint="mend the file")


# ---- checks -----------------------------------------------------------------------------------


def _checked(layer: _Layer) -> dict[str, Any]:
    """Return the values that `layer` sets. Raises SettingsError for the first that is wrong."""
    from pydantic import ValidationError

    if not isinstance(layer.table, dict):
        raise SettingsError(f"{layer.source} must be a table, not {_shown(layer.table)}")
    try:
        model = _layer_model().model_validate(layer.table)
    except ValidationError as exc:
        raise _wrong(layer, exc.errors(include_url=False)[0]) from exc
    values = {key: getattr(model, key) for key in model.model_fields_set}
    if "hooks" in values:
        given = values["hooks"]
        values["hooks"] = {
            name.replace("_", "-"): HookCommands(getattr(given, name), layer.from_repository)
            for name in given.model_fields_set
        }
    return values


def _wrong(layer: _Layer, error: ErrorDetails) -> SettingsError:
    """Return pydantic's finding as a plain sentence."""
    where = [str(part) for part in error["loc"]]
    key = ".".join(_plain(part) for part in where if part != "[key]")
    if error["type"] == "extra_forbidden":
        return _unknown(layer.source, key, where)
    takes = TAKES[where[0]] if len(where) == 1 else _TAKES_BELOW[where[0]]
    if error["type"] == "value_error":
        return SettingsError(
            f"{layer.source}: {key} {error['ctx']['error']}", hint=f"{key} takes {takes}"
        )
    if layer.source == _variable_source("services") and len(where) == 1:
        takes = "names and first ports, such as backend=9100,frontend=9200"
    return SettingsError(f"{layer.source}: {key} must be {takes}, not {_shown(error['input'])}")


def _unknown(source: str, key: str, where: Sequence[str]) -> SettingsError:
    import difflib

    names = list(TAKES) if len(where) == 1 else list(MOMENTS)
    near = difflib.get_close_matches(where[-1][:_MAX_SHOWN], names, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    if where == ["tool"]:
        guess = "in this file the settings stand at the top, without [tool.adw-worktree]. "
    return SettingsError(
        f"{source}: unknown key {key}", hint=f"{guess}The keys are {', '.join(names)}"
    )


@cache
def _layer_model() -> type[BaseModel]:
    """Return the pydantic model of one layer, made on first use: importing pydantic is slow."""
    from typing import Annotated

    from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, create_model

    strict = ConfigDict(strict=True, extra="forbid")
    commands = Annotated[Any, PlainValidator(_commands)]
    hooks: dict[str, Any] = {
        moment.replace("-", "_"): (commands, Field(default=(), alias=moment)) for moment in MOMENTS
    }
    texts = {
        "worktree_path": _check_worktree_path,
        "ledger": _check_ledger,
        "branch_name": _check_branch_name,
        "base": _check_argument,
        "remote": _check_argument,
        "env_file": _check_env_file,
        "template": _check_inside,
    }
    fields: dict[str, Any] = {
        **{key: (Annotated[str, AfterValidator(check)], "") for key, check in texts.items()},
        "services": (
            dict[
                Annotated[str, AfterValidator(_check_service)],
                Annotated[int, Field(ge=1024, le=_MAX_PORT)],
            ],
            {},
        ),
        "slots": (Annotated[int, Field(ge=1, le=10000)], DEFAULT_SLOTS),
        "adopt": (bool, False),
        "submodules": (bool, True),
        "lock_timeout": (Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)], 10.0),
        "hooks": (create_model("Hooks", __config__=strict, **hooks), None),
    }
    return create_model("Layer", __config__=strict, **fields)


def _check_port_ranges(settings: Settings, sources: Mapping[str, str]) -> None:
    """Raise SettingsError if two services would share a port, or one run past the last port."""
    source = sources.get("services") or sources.get("slots") or "the settings"
    last = 0
    before = ""
    for name, base in sorted(settings.services.items(), key=lambda item: item[1]):
        if base <= last:
            raise SettingsError(
                f"{source}: with {settings.slots} slots the ports of {before} (up to {last}) and "
                f"{name} (from {base}) overlap",
                hint=f"set their first ports {settings.slots} or more apart, or lower slots",
            )
        before, last = name, base + settings.slots - 1
    if last > _MAX_PORT:
        raise SettingsError(
            f"{source}: with {settings.slots} slots the ports of {before} end at {last}, "
            f"past {_MAX_PORT}",
            hint=f"set its first port to {_MAX_PORT + 1 - settings.slots} or less, or lower slots",
        )


def _check_text(value: str) -> None:
    if not value.strip():
        raise ValueError("must not be empty")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value):
        raise ValueError("must not contain control characters or bytes that are not UTF-8")


def _check_argument(value: str) -> str:
    """Hold what git gets as a name to what git cannot take for an option."""
    _check_text(value)
    if value.startswith("-"):
        raise ValueError("must not start with '-'")
    return value


def _check_placeholders(value: str, allowed: Sequence[str]) -> None:
    known = " ".join(f"{{{name}}}" for name in allowed) or "none"
    for name in _PLACEHOLDER.findall(value):
        if name not in allowed:
            raise ValueError(f"has the unknown placeholder {{{name}}} (known: {known})")
    if set("{}") & set(_PLACEHOLDER.sub("", value)):
        raise ValueError(f"has a brace that belongs to no placeholder (known: {known})")


def _check_branch_name(value: str) -> str:
    _check_argument(value)
    _check_placeholders(value, ["adw_id"])
    if "{adw_id}" not in value:
        raise ValueError("needs {adw_id}: two worktrees cannot be on one branch")
    return value


def _check_worktree_path(value: str) -> str:
    _check_text(value)
    _check_placeholders(value, ["adw_id", "branch", "repo", "home"])
    if "{adw_id}" not in value and "{branch}" not in value:
        raise ValueError("needs {adw_id} or {branch}, or all worktrees would share one directory")
    if "{home}" in value[1:]:
        raise ValueError("may have {home} only at its start")
    if value.startswith("~"):
        raise ValueError("must not start with ~, which is not expanded")
    parts = value.removeprefix("{home}/").split("/")
    while parts[0] in ("..", "."):
        parts.pop(0)
    if ".." in parts:
        raise ValueError("may have .. only at its start")
    if _in_git_directory(parts):
        raise ValueError("must not lie inside a .git directory")
    return value


def _check_inside(value: str) -> str:
    _check_text(value)
    _check_placeholders(value, [])
    parts = value.split("/")
    if Path(value).is_absolute() or ".." in parts or value.startswith("~"):
        raise ValueError("must be a path inside the repository: relative, without ..")
    if parts[-1] in ("", "."):
        raise ValueError("must name a file")
    if _in_git_directory(parts):
        raise ValueError("must not lie inside a .git directory")
    return value


def _check_ledger(value: str) -> str:
    _check_inside(value)
    if value.endswith(".lock"):
        raise ValueError("must not end in .lock, the name of a lock file")
    return value


def _check_env_file(value: str) -> str:
    _check_text(value)
    if "/" in value or os.sep in value or value in (".", "..") or _in_git_directory([value]):
        raise ValueError("must be a plain file name, without /, and not '.', '..' or '.git'")
    if len(value.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"must not be longer than {_MAX_NAME_BYTES} bytes")
    return value


def _check_service(value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise ValueError(
            "is no name of a service: 1 to 32 of a-z, 0-9 and '-', starting with a letter"
        )
    return value


def _in_git_directory(parts: Sequence[str]) -> bool:
    # Some file systems take .GIT for .git.
    return any(part.casefold() == ".git" for part in parts)


def _commands(value: object) -> tuple[str | tuple[str, ...], ...]:
    """Return what a moment of `[hooks]` stands for. Raises ValueError, for pydantic to report."""
    items = value if isinstance(value, list) else [value]
    return tuple(_command(item) for item in items)


def _command(item: object) -> str | tuple[str, ...]:
    words = [word for word in (item if isinstance(item, list) else [item]) if isinstance(word, str)]
    if not words or (isinstance(item, list) and len(words) < len(item)):
        raise ValueError(f"must be {_TAKES_BELOW['hooks']}")
    if not words[0].strip():
        raise ValueError("has an empty command")
    if any("\0" in word for word in words):
        raise ValueError("has a command with a NUL character")
    return tuple(words) if isinstance(item, list) else words[0]


def _shown(value: object) -> str:
    """Return a value as a message can show it: short, on one line."""
    if isinstance(value, str):
        return f'"{_plain(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "so large a number"  # str() refuses thousands of digits
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else "a date or time"


def _plain(text: str) -> str:
    """Return `text` cut short, what is not printable escaped."""
    cut = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)

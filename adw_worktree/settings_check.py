"""What settings may say: every key, what it takes, and the sentence when it is something else."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import SettingsError
from .model import HookCommands, Settings
from .places import PLACEHOLDER, in_git_directory

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
    "spares": "a whole number from 0 to 100",
    "include": "a list of patterns as in .gitignore",
    "link": "a list of patterns as in .gitignore",
    "submodules": "true or false",
    "lock_timeout": "a number of seconds, more than 0 and at most 3600",
    "trash_days": "a number of days, from 0 to 3650",
    "hooks": "a table of pre-create, prepare, post-create, pre-remove and post-remove",
}
"""Every key and what it takes, in the words of the error messages."""

MOMENTS = ("pre-create", "prepare", "post-create", "pre-remove", "post-remove")
"""The keys of `[hooks]`."""

_TAKES_BELOW = {
    "services": "a whole number from 1024 to 65535",
    "include": "a pattern as in .gitignore",
    "link": "a pattern as in .gitignore",
    "hooks": 'a command line, or a list of command lines and argument lists (["npm", "ci"])',
}
_MAX_NAME_BYTES = 200  # leaves room for the suffix of a temporary file
_MAX_PORT = 65535
_MAX_SHOWN = 80
_SERVICE = r"[a-z][a-z0-9-]{0,31}"


class Layer(NamedTuple):
    """The settings of one file or variable, as they were found."""

    source: str
    table: object
    from_repository: bool = False


def checked(layer: Layer) -> dict[str, Any]:
    """Return the values that `layer` sets. Raises SettingsError for the first that is wrong."""
    if not isinstance(layer.table, dict):
        raise SettingsError(f"{layer.source} must be a table, not {_shown(layer.table)}")
    values = plain_values(layer.table)
    if values is None:
        values = _validated(layer)
    if layer.from_repository and _leads_away(values.get("worktree_path", "")):
        raise SettingsError(
            f"{layer.source}: worktree_path leads away from the repository",
            hint="a repository's own file may name a place inside or beside it, not hidden; "
            "any other is for your own settings, or ADW_WORKTREE_PATH",
        )
    if "hooks" in values:
        values["hooks"] = {
            moment: HookCommands(commands, layer.from_repository)
            for moment, commands in values["hooks"].items()
        }
    return values


def plain_values(table: Mapping[str, object]) -> dict[str, Any] | None:
    """Return what a table sets in which all is plainly right; None, for pydantic to judge, if not.

    Loading pydantic takes longer than everything else that a command does.
    """
    try:
        return {key: _plain_value(key, value) for key, value in table.items()}
    except ValueError:
        return None


def _plain_value(key: str, value: object) -> object:
    """Return what `key` is set to by `value`. Raises ValueError."""
    if key in _TEXTS and isinstance(value, str):
        return _TEXTS[key](value)
    if key in _FLAGS and isinstance(value, bool):
        return value
    if key in _COUNTS and type(value) is int and value in _COUNTS[key]:
        return value
    if key in _SPANS and type(value) in (int, float) and _is_within(value, _SPANS[key]):
        return float(value)  # type: ignore[arg-type]
    if key in _LISTS and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(_check_pattern(one) for one in value)
    if key == "services" and isinstance(value, dict) and all(map(_is_port, value.values())):
        return {_check_service(name): port for name, port in value.items()}
    if key == "hooks" and isinstance(value, dict) and value.keys() <= set(MOMENTS):
        return {moment: _commands(commands) for moment, commands in value.items()}
    raise ValueError(key)


def _validated(layer: Layer) -> dict[str, Any]:
    """Return the values that `layer` sets, checked by pydantic. Raises SettingsError."""
    from pydantic import ValidationError

    try:
        model = _layer_model().model_validate(layer.table)
    except ValidationError as exc:
        raise _wrong(layer, exc.errors(include_url=False)[0]) from exc
    values = {key: getattr(model, key) for key in model.model_fields_set}
    values |= {key: tuple(values[key]) for key in _LISTS if key in values}
    if "hooks" in values:
        given = values["hooks"]
        values["hooks"] = {
            name.replace("_", "-"): getattr(given, name) for name in given.model_fields_set
        }
    return values


def _wrong(layer: Layer, error: ErrorDetails) -> SettingsError:
    """Return pydantic's finding as a plain sentence."""
    where = [str(part) for part in error["loc"]]
    key = ".".join(plain(part) for part in where if part != "[key]")
    if error["type"] == "extra_forbidden":
        return _unknown(layer.source, key, where)
    takes = TAKES[where[0]] if len(where) == 1 else _TAKES_BELOW[where[0]]
    if error["type"] == "value_error":
        return SettingsError(
            f"{layer.source}: {key} {error['ctx']['error']}", hint=f"{key} takes {takes}"
        )
    if layer.source == variable_source("services") and len(where) == 1:
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
    fields: dict[str, Any] = {
        **{key: (Annotated[str, AfterValidator(check)], "") for key, check in _TEXTS.items()},
        **dict.fromkeys(_FLAGS, (bool, False)),
        **dict.fromkeys(_LISTS, (list[Annotated[str, AfterValidator(_check_pattern)]], [])),
        **{
            key: (Annotated[int, Field(ge=span.start, lt=span.stop)], 0)
            for key, span in _COUNTS.items()
        },
        **{
            key: (Annotated[float, Field(**bounds, allow_inf_nan=False)], 0.0)
            for key, bounds in _SPANS.items()
        },
        "services": (
            dict[
                Annotated[str, AfterValidator(_check_service)],
                Annotated[int, Field(ge=_PORTS.start, lt=_PORTS.stop)],
            ],
            {},
        ),
        "hooks": (create_model("Hooks", __config__=strict, **hooks), None),
    }
    return create_model("Layer", __config__=strict, **fields)


def check_port_ranges(settings: Settings, sources: Mapping[str, str]) -> None:
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
    import unicodedata

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
    for name in re.findall(PLACEHOLDER, value):
        if name not in allowed:
            raise ValueError(f"has the unknown placeholder {{{name}}} (known: {known})")
    if set("{}") & set(re.sub(PLACEHOLDER, "", value)):
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
    if in_git_directory(parts):
        raise ValueError("must not lie inside a .git directory")
    return value


def _leads_away(template: str) -> bool:
    """Whether worktrees would come to lie neither in the repository nor in plain sight beside it.

    Elsewhere a directory with the repository's files may be code that is run: a plugin, say.
    """
    parts = [part for part in template.removeprefix("{home}/").split("/") if part != "."]
    above = parts.count("..")
    hidden = any(part.startswith(".") and part != ".." for part in parts)
    return template.startswith("/") or above > 1 or (above == 1 and hidden)


def _check_inside(value: str) -> str:
    _check_text(value)
    _check_placeholders(value, [])
    parts = value.split("/")
    if Path(value).is_absolute() or ".." in parts or value.startswith("~"):
        raise ValueError("must be a path inside the repository: relative, without ..")
    if parts[-1] in ("", "."):
        raise ValueError("must name a file")
    if in_git_directory(parts):
        raise ValueError("must not lie inside a .git directory")
    return value


def _check_ledger(value: str) -> str:
    _check_inside(value)
    if value.endswith(".lock"):
        raise ValueError("must not end in .lock, the name of a lock file")
    return value


def _check_env_file(value: str) -> str:
    _check_text(value)
    if "/" in value or os.sep in value or value in (".", "..") or in_git_directory([value]):
        raise ValueError("must be a plain file name, without /, and not '.', '..' or '.git'")
    if len(value.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"must not be longer than {_MAX_NAME_BYTES} bytes")
    return value


def _check_pattern(value: str) -> str:
    _check_text(value)
    return value


def _check_service(value: str) -> str:
    if not re.fullmatch(_SERVICE, value):
        raise ValueError(
            "is no name of a service: 1 to 32 of a-z, 0-9 and '-', starting with a letter"
        )
    return value


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


_TEXTS: Mapping[str, Callable[[str], str]] = {
    "worktree_path": _check_worktree_path,
    "ledger": _check_ledger,
    "branch_name": _check_branch_name,
    "base": _check_argument,
    "remote": _check_argument,
    "env_file": _check_env_file,
    "template": _check_inside,
}
_LISTS = ("include", "link")
_FLAGS = ("adopt", "submodules")
_COUNTS = {"slots": range(1, 10001), "spares": range(101)}
_PORTS = range(1024, _MAX_PORT + 1)
_SPANS: Mapping[str, dict[str, Any]] = {
    "lock_timeout": {"gt": 0, "le": 3600},
    "trash_days": {"ge": 0, "le": 3650},
}
"""Bounds of the numbers that need not be whole, in the words of pydantic and `operator`."""


def _is_port(value: object) -> bool:
    return type(value) is int and value in _PORTS


def _is_within(value: Any, bounds: Mapping[str, float]) -> bool:
    return all(getattr(operator, name)(value, bound) for name, bound in bounds.items())


def _shown(value: object) -> str:
    """Return a value as a message can show it: short, on one line."""
    if isinstance(value, str):
        return f'"{plain(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "so large a number"  # str() refuses thousands of digits
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else "a date or time"


def plain(text: str) -> str:
    """Return `text` cut short, what is not printable escaped."""
    cut = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)


def variable_source(key: str) -> str:
    return f"the variable ADW_{key.upper()}"

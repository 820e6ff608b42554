"""What settings may say: every key, what it takes, and the sentence when it is something else."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from adw_worktree.errors import SettingsError
from adw_worktree.settings.model import EnvValue, HookCommands, Settings, Table
from adw_worktree.settings.rules import (
    COMMANDS,
    COUNTS,
    FLAGS,
    LISTS,
    MAX_PORT,
    PORT_TABLES,
    POSTGRES,
    SPANS,
    TEXTS,
    WRITERS,
    check_service,
    check_value,
    check_variable,
    commands,
    leads_away,
)
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
    "values": 'a table of variables and their texts, such as CACHE_PREFIX = "app-{slot}"',
    "write": f"a list of {', '.join(WRITERS)}",
    "container_ports": "a table of service names and their ports in containers: backend = 8000",
    "services": "a table of service names and their first ports, such as backend = 9100",
    "slots": "a whole number from 1 to 10000",
    "adopt": "true or false",
    "spares": "a whole number from 0 to 100",
    "include": "a list of patterns as in .gitignore",
    "link": "a list of patterns as in .gitignore",
    "submodules": "true or false",
    "lock_timeout": "a number of seconds, more than 0 and at most 3600",
    "trash_days": "a number of days, from 0 to 3650",
    "hooks": "a table of pre-create, prepare, post-create, pre-finish, pre-remove, post-remove and "
    "on-event",
    "postgres": "a table of url, template, database, variable and enabled",
    "max_running": "a whole number from 1 to 1000",
    "max_running_here": "a whole number from 1 to 1000",
    "store": "the url of a database, such as postgresql://user@host/adw",
    "store_listen": "the url of a database, such as postgresql://user@host/adw",
    "lease": "a number of seconds, from 3 to 86400",
    "labels": "a list of words, such as gpu",
    "logs": "host or store",
    "notify_url": "an address of the web",
    "notify_secret": "a text of at least 16 characters",
    "agents": "a table of names, each a table of command, prompt and reads",
    "stages": "a table of names, each a table of run, or of prompt and agents",
    "workflows": "a table of names, each a table of stages",
    "land": "leave, merge or pr",
    "checklist": "warn or block",
    "issues": "file or github",
    "github_url": "an address of the web",
}
"""Every key and what it takes, in the words of the error messages."""

MOMENTS: Mapping[str, str] = {
    "pre-create": "in the main worktree, before branch and worktree are made; "
    "if it fails, nothing is made",
    "prepare": "in the new worktree, when its files are there, or ahead of time in a spare; "
    "if it fails, everything is undone",
    "post-create": "in the new worktree, when it and its env file are complete; "
    "if it fails, everything is undone",
    "pre-finish": "in the worktree, before `finish` merges; if it fails, nothing is merged",
    "pre-remove": "in the worktree, before anything is removed; if it fails, nothing is",
    "post-remove": "in the main worktree, when the worktree is gone; if it fails, that is said",
    "on-event": "in the main worktree, when something has happened to a feature or a phase; "
    "if it fails, that is in a log",
}
"""The keys of `[hooks]`, and when and where each one's commands run."""

USER_ONLY = ("max_running_here", "notify_url", "notify_secret", "github_url")
"""Keys that a repository's file may not have: what a machine can bear, who is told what, and who
gets a token."""
OF_MACHINE = ("store", "store_listen", "lease", "labels", "logs")
"""Keys that a repository's file may not have either, and that variables can set."""
FURTHER = ("agents", "stages", "workflows")
"""Keys of tables that are looked into by those who use them."""
_ENABLED = "enabled"
_KEYS_BELOW = {"hooks": MOMENTS, "postgres": (*POSTGRES, _ENABLED)}

_TAKES_BELOW = {
    "values": "a text; it may have {slot}, {adw_id}, {branch} or {ports.backend} in it",
    "write": f"one of {', '.join(WRITERS)}, perhaps with :DIRECTORY",
    "container_ports": "a whole number from 1 to 65535",
    "services": "a whole number from 1024 to 65535",
    "include": "a pattern as in .gitignore",
    "link": "a pattern as in .gitignore",
    "labels": "a word of a-z, 0-9 and '-'",
    "hooks": COMMANDS,
    "postgres": "a text",
    "agents": "a table of command, prompt and reads",
    "stages": "a table of run, or of prompt and agents",
    "workflows": "a table of stages",
}
_IN_VARIABLES = {
    "services": "names and first ports, such as backend=9100,frontend=9200",
    "container_ports": "names and ports, such as backend=8000,frontend=5173",
}
"""What those take that are tables in files."""
_MAX_SHOWN = 80


class Layer(NamedTuple):
    """The settings of one file or variable, as they were found."""

    source: str
    table: object
    from_repository: bool = False


def checked(layer: Layer) -> dict[str, Any]:
    """Return the values that `layer` sets. Raises SettingsError for the first that is wrong."""
    if not isinstance(layer.table, dict):
        raise SettingsError(
            f"{layer.source} must be a table, not {_shown(layer.table)}",
            hint="write it as a heading, and the keys below it; adw-worktree help settings",
        )
    values = plain_values(layer.table)
    if values is None:
        values = _validated(layer)
    if layer.from_repository and leads_away(values.get("worktree_path", "")):
        raise SettingsError(
            f"{layer.source}: worktree_path leads away from the repository",
            hint="a repository's own file may name a place inside or beside it, not hidden; "
            "any other is for your own settings, or ADW_WORKTREE_PATH",
        )
    theirs = [key for key in (*USER_ONLY, *OF_MACHINE) if key in values]
    if theirs and layer.from_repository:
        raise SettingsError(
            f"{layer.source}: {theirs[0]} is not for a repository to set",
            hint="set it in your own settings: adw-worktree help settings",
        )
    if "hooks" in values:
        values["hooks"] = {
            moment: HookCommands(commands, layer.from_repository)
            for moment, commands in values["hooks"].items()
        }
    for key in [one for one in FURTHER if one in values]:
        values[key] = {
            name: Table(table, layer.from_repository) for name, table in values[key].items()
        }
    if "values" in values:
        values["values"] = {
            name: EnvValue(text, layer.from_repository) for name, text in values["values"].items()
        }
    if "postgres" in values:
        # A table without it asks for databases, too.
        table = {_ENABLED: True, **values["postgres"]}
        values["postgres"] = {key: (value, layer.from_repository) for key, value in table.items()}
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
    if key in TEXTS and isinstance(value, str):
        return TEXTS[key](value)
    if key in FLAGS and isinstance(value, bool):
        return value
    if key in COUNTS and type(value) is int and value in COUNTS[key]:
        return value
    if key in SPANS and type(value) in (int, float) and _is_within(value, SPANS[key]):
        return float(value)  # type: ignore[arg-type]
    if key in LISTS and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(LISTS[key](one) for one in value)
    if key in PORT_TABLES and isinstance(value, dict):
        return {check_service(name): _port(port, PORT_TABLES[key]) for name, port in value.items()}
    if key == "values" and isinstance(value, dict):
        return {check_variable(name): check_value(text) for name, text in value.items()}
    if key == "hooks" and isinstance(value, dict) and value.keys() <= set(MOMENTS):
        return {moment: commands(asked) for moment, asked in value.items()}
    if key in FURTHER and isinstance(value, dict):
        return {check_service(name): _table(table) for name, table in value.items()}
    if key == "postgres" and isinstance(value, dict):
        return {name: _postgres_value(name, one) for name, one in value.items()}
    raise ValueError(key)


def _table(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError(value)
    return value


def _postgres_value(name: str, value: object) -> str | bool:
    if name == _ENABLED and isinstance(value, bool):
        return value
    if name in POSTGRES and isinstance(value, str):
        return POSTGRES[name](value)
    raise ValueError(name)


def _validated(layer: Layer) -> dict[str, Any]:
    """Return the values that `layer` sets, checked by pydantic. Raises SettingsError."""
    from pydantic import ValidationError

    try:
        model = _layer_model().model_validate(layer.table)
    except ValidationError as exc:
        raise _wrong(layer, exc.errors(include_url=False)[0]) from exc
    values = {key: getattr(model, key) for key in model.model_fields_set}
    values |= {key: tuple(values[key]) for key in LISTS if key in values}
    for key in _KEYS_BELOW.keys() & values.keys():
        given = values[key]
        values[key] = {
            name.replace("_", "-"): getattr(given, name) for name in given.model_fields_set
        }
    return values


def _wrong(layer: Layer, error: ErrorDetails) -> SettingsError:
    """Return pydantic's finding as a plain sentence."""
    where = [str(part) for part in error["loc"]]
    *above, last = error["loc"]
    if isinstance(last, int):
        key = f"{above[0]} (entry {last + 1})"
    else:
        key = ".".join(plain(part) for part in where if part != "[key]")
    if error["type"] == "extra_forbidden":
        return _unknown(layer.source, key, where)
    takes = TAKES[where[0]] if len(where) == 1 else _TAKES_BELOW[where[0]]
    if where == ["postgres", _ENABLED]:
        takes = TAKES["adopt"]
    hint = "adw-worktree help settings"
    if error["type"] == "value_error":
        said = str(error["ctx"]["error"])
        if last == "[key]":
            hint = "choose another name, or leave it out"
        elif takes not in said:
            hint = f"{key} takes {takes}"
        return SettingsError(f"{layer.source}: {key} {said}", hint=hint)
    if layer.source == variable_source(where[0]) and where[0] in _IN_VARIABLES and not above:
        takes = _IN_VARIABLES[where[0]]
    shown = _shown(error["input"])
    return SettingsError(f"{layer.source}: {key} must be {takes}, not {shown}", hint=hint)


def _unknown(source: str, key: str, where: Sequence[str]) -> SettingsError:
    import difflib

    names = list(TAKES if len(where) == 1 else _KEYS_BELOW[where[0]])
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
    from typing import Annotated, Any

    from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, create_model

    def numbers(span: range) -> Any:
        return Annotated[int, Field(ge=span.start, lt=span.stop)]

    def checked_by(check: Callable[..., str]) -> Any:
        return Annotated[str, AfterValidator(check)]

    def table(key: Any, value: Any) -> Any:
        return (dict[key, value], {})

    strict = ConfigDict(strict=True, extra="forbid")
    asked = Annotated[Any, PlainValidator(commands)]
    hooks: dict[str, Any] = {
        moment.replace("-", "_"): (asked, Field(default=(), alias=moment)) for moment in MOMENTS
    }
    postgres: dict[str, Any] = {
        _ENABLED: (bool, True),
        **{key: (checked_by(check), "") for key, check in POSTGRES.items()},
    }
    service = checked_by(check_service)
    fields: dict[str, Any] = {
        **{key: (checked_by(check), "") for key, check in TEXTS.items()},
        **dict.fromkeys(FLAGS, (bool, False)),
        **{key: (list[checked_by(check)], []) for key, check in LISTS.items()},  # type: ignore[misc]
        **{key: (numbers(span), 0) for key, span in COUNTS.items()},
        **{
            key: (Annotated[float, Field(**bounds, allow_inf_nan=False)], 0.0)
            for key, bounds in SPANS.items()
        },
        **{key: table(service, numbers(span)) for key, span in PORT_TABLES.items()},
        **dict.fromkeys(FURTHER, table(service, dict[str, Any])),
        "values": table(checked_by(check_variable), checked_by(check_value)),
        "hooks": (create_model("Hooks", __config__=strict, **hooks), None),
        "postgres": (create_model("Postgres", __config__=strict, **postgres), None),
    }
    return create_model("Layer", __config__=strict, **fields)


def check_port_ranges(settings: Settings, sources: Mapping[str, str]) -> None:
    """Raise SettingsError if two services would share a port, or one run past the last port."""
    places = dict.fromkeys(sources[key] for key in ("services", "slots") if key in sources)
    source = " and ".join(places) or "the settings"
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
    if last > MAX_PORT:
        raise SettingsError(
            f"{source}: with {settings.slots} slots the ports of {before} end at {last}, "
            f"past {MAX_PORT}",
            hint=f"set its first port to {MAX_PORT + 1 - settings.slots} or less, or lower slots",
        )


def _port(value: object, allowed: range) -> int:
    if type(value) is int and value in allowed:
        return value
    raise ValueError(value)


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


def variable_of(key: str) -> str:
    """Return the variable that sets `key`."""
    return f"ADW_{key.upper()}"


def variable_source(key: str) -> str:
    return f"the variable {variable_of(key)}"

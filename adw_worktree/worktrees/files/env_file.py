"""The env file of a worktree (`.env.ports`): rendered from a template, written, recognised.

What holds here: every line written means the same to sh, dotenv readers, docker compose and
direnv, whatever branch, path or repository name went into it. What cannot is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from adw_worktree.errors import FileUnusable, SettingsError
from adw_worktree.pool.env_header import (
    _HEADER_START,
    _MAX_BYTES,
    _TITLE,
    _header_line,
    _read,
    _shown,
)
from adw_worktree.pool.lease import Lease, port_variable
from adw_worktree.settings.model import VARIABLE, EnvValue
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.paths import is_dir, is_symlink
from adw_worktree.system.shipped import shipped_text

_MAX_COMPOSE_NAME = 63
_COMPOSE_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"

# Control characters, what some readers take for the end of a line, and bytes that are not UTF-8.
_UNSAFE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
# zsh replaces `=command` at the start of a value and after a colon.
_UNQUOTED = r"(?!=)(?:[A-Za-z0-9_./+,=@%-]|:(?!=))*"
# No `$` in single quotes: python-dotenv and dotenv-expand (Vite) expand it there too. No backslash:
# sh keeps it, the others read an escape.
_SINGLE = r"'(?P<single>[^'$\\]*)'"
_DOUBLE = r'"(?P<double>[^"$`\\]*)"'
# direnv looks for the start of a value of several lines in comments too: after the first = or :.
_COMMENT = r"#(?![^=:]*[=:][ ]*['\"]).*"
# A blank line is empty: `node --env-file` takes spaces for the start of the next line's name.
_LINE = rf"|{_COMMENT}|(?P<name>{VARIABLE})=(?:(?P<plain>{_UNQUOTED})|{_SINGLE}|{_DOUBLE})"
_HINT = (
    "a line is blank, a comment, NAME=value of letters, digits and _./:+,=@%-, "
    "or NAME='value' without ' $ \\ and control characters"
)

# Read-only in a shell, not what was assigned when they are read again, or (BASH_ENV) run.
_SHELL_OWN = {"_", "UID", "EUID", "PPID", "SHELLOPTS", "RANDOM", "SRANDOM", "SECONDS", "LINENO",
              "OPTIND", "DIRSTACK", "FUNCNAME", "GROUPS", "HISTCMD"}  # fmt: skip
_SHELL_PREFIXES = ("BASH", "EPOCH")

# `${…}` is no placeholder of ours; the line it stands in decides whether it may stay.
_TOKEN = r"\$\{[^{}]*\}|\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]"
PLACEHOLDERS: Mapping[str, str] = {
    "header": "the comment by which the file is recognised, alone on its line",
    "adw_id": "the ADW id",
    "slot": "the slot",
    "branch": "the branch, empty if it is detached",
    "path": "the worktree's path",
    "repo": "the repository's name",
    "database": "the ADW's database, empty if it has none",
    "compose_project": "a project name for docker compose, the machine's only one",
    "service_ports": "a line NAME_PORT=… for each service, alone on its line",
    "ports.NAME": "the port of that service",
}
"""What a template may have in braces, and what stands there then."""

# Several lines each, so they stand alone on theirs.
_BLOCKS = {"{header}": "header", "{service_ports}": "service_ports"}
# What a template may set without anybody's approval: names and values that load no code.
_HARMLESS = (
    r"ADW_ID|ADW_SLOT|VITE_BACKEND_URL|COMPOSE_PROJECT_NAME"
    r"|(?P<port>(?:[A-Za-z0-9_]+_)?PORT)"
)
_NUMBER = r"(['\"]?)(?:[0-9]{1,5}|\{ports\.[a-z][a-z0-9-]*\})\1 *"
_SHAPE = rf"|(#).*|({VARIABLE})=(?:(['\"]).*\3|.*)"


def render(
    lease: Lease,
    *,
    repo_name: str,
    template: str | None = None,
    named: str = "the env file's template",
    values: Mapping[str, EnvValue] | None = None,
) -> str:
    """Return the env file of `lease`; without `template`, from the shipped one.

    `named` is what messages call the template.

    A header that the template lacks is put on top, required variables and `values` at the end. Of a
    lease without a worktree the header names none, and is no header to `parse_header`.

    Raises SettingsError, naming the line, if the result could mean anything else to some reader.
    """
    source = shipped_text("templates", "env.ports") if template is None else template
    table = _table(lease, repo_name)
    required = {"ADW_ID": lease.adw_id, "ADW_SLOT": str(lease.slot), **_port_variables(lease)}
    asked = values or {}
    lines: list[str] = []
    variables: dict[str, str] = {}
    for number, line in enumerate(source.removesuffix("\n").split("\n"), 1):
        where = f"line {number} of {named}"
        expanded = _expand(line.rstrip(" "), table, where)
        for one in expanded:
            _collect(variables, one, where, required)
        lines += expanded
    for (name, value), line in zip(asked.items(), value_lines(asked), strict=True):
        where = f"the setting values.{name}" + " of the repository" * value.from_repository
        lines += _expand(line, table, where)
        _collect(variables, lines[-1], where, required)
    top = [] if _header_line(lease) in lines else [table["header"]]
    missing = [f"{name}={value}" for name, value in required.items() if name not in variables]
    text = "\n".join([*top, *lines, *missing]) + "\n"
    _check_whole(text)
    return text


def _check_whole(text: str) -> None:
    """Hold the whole file, with what was put on top and at the end, to what is read again."""
    parse_variables(text)
    lines = enumerate(text.split("\n"), 1)
    headers = [number for number, line in lines if line.startswith(_HEADER_START)]
    if len(headers) > 1:
        raise SettingsError(
            f"line {headers[-1]} of the env file: a second header",
            hint="in the template, write {header} on a line of its own, once or not at all",
        )
    if len(text.encode()) > _MAX_BYTES:
        raise SettingsError(
            f"the env file would be larger than {_MAX_BYTES} bytes",
            hint="shorten the template or the values",
        )


def _table(lease: Lease, repo_name: str) -> dict[str, str]:
    """Return what each placeholder stands for."""
    ports = _port_variables(lease)
    return {
        "header": f"{_TITLE}\n{_header_line(lease)}",
        "adw_id": lease.adw_id,
        "slot": str(lease.slot),
        "branch": lease.branch or "",
        "path": lease.path or "",
        "repo": repo_name,
        "database": lease.database or "",
        "compose_project": compose_project(repo_name, lease),
        "service_ports": "\n".join(f"{name}={port}" for name, port in ports.items()),
        **{f"ports.{service}": str(port) for service, port in lease.ports.items()},
    }


def _port_variables(lease: Lease) -> dict[str, str]:
    """Return the variable of each service, `backend` and `frontend` first."""
    services = sorted(lease.ports, key=lambda name: (name != "backend", name != "frontend"))
    return {port_variable(name): str(lease.ports[name]) for name in services}


def compose_project(repo_name: str, lease: Lease) -> str:
    """Return a project name that docker compose takes; the slot makes it the machine's only one."""
    suffix = f"-{lease.slot}"
    wanted = f"{repo_name}-{lease.adw_id}".lower()
    stem = "".join(one if one in _COMPOSE_CHARACTERS else "-" for one in wanted).lstrip("-_")
    return stem[: _MAX_COMPOSE_NAME - len(suffix)] + suffix


def _expand(line: str, table: Mapping[str, str], where: str) -> list[str]:
    """Return what a line of the template becomes; a value with a line feed stays in its line."""
    if block := _BLOCKS.get(line.lstrip(" ")):
        return table[block].split("\n")
    expanded = re.sub(_TOKEN, lambda token: _value(token, table, where), line)
    # What a name or a quote is, the template alone says: a branch may be called 'x' or PATH=/x.
    if _shape(expanded) != _shape(line):
        raise SettingsError(
            f"{where}: {_shown(expanded)} is not what the template's line is meant to be",
            hint="a line needs its NAME= and both of its quotes in the template itself",
        )
    return [expanded]


def _value(token: re.Match[str], table: Mapping[str, str], where: str) -> str:
    """Return what stands for one placeholder or brace."""
    text, name = token[0], token["name"]
    if text in ("{{", "}}"):
        return text[0]
    if text.startswith("$"):
        return text
    known = f"the placeholders are {', '.join(table)}; {{{{ and }}}} are braces"
    if name is None:
        raise SettingsError(f"{where}: a {text} that belongs to no placeholder", hint=known)
    if name not in table:
        raise SettingsError(f"{where}: unknown placeholder {{{_shown(name)[1:-1]}}}", hint=known)
    if text in _BLOCKS:
        raise SettingsError(
            f"{where}: {{{name}}} is several lines, and something stands beside it",
            hint=f"put {{{name}}} on a line of its own",
        )
    return table[name]


def _shape(line: str) -> tuple[str | None, ...] | None:
    """Return what kind of line it is: blank, comment, or variable with its name and quotes."""
    found = re.fullmatch(_SHAPE, line)
    return found.groups() if found else None


def value_lines(values: Mapping[str, EnvValue]) -> list[str]:
    """Return the line of a template that sets each of `values`."""
    quoted = {name: '"' if "'" in value.text else "'" for name, value in values.items()}
    return [f"{name}={quote}{values[name].text}{quote}" for name, quote in quoted.items()]


def further_lines(template: str) -> list[str]:
    """Return the lines of a template that set more than ports and what the shipped one sets.

    `PATH`, `LD_PRELOAD`, `GIT_SSH_COMMAND`, `NODE_OPTIONS`, …: a name may run code in whatever is
    started with it, and no list of such names is complete.
    """
    lines = []
    for line in template.split("\n"):
        name, equals, value = line.partition("=")
        if not equals or line.startswith("#"):
            continue
        known = re.fullmatch(_HARMLESS, name)
        if known is None or (known["port"] and not re.fullmatch(_NUMBER, value)):
            lines.append(line)
    return lines


def parse_variables(text: str) -> dict[str, str]:
    """Return the variables of a rendered env file.

    Raises SettingsError, naming the line, for anything that some reader could take differently.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        _collect(variables, line, f"line {number} of the env file", {})
    return variables


def _collect(variables: dict[str, str], line: str, where: str, required: Mapping[str, str]) -> None:
    """Add the variable of `line`, if it has one, unless it is there or contradicts `required`."""
    found = re.fullmatch(_LINE, line)
    if found is None or not _is_safe(line):
        raise SettingsError(f"{where} is not safe to write: {_shown(line)}", hint=_HINT)
    name = found["name"]
    if name is None:
        return
    value = next(text for text in found.group("plain", "single", "double") if text is not None)
    if name in _SHELL_OWN or name.startswith(_SHELL_PREFIXES):
        raise SettingsError(f"{where}: {name} belongs to the shell", hint="choose another name")
    if name in variables:
        raise SettingsError(f"{where}: {name} is set a second time", hint="leave one of them out")
    if value != required.get(name, value):
        raise SettingsError(
            f"{where}: {name} is {_shown(value)}, but must be {required[name]}",
            hint="leave the line out; it is added",
        )
    variables[name] = value


def _is_safe(line: str) -> bool:
    """Return whether every reader takes each character of `line` for a part of it.

    All that is printable is safe, and nearly every line is; the pattern takes long to be compiled.
    """
    return line.isprintable() or re.search(f"[{_UNSAFE}]", line) is None


def write(worktree: Path, name: str, text: str) -> Path:
    """Make `name` in `worktree` hold `text` and return its path; the same content stays untouched.

    A symbolic link there is replaced, never followed. Raises SettingsError if a directory is in the
    way, FileUnusable if the file cannot be written.
    """
    path = worktree / name
    data = text.encode()
    if _read(path) == data:
        return path
    if is_dir(path) and not is_symlink(path):
        raise SettingsError(
            f"the env file {path} cannot be written: a directory is in its place",
            hint="move it away, or choose another name with the setting env_file",
        )
    try:
        write_atomically(path, data)
    except OSError as exc:
        raise FileUnusable.because(f"the env file {path} cannot be written", exc) from exc
    return path

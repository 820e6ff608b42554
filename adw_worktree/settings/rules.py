"""What a value of each setting must be. Each check returns the value, or raises ValueError: a
sentence without its subject, the key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adw_worktree.settings.model import VARIABLE
from adw_worktree.settings.places import PLACEHOLDER, in_git_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from urllib.parse import SplitResult

_MAX_NAME_BYTES = 200  # leaves room for the suffix of a temporary file
_SERVICE = r"[a-z][a-z0-9-]{0,31}"
MAX_PORT = 65535
_LEAST_SECRET = 16


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


def leads_away(template: str) -> bool:
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


def check_service(value: str) -> str:
    if not re.fullmatch(_SERVICE, value):
        raise ValueError(
            "is no name of a service: 1 to 32 of a-z, 0-9 and '-', starting with a letter"
        )
    return value


def check_label(value: str) -> str:
    if not re.fullmatch(_SERVICE, value):
        raise ValueError("is no label: 1 to 32 of a-z, 0-9 and '-', starting with a letter")
    return value


def check_variable(value: str) -> str:
    if not re.fullmatch(VARIABLE, value):
        raise ValueError("is no name of a variable: letters, digits and _, not export…")
    if re.fullmatch(r"ADW_(ID|SLOT)", value):
        raise ValueError("is set already, and always")
    return value


def _check_web_address(value: str) -> str:
    parts = _web_address(value)
    if "@" in parts.netloc:
        raise ValueError("must not have a user or password in it: sign with notify_secret")
    return value


def _check_github_url(value: str) -> str:
    parts = _web_address(value)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must not have a user, password, ? or # in it: https://HOST/api/v3")
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError("must begin with https://, for a token is sent there")
    return value.rstrip("/")


def _web_address(value: str) -> SplitResult:
    _check_text(value)
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if not plain or not value.isascii() or " " in value:
        raise ValueError("must be an address of the web, such as https://HOST/PATH")
    return parts


def _check_secret(value: str) -> str:
    if len(value) < _LEAST_SECRET:
        raise ValueError(f"must have at least {_LEAST_SECRET} characters: openssl rand -hex 32")
    _check_text(value)
    if value.startswith("whsec_"):
        import base64

        try:
            base64.b64decode(value.removeprefix("whsec_"), validate=True)
        except ValueError:
            raise ValueError("must have base64 after whsec_") from None
    return value


def _check_server(value: str) -> str:
    _check_text(value)
    from adw_worktree.settings.database_url import check_url

    return check_url(value)


def _check_database(value: str) -> str:
    _check_text(value)
    _check_placeholders(value, ["repo", "adw_id", "slot", "branch"])
    if not re.search(r"\{(adw_id|slot|branch)\}", value):
        raise ValueError("needs {slot}, {adw_id} or {branch}, or all would share one database")
    return value


def check_value(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    if value:
        _check_text(value)
    return value


def commands(value: object) -> tuple[str | tuple[str, ...], ...]:
    """Return what a moment of `[hooks]` stands for. Raises ValueError, for pydantic to report."""
    items = value if isinstance(value, list) else [value]
    return tuple(_command(item) for item in items)


def _command(item: object) -> str | tuple[str, ...]:
    words = [word for word in (item if isinstance(item, list) else [item]) if isinstance(word, str)]
    if not words or (isinstance(item, list) and len(words) < len(item)):
        raise ValueError(f"must be {COMMANDS}")
    if not words[0].strip():
        raise ValueError("has an empty command")
    if any("\0" in word for word in words):
        raise ValueError("has a command with a NUL character")
    return tuple(words) if isinstance(item, list) else words[0]


def _check_writer(value: str) -> str:
    name, colon, directory = value.partition(":")
    if name not in WRITERS:
        raise ValueError(f"must be one of {', '.join(WRITERS)}, perhaps with :DIRECTORY")
    if colon:
        try:
            _check_inside(directory)
        except ValueError as exc:
            raise ValueError(f"has a directory that {exc}") from exc
    return value


WRITERS = ("compose", "direnv", "mise", "procfile", "vite", "vscode")
"""Programs for which `create` can write a file beside the env file (`programs.py`)."""
POSTGRES: Mapping[str, Callable[[str], str]] = {
    "url": _check_server,
    "template": _check_argument,
    "database": _check_database,
    "variable": check_variable,
}
"""The texts in `[postgres]`."""
COMMANDS = 'a command line, or a list of command lines and argument lists (["npm", "ci"])'


def _one_of(*words: str) -> Callable[[str], str]:
    """Return a check that takes these words alone."""

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return value

    return check


TEXTS: Mapping[str, Callable[[str], str]] = {
    "worktree_path": _check_worktree_path,
    "ledger": _check_ledger,
    "branch_name": _check_branch_name,
    "base": _check_argument,
    "remote": _check_argument,
    "env_file": _check_env_file,
    "template": _check_inside,
    "notify_url": _check_web_address,
    "notify_secret": _check_secret,
    "land": _one_of("leave", "merge", "pr"),
    "checklist": _one_of("warn", "block"),
    "issues": _one_of("file", "github"),
    "github_url": _check_github_url,
    "store": _check_server,
    "store_listen": _check_server,
    "logs": _one_of("host", "store"),
}
LISTS: Mapping[str, Callable[[str], str]] = {
    "write": _check_writer,
    "include": _check_pattern,
    "link": _check_pattern,
    "labels": check_label,
}
FLAGS = ("adopt", "submodules")
COUNTS = {
    "slots": range(1, 10001),
    "spares": range(101),
    "max_running": range(1, 1001),
    "max_running_here": range(1, 1001),
}
SPANS: Mapping[str, dict[str, Any]] = {
    "lock_timeout": {"gt": 0, "le": 3600},
    "trash_days": {"ge": 0, "le": 3650},
    "lease": {"ge": 3, "le": 86400},
}
"""Bounds of the numbers that need not be whole, in the words of pydantic and `operator`."""
PORT_TABLES = {"services": range(1024, MAX_PORT + 1), "container_ports": range(1, MAX_PORT + 1)}
"""Tables of services, and what their numbers lie in."""

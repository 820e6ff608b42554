"""Becoming the command that a person asked to run: signals, streams and exit code are its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import NoReturn

from .errors import AdwError


class CommandNotFound(AdwError):
    """The command to run does not exist."""

    code = "command-not-found"
    exit_code = 127


class CommandNotExecutable(AdwError):
    """The command to run cannot be executed."""

    code = "command-not-executable"
    exit_code = 126


def become(words: Sequence[str], directory: Path, variables: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command in `directory`, with `variables` in its environment.

    Raises CommandNotFound, CommandNotExecutable.
    """
    os.chdir(directory)
    environment = {**os.environ, **variables}
    try:
        os.execvpe(words[0], list(words), environment)
    except (OSError, ValueError) as exc:
        raise _failure(words[0], environment.get("PATH", os.defpath), exc) from exc


def _failure(name: str, search: str, cause: OSError | ValueError) -> AdwError:
    """Return why `name`, looked for on `search`, could not be run."""
    file = _file(name, search)
    if file is None and "/" in name:
        hint = f"a relative path begins at {os.getcwd()}"
        return CommandNotFound(f"{name}: there is no such file", hint=hint)
    if file is None:
        hint = "see whether it is installed, and on PATH"
        return CommandNotFound(f"{name or repr(name)}: command not found", hint=hint)
    if os.path.isdir(file):
        return CommandNotExecutable(f"{file} is a directory", hint="name a program in it")
    why = cause.strerror if isinstance(cause, OSError) else str(cause)
    hint = "see whether its interpreter and its file system let it be run"
    match getattr(cause, "errno", None):
        case errno.ENOENT:
            why = "what its first line (#!) names, or what loads it, does not exist"
            hint = f"install that, or mend {file}"
        case errno.ENOEXEC:
            why = "it is no program of this machine, and no first line says what interprets it"
            hint = f"begin {file} with a line such as #!/bin/sh"
        case errno.EACCES if not os.access(file, os.X_OK):
            why = "it is not executable"
            hint = f"chmod +x {quote(file)}"
    return CommandNotExecutable(f"{file} cannot be run: {why}", hint=hint)


def _file(name: str, search: str) -> str | None:
    """Return the path of what a shell would run; None if there is nothing."""
    if "/" in name:
        return os.path.abspath(name) if os.path.exists(name) else None
    places = (os.path.join(directory, name) for directory in search.split(os.pathsep))
    return next((os.path.abspath(place) for place in places if os.path.isfile(place)), None)

"""Becoming the command that a person asked to run: signals, streams and exit code are its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote

from adw_worktree.errors import AdwError, CommandNotExecutable, CommandNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def become(words: Sequence[str], directory: Path, variables: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command in `directory`, with `variables` in its environment.

    Raises CommandNotFound, CommandNotExecutable.
    """
    os.chdir(directory)
    environment = {**os.environ, **variables}
    # Not by execvp, which tells of the first directory that failed, not of the file that was found.
    file = _require_file(words[0], environment.get("PATH", os.defpath))
    try:
        os.execve(file, list(words), environment)
    except (OSError, ValueError) as exc:
        raise _failure(file, exc) from exc


def _require_file(name: str, search: str) -> str:
    """Return the path of what a shell would run. Raises CommandNotFound."""
    if "/" in name:
        if not os.path.exists(name):
            hint = f"a relative path begins at {os.getcwd()}"
            raise CommandNotFound(f"{name}: there is no such file", hint=hint)
        return os.path.abspath(name)
    places = [os.path.abspath(os.path.join(one, name)) for one in search.split(os.pathsep)]
    files = [place for place in places if os.path.isfile(place)]
    if not files:
        hint = "see whether it is installed, and on PATH"
        raise CommandNotFound(f"{name or repr(name)}: command not found", hint=hint)
    return next((file for file in files if os.access(file, os.X_OK)), files[0])


def _failure(file: str, cause: OSError | ValueError) -> AdwError:
    """Return why `file` could not be run."""
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

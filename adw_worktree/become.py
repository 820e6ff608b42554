"""Becoming the command that a person asked to run: signals, streams and exit code are its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
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
    try:
        os.execvpe(words[0], list(words), {**os.environ, **variables})
    except FileNotFoundError as exc:
        raise CommandNotFound(
            f"{words[0]}: command not found", hint="see whether it is installed, and on PATH"
        ) from exc
    except (OSError, ValueError) as exc:
        raise CommandNotExecutable(
            f"{words[0]} cannot be run: {exc}", hint="make it executable, and repeat"
        ) from exc

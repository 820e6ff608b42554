"""argparse with errors of ours, that loads nothing slow until there is help to print."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from adw_worktree.cli.output import columns, print_text
from adw_worktree.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours."""

    commands: argparse._SubParsersAction[Parser]
    """Of the whole command line's: the parsers of the commands, by name."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.register("type", int, _whole_number)
        self.register("type", float, _number)

    def print_help(self, file: Any = None) -> None:
        """Print the help, and see that it arrives: argparse does not look."""
        print_text(self.format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes a whole number, not {text!r}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes a number, not {text!r}") from None


class Help(argparse.RawDescriptionHelpFormatter):
    """argparse makes one to check each argument, and so it may load nothing slow.

    Of its own accord it asks shutil for the width and, since Python 3.14, a theme for colours,
    which needs dataclasses.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)

    def _set_color(self, color: bool) -> None:
        self._asked = color

    def __getattr__(self, name: str) -> Any:
        if name not in ("_theme", "_decolor"):
            raise AttributeError(name)
        super()._set_color(self._asked)  # type: ignore[misc]
        return self.__dict__[name]


class Version(argparse.Action):
    """Prints the version."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from adw_worktree._version import __version__

        print_text(f"adw-worktree {__version__}\n")
        parser.exit()

"""argparse with errors of ours, that loads nothing slow until there is help to print.

Commands declare their arguments; a parser is made for the chosen one alone.
"""

from __future__ import annotations

import argparse

from adw_worktree.cli.command_table import COMMANDS, command_module, require_command
from adw_worktree.cli.exit_codes import EXIT_CODES
from adw_worktree.cli.output import columns, print_text, print_version
from adw_worktree.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


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
        print_version()
        parser.exit()


_EPILOG = """\
examples:
  adw-worktree create fix-login
  adw-worktree run fix-login -- npm run dev
  adw-worktree list
  adw-worktree remove fix-login
  adw-worktree help            # commands and topics

exit codes:
""" + "\n".join(f"  {code:<2}  {what}" for code, what in EXIT_CODES.items())


def build_parser(*, chosen: str | None) -> Parser:
    """Return the parser of the `chosen` command; of all of them if it is "*".

    If it is None they are only listed, without their arguments.
    """
    parser = Parser(
        prog="adw-worktree",
        description="A git worktree and a slot of ports for every agent workflow (ADW).",
        epilog=_EPILOG,
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.add_argument("-C", dest="directory", metavar="DIR", help="work in DIR")
    parser.add_argument(
        "--version", action=Version, nargs=0, default=argparse.SUPPRESS, help="print the version"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    # With `prog`, or argparse would load what it needs to print help.
    parser.commands = commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", parser_class=Parser, prog=parser.prog
    )
    for name, (summary, aliases) in COMMANDS.items():
        if chosen not in (None, name, "*"):
            continue
        sub = commands.add_parser(
            name,
            aliases=aliases,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=Help,
            allow_abbrev=False,
        )
        if chosen in (name, "*"):
            module = command_module(name)
            sub.epilog = module.EPILOG
            module.add_arguments(sub)
            for action in sub._actions:
                if action.choices and not action.option_strings:
                    action.metavar = f"{{{','.join(action.choices)}}}"  # in errors as well
            sub.add_argument(
                "--json",
                action="store_true",
                default=argparse.SUPPRESS,
                help="print one JSON document",
            )
    return parser


def parser_of(name: str | None) -> Parser:
    """Return the parser of the command `name`; of the whole command line if it is None."""
    if name is None:
        return build_parser(chosen=None)
    return build_parser(chosen=require_command(name)).commands.choices[name]

"""The command line: which command, its arguments, and the one place that catches errors.

Only the chosen command's module is imported. A command takes its parsed arguments and returns an
Outcome; nothing but this module ends the process.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from adw_worktree.cli.output import Outcome, print_error, print_outcome, writing
from adw_worktree.cli.parser import Help, Parser, Version
from adw_worktree.errors import (
    EXIT_CODES,
    AdwError,
    FileUnusable,
    NotARepository,
    Unexpected,
    is_disk_failure,
)
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.faults import require_valid

if TYPE_CHECKING:
    from adw_worktree.cli.elsewhere import Elsewhere

# name: (what it does, aliases). The module is `commands/<name>.py`, with `_` for `-`.
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "create": ("make a worktree with a slot of ports", ("add", "new")),
    "adopt": ("give a worktree that git made a slot of ports", ()),
    "remove": ("take back a worktree and its slot", ("rm", "delete")),
    "rename": ("give an ADW another id, with the same slot", ()),
    "finish": ("merge a worktree's branch back, and remove the worktree", ()),
    "restore": ("bring back a worktree that was removed with work in it", ()),
    "list": ("show the repository's worktrees", ("ls",)),
    "status": ("show the pool of this machine", ()),
    "lock": ("keep a worktree from being removed", ()),
    "unlock": ("let a worktree be removed again", ()),
    "reserve": ("lease a slot without a worktree", ()),
    "release": ("give back a slot that was reserved", ()),
    "reconcile": ("compare leases with worktrees, and mend", ("gc", "prune")),
    "watch": ("free slots as soon as their worktrees are gone", ()),
    "env": ("print an ADW's variables", ()),
    "run": ("run a command in a worktree, with its variables", ()),
    "cd": ("go into a worktree", ()),
    "path": ("print a worktree's path", ()),
    "spares": ("keep worktrees ready, so that create is quick", ()),
    "claude-hook": ("make and remove the worktrees of Claude Code's sessions", ()),
    "hooks": ("put git's hooks in place, or take them out", ()),
    "shell-init": ("print what a shell needs for `adw` and completion", ()),
    "trust": ("approve the commands that a repository's settings ask for", ()),
    "doctor": ("say what is wrong, and what mends it", ()),
    "help": ("explain a command, or a topic such as exit-codes", ()),
}

_EPILOG = """\
examples:
  adw-worktree create fix-login
  adw-worktree run fix-login -- npm run dev
  adw-worktree list
  adw-worktree remove fix-login
  adw-worktree help            # commands and topics

exit codes:
""" + "\n".join(f"  {code:<2}  {what}" for code, what in EXIT_CODES.items())

_PRINTS_LINES = ("watch",)
"""Commands of which every line with `--json` is a document."""
_ISSUES = "https://github.com/adw-worktree/adw-worktree/issues"


class Terminated(BaseException):
    """SIGTERM or SIGHUP asked the process to end; what was begun is undone on the way out."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    words, trailing = _split_trailing(words)
    elsewhere = _elsewhere(words)
    _watch_signals()
    _forget_repository()
    try:
        require_valid()
        if words == ["complete"]:
            return _complete(trailing or [])
        return _run(words, trailing, elsewhere)
    except AdwError as exc:
        return _report(elsewhere.error(exc) if elsewhere else exc, words)
    except Terminated as exc:
        return 128 + exc.signum
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _drop_stdout()
        return 128 + signal.SIGPIPE
    except Exception as exc:
        if isinstance(exc, OSError) and is_disk_failure(exc):
            return _report_disk(exc, words)
        return _report_bug(exc, words)


def _run(words: list[str], trailing: list[str] | None, elsewhere: Elsewhere | None) -> int:
    parser = build_parser(chosen=_command_of(words))
    args, rest = parser.parse_known_args(words)
    if rest:
        from adw_worktree.cli.mistyped import left_over

        chosen = parser.commands.choices[args.command] if args.command else parser
        raise left_over(chosen, words, trailing, rest, getattr(args, "adw_id", None))
    if args.command is None:
        parser.print_help()
        return 0
    args.trailing = trailing
    args.parser_of = parser_of
    args.directory = _directory(args.directory)
    outcome: Outcome = _module(_canonical(args.command)).run(args)
    outcome = elsewhere.outcome(outcome) if elsewhere else outcome
    with writing(f"what {args.command} does is done, but stdout"):
        print_outcome(outcome, as_json=args.json)
    if outcome.then is not None:
        outcome.then()
    return int(outcome.exit_code)


def _complete(words: list[str]) -> int:
    """Tell a shell what could come next; its own scripts ask for it."""
    from adw_worktree.cli.completion import complete

    text = complete(words, COMMANDS, parser_of)
    print_outcome(Outcome({}, text, exact=bool(text)), as_json=False)
    return 0


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
    parser.add_argument("--version", action=Version, nargs=0, help="print the version")
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
            module = _module(name)
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


def parser_of(name: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command `name`; of the whole command line if it is None."""
    if name is None:
        return build_parser(chosen=None)
    return build_parser(chosen=_canonical(name)).commands.choices[name]


def _split_trailing(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the words before and after the first `--` of a `run`."""
    if "--" not in words:
        return words, None
    at = words.index("--")
    if words[:at] != ["complete"] and _command_of(words[:at]) != "run":
        return words, None
    return words[:at], words[at + 1 :]


def _command_of(words: list[str]) -> str | None:
    """Return the command that `words` name; raise UsageError on a wrong one."""
    _, word = _leading(words)
    return None if word is None else _canonical(word)


def _elsewhere(words: list[str]) -> Elsewhere | None:
    """Return what -C says; None without one."""
    directory, _ = _leading(words)
    if not directory:
        return None
    from adw_worktree.cli.elsewhere import Elsewhere

    return Elsewhere(directory, _names())


def _leading(words: list[str]) -> tuple[str, str | None]:
    """Return what -C says, "" without one, and the word in the place of the command."""
    directory = ""
    rest = iter(words)
    for word in rest:
        if word == "-C":
            directory = next(rest, "")
        elif word.startswith("-C"):
            directory = word[2:]
        elif not word.startswith("-"):
            return directory, word
    return directory, None


def _canonical(word: str) -> str:
    for name, (_, aliases) in COMMANDS.items():
        if word == name or word in aliases:
            return name
    from adw_worktree.cli.mistyped import unknown_command

    raise unknown_command(word, _names())


def _names() -> list[str]:
    return [name for key, (_, aliases) in COMMANDS.items() for name in (key, *aliases)]


def _module(name: str) -> Any:
    return import_module(f".commands.{name.replace('-', '_')}", __package__)


def _directory(named: str | None) -> Path:
    try:
        return Path(named or ".").absolute()
    except FileNotFoundError as exc:
        raise NotARepository(
            "the working directory does not exist any more",
            hint="go into one that does, and repeat",
        ) from exc


def _forget_repository() -> None:
    """Drop what git has in the environment for one repository: hooks call us."""
    kept = clean_environment()
    for name, value in list(os.environ.items()):
        if name not in kept:
            del os.environ[name]
        elif kept[name] != value:
            os.environ[name] = kept[name]


def _watch_signals() -> None:
    """Turn the signals that ask us to end into an exception, once; then undo undisturbed."""

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        for number in watched:
            # Ignored signals stay ignored in children: git finishes the undoing, too.
            signal.signal(number, signal.SIG_IGN)
        # At the terminal, children got the Ctrl-C as well; a kill is told to us alone.
        raise KeyboardInterrupt if signum == signal.SIGINT else Terminated(signum)

    watched = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    watched = [number for number in watched if signal.getsignal(number) != signal.SIG_IGN]
    for number in watched:
        signal.signal(number, interrupt)


def _report_disk(error: OSError, words: list[str]) -> int:
    """Say that the disk failed; stdout may itself be on that disk."""
    what = f"{error.filename} cannot be used" if error.filename else "a file cannot be written"
    return _report(FileUnusable.because(what, error), words)


def _report(failure: AdwError, words: list[str]) -> int:
    """Print the failure of the command line `words`, on stderr if stdout is on a full disk, and
    return the exit code."""
    as_json = "--json" in words
    try:
        print_error(failure, as_json=as_json, on_one_line=_leading(words)[1] in _PRINTS_LINES)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    except OSError:
        if as_json:
            with suppress(OSError):
                print_error(failure, as_json=False)
        _drop_stdout()
    return failure.exit_code


def _drop_stdout() -> None:
    """Keep Python from flushing at the exit what cannot be written, and complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_bug(error: Exception, words: list[str]) -> int:
    """Say that this is our own mistake, and where the report is."""
    import traceback
    from tempfile import NamedTemporaryFile

    story = "".join(traceback.format_exception(error))
    try:
        with NamedTemporaryFile(
            "w", prefix="adw-worktree-", suffix=".log", delete=False, errors="backslashreplace"
        ) as report:
            report.write(story)
        told = report.name
    except OSError:  # a full disk may be what made us stumble
        told = f"this:\n{story}"
    unexpected = Unexpected(
        f"unexpected {type(error).__name__}: {error}",
        hint=f"this is a bug; report it at {_ISSUES}, with {told}",
    )
    return _report(unexpected, words)

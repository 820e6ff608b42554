"""The command line: which command, its arguments, and the one place that catches errors.

Only the chosen command's module is imported. A command takes its parsed arguments and returns an
Outcome; nothing but this module ends the process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from adw_worktree.cli.command_table import (
    command_called,
    command_module,
    command_names,
    require_command,
)
from adw_worktree.cli.output import (
    Outcome,
    print_error,
    print_outcome,
    print_version,
    writing,
)
from adw_worktree.cli.plain import read
from adw_worktree.errors import (
    AdwError,
    FileUnusable,
    NotARepository,
    Unexpected,
    UsageError,
    is_disk_failure,
)
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.faults import require_valid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path
    from types import FrameType

    from adw_worktree.cli.elsewhere import Elsewhere

_PRINTS_LINES = ("watch",)
"""Commands of which every line with `--json` is a document."""
_WITH_STORE = ("feature", "phase", "plan", "import-queue")
"""Commands whose arguments go to the store."""
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
        if words == ["--version"]:
            print_version()
            return 0
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
    args = read(words) or _parsed(words, trailing)
    if args is None:
        return 0
    if args.command in _WITH_STORE:
        _require_text(words)
    args.trailing = trailing
    args.directory = _directory(args.directory)
    outcome: Outcome = command_module(require_command(args.command)).run(args)
    outcome = elsewhere.outcome(outcome) if elsewhere else outcome
    with writing(f"what {args.command} does is done, but stdout"):
        print_outcome(outcome, as_json=args.json)
    if outcome.then is not None:
        outcome.then()
    return int(outcome.exit_code)


def _require_text(words: list[str]) -> None:
    """Raise UsageError for an argument that is no text: the store keeps nothing else."""
    from adw_worktree.system.text import printable

    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as exc:
            raise UsageError(f"{printable(word)} is not UTF-8", hint="write it in UTF-8") from exc


def _parsed(words: list[str], trailing: list[str] | None) -> Namespace | None:
    """Return what argparse makes of `words`; None if it was to print help. Raises UsageError."""
    from adw_worktree.cli.parser import build_parser

    parser = build_parser(chosen=_command_of(words))
    args, rest = parser.parse_known_args(words)
    if rest:
        from adw_worktree.cli.mistyped import left_over

        chosen = parser.commands.choices[args.command] if args.command else parser
        raise left_over(chosen, words, trailing, rest, getattr(args, "adw_id", None))
    if args.command is None:
        parser.print_help()
        return None
    return args


def _complete(words: list[str]) -> int:
    """Tell a shell what could come next; its own scripts ask for it."""
    from adw_worktree.cli.completion import complete

    text = complete(words)
    print_outcome(Outcome({}, text, exact=bool(text)), as_json=False)
    return 0


def _split_trailing(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the words before and after the first `--` of a `run`."""
    if "--" not in words:
        return words, None
    at = words.index("--")
    _, command = _leading(words[:at])
    runs = command is not None and command_called(command) == "run"
    if words[:at] != ["complete"] and not runs:
        return words, None
    return words[:at], words[at + 1 :]


def _command_of(words: list[str]) -> str | None:
    """Return the command that `words` name; raise UsageError on a wrong one."""
    _, word = _leading(words)
    return None if word is None else require_command(word)


def _elsewhere(words: list[str]) -> Elsewhere | None:
    """Return what -C says; None without one."""
    directory, _ = _leading(words)
    if not directory:
        return None
    from adw_worktree.cli.elsewhere import Elsewhere

    return Elsewhere(directory, command_names())


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


def _directory(named: str | None) -> Path:
    from pathlib import Path

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

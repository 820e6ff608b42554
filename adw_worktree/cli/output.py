"""The one place that prints: results on stdout, everything else on stderr, JSON as one document."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from adw_worktree.errors import AdwError, FileUnusable
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.text import encodable, pasteable, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

SCHEMA_VERSION = 1


class Terminal(NamedTuple):
    """What the terminal that results go to can show."""

    columns: int
    lines: int
    styled: bool = True
    """Whether it takes more than plain text: bold, links, a cursor that is moved."""
    coloured: bool = True
    encoding: str = "utf-8"

    @property
    def unicode(self) -> bool:
        """Whether it has every sign."""
        return self.encoding.lower().replace("-", "") == "utf8"


class Outcome(NamedTuple):
    """What a command has to say."""

    data: Mapping[str, Any]
    """The keys of the JSON document."""
    text: str = ""
    """The same for people, on stdout."""
    notes: Sequence[str] = ()
    """What else a person should know, on stderr."""
    exit_code: int = 0
    exact: bool = False
    """Whether `text` is for programs, too: then it is written byte for byte but to a terminal."""
    then: Callable[[], NoReturn] | None = None
    """What this process becomes when all is printed."""
    drawn: Callable[[Terminal], str] | None = None
    """Return what a terminal gets in place of `text`; called for a terminal only."""


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print the result and its notes."""
    for note in outcome.notes:
        _say("note", pasteable(note), "36")
    if as_json:
        _print_document({"ok": True, **outcome.data})
    elif outcome.exact and not sys.stdout.isatty():
        _write_exactly(outcome.text)
    elif outcome.drawn is not None and sys.stdout.isatty():
        _write(sys.stdout, outcome.drawn(terminal()))
    elif outcome.text:
        _write(sys.stdout, _shown(outcome.text))


def print_error(error: AdwError, *, as_json: bool, on_one_line: bool = False) -> None:
    """Print the failure: a JSON document on stdout, or two lines on stderr."""
    if as_json:
        document = {"ok": False, "error": error.as_document()}
        if on_one_line:
            print_event(document)
        else:
            _print_document(document)
        return
    _say("error", error.message, "31")
    for note in getattr(error, "__notes__", []):
        _say("note", pasteable(note), "36")
    if error.hint:
        _say("hint", pasteable(error.hint), "33")


def print_text(text: str) -> None:
    """Print a text that is nobody's result, help or the version, as it stands."""
    with writing("stdout"):
        _write(sys.stdout, text, end="")


def print_version() -> None:
    """Print which version this is."""
    from adw_worktree._version import __version__

    print_text(f"adw-worktree {__version__}\n")


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Have a failure to write to stdout say that of `what`; a broken pipe stays quiet."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        failure = FileUnusable.because(f"{what} cannot be written", exc)
        failure.hint = "send it elsewhere, or make room there"
        raise failure from exc


def print_event(event: Mapping[str, Any] | str) -> None:
    """Print one of a row of events: a line of text, or a JSON object on a line of its own."""
    if not isinstance(event, str):
        import json

        event = json.dumps({"schema_version": SCHEMA_VERSION, **event})
    _write(sys.stdout, printable(event))


def print_notice(text: str, hint: str | None) -> None:
    """Print what a person should know of something that goes on."""
    _say("note", pasteable(text), "36")
    if hint:
        _say("hint", pasteable(hint), "33")


def terminal() -> Terminal:
    """Return what the terminal that stdout is can show."""
    styled = os.environ.get("TERM") != "dumb"
    return Terminal(*_size(), styled, _is_coloured(sys.stdout), sys.stdout.encoding or "ascii")


def can_draw() -> bool:
    """Whether a person sits at a terminal on which more than one line after the other shows."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def draw(codes: str) -> None:
    """Send text with codes of the terminal to stdout, as it is."""
    _write(sys.stdout, codes, end="")


def columns() -> int:
    """Return how wide the terminal is that stdout is, or what COLUMNS says."""
    return _size()[0]


def _size() -> tuple[int, int]:
    try:
        found = os.get_terminal_size(sys.stdout.fileno())
    except (ValueError, OSError):  # closed, or no terminal
        found = os.terminal_size((0, 0))
    try:
        wide = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        wide = found.columns
    return (wide if wide > 0 else 80), found.lines or 24


def can_ask() -> bool:
    """Whether a person sits at the terminal who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(about: str, question: str) -> bool:
    """Show what it is about and ask on the terminal; only `y` and `yes` mean yes."""
    _write(sys.stderr, _shown(about))
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _say(label: str, text: str, colour: str) -> None:
    coloured = _is_coloured(sys.stderr)
    start, end = (f"\033[{colour}m", "\033[0m") if coloured else ("", "")
    # A name with a line break cannot pass for a line of ours: what follows the first is indented.
    first, *rest = text.split("\n")
    lines = [first, *(line if line.startswith("  ") else f"  {line}" for line in rest)]
    _write(sys.stderr, f"{start}{label}:{end} {_shown(chr(10).join(lines))}")


def _print_document(document: Mapping[str, Any]) -> None:
    import json

    _write(sys.stdout, json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2))


def _write_exactly(text: str) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(errors="surrogateescape") + b"\n")
    sys.stdout.flush()


def _shown(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _write(stream: TextIO, text: str, *, end: str = "\n") -> None:
    """Write a line, with what the stream cannot encode shown as an escape."""
    stream.write(encodable(text, stream.encoding or "utf-8") + end)
    stream.flush()


def _is_coloured(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under their heads, in columns."""
    shown = [[printable(cell) for cell in row] for row in rows]
    lines = [list(head), *shown]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
              for line in lines)  # fmt: skip
    return "\n".join(line.rstrip() for line in padded)

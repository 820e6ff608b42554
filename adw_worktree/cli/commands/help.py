"""`adw-worktree help`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from adw_worktree.cli.output import Outcome
from adw_worktree.cli.topics import TOPICS, Block, Lines, Rows
from adw_worktree.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree help               # the commands, and the topics
  adw-worktree help create        # as create --help
  adw-worktree help exit-codes

The man page has all of it: man adw-worktree."""

_WIDTH = 80
_WIDEST_WORD = 24


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="a command or a topic")


def run(args: Namespace) -> Outcome:
    text = _text(args)
    return Outcome({"topic": args.topic, "text": text}, text)


def _text(args: Namespace) -> str:
    if args.topic in TOPICS:
        return shown(TOPICS[args.topic].blocks())
    from adw_worktree.cli.parser import parser_of

    if args.topic is None:
        rows = Rows([(name, topic.summary) for name, topic in TOPICS.items()])
        overview = _described(parser_of(None))
        return f"{overview}\n\ntopics, for `adw-worktree help TOPIC`:\n{shown([rows])}"
    commands = parser_of(None).commands.choices
    if args.topic in commands:
        return _described(parser_of(args.topic))
    from difflib import get_close_matches

    near = get_close_matches(args.topic, [*TOPICS, *commands], n=1)
    raise UsageError(
        f"{args.topic!r} is neither a command nor a topic",
        hint=" ".join(["adw-worktree help", *near]),
    )


def _described(parser: ArgumentParser) -> str:
    """Return a parser's help, without the colours that Python 3.14 gives it on a terminal.

    What we print has control characters escaped.
    """
    vars(parser)["color"] = False
    return parser.format_help().removesuffix("\n")


def shown(blocks: Sequence[Block]) -> str:
    """Return a topic's text as a terminal has it."""
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    if isinstance(block, Lines):
        return textwrap.indent(block.text, "    ")
    if isinstance(block, str):
        return textwrap.fill(block, _WIDTH, break_long_words=False, break_on_hyphens=False)
    widest = max(len(word) for word, _ in block.rows if len(word) <= _WIDEST_WORD)
    return "\n".join(_row(word, meaning, widest) for word, meaning in block.rows)


def _row(word: str, meaning: str, widest: int) -> str:
    """Return a word and its meaning beside it; below it, if the word is long."""
    indent = " " * (widest + 4)
    lines = textwrap.fill(
        meaning,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if len(word) <= widest:
        return f"  {word:<{widest}}  {lines.lstrip()}"
    head = textwrap.fill(word, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return f"{head}\n{lines}"

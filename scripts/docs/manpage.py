"""Write the man pages into a directory: `python -m scripts.docs.manpage DIR`.

What they say is what `--help` and `adw-worktree help TOPIC` say, taken from the parsers and topics.
Nothing of a page depends on the Python that makes it, so that builds are reproducible.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from adw_worktree import __version__
from adw_worktree.cli.command_table import COMMANDS
from adw_worktree.cli.parser import Parser, build_parser
from adw_worktree.cli.topics import TOPICS, Block, Lines, Rows


def write_pages(directory: Path) -> list[Path]:
    """Write the pages and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    pages = {
        directory / "adw-worktree.1": page(),
        # What `git adw-worktree --help` looks for.
        directory / "git-adw-worktree.1": ".so man1/adw-worktree.1\n",
    }
    for path, roff in pages.items():
        path.write_text(roff, encoding="utf-8")
    return list(pages)


def page() -> str:
    """Return the man page, as roff."""
    parser = build_parser(chosen="*")
    about = str(parser.description)
    lines = [
        f'.TH ADW\\-WORKTREE 1 "" "adw\\-worktree {text(__version__)}" "User Commands"',
        ".ad l",  # a long list of choices breaks into lines that cannot be stretched
        *_section("NAME", [f"adw\\-worktree \\- {text(_lowered(about))}"]),
        *_section("SYNOPSIS", _synopsis(parser, "adw-worktree")),
        *_section("DESCRIPTION", _paragraphs(f"{about}\n\n{_DESCRIPTION}")),
        *_section("OPTIONS", _arguments(parser)),
        *_section("COMMANDS", _commands(parser)),
    ]
    for topic in TOPICS.values():
        lines += _section(topic.heading, [line for one in topic.blocks() for line in _block(one)])
    lines += _section("EXAMPLES", verbatim(_examples(parser)))
    lines += _section("SEE ALSO", [".BR git\\-worktree (1)"])
    return "\n".join(lines) + "\n"


_DESCRIPTION = """\
Each ADW has a worktree, a branch and a slot of ports that no other on this machine holds. All of \
it is taken back when the worktree is gone, however it went. `git adw-worktree` is the same \
program. Every command takes `--help` and `--json`."""


def _section(heading: str, body: Iterable[str], *, request: str = ".SH") -> list[str]:
    """Return a section, which begins a paragraph by itself."""
    first, *rest = body
    return [f"{request} {text(heading)}", *([] if first == ".PP" else [first]), *rest]


def _commands(parser: Parser) -> Iterator[str]:
    """Yield a subsection for each command, in the order of `--help`."""
    for name, (_, aliases) in COMMANDS.items():
        sub = parser.commands.choices[name]
        also = f" Also: {', '.join(f'`{alias}`' for alias in aliases)}." if aliases else ""
        body = [
            *_synopsis(sub, f"adw-worktree {name}"),
            *_paragraphs(f"{sub.description}{also}"),
            *_arguments(sub),
            *_epilog(str(sub.epilog)),
        ]
        yield from _section(name, body, request=".SS")


def _synopsis(parser: argparse.ArgumentParser, program: str) -> list[str]:
    """Return how a command is called, on one line that is broken where it fits."""
    if parser.usage:
        words = parser.usage.removeprefix(program).split()
    else:
        words = [word for action in _shown_actions(parser) for word in [_usage(action)] if word]
    return [".PP", " ".join([bold(program), *(_breakable(text(word)) for word in words)])]


def _breakable(roff: str) -> str:
    """Return a list of choices that may be broken after any of them."""
    return roff.replace(",", ",\\:")


def _usage(action: argparse.Action) -> str:
    if action.option_strings:
        flag = action.option_strings[0]
        return f"[{flag} {_value(action)}]" if action.nargs != 0 else f"[{flag}]"
    word = _value(action)
    return {"?": f"[{word}]", "*": f"[{word}…]", argparse.PARSER: f"{word} …"}.get(
        str(action.nargs), word
    )


def _value(action: argparse.Action) -> str:
    """Return what stands for an argument's value."""
    if action.metavar is not None:
        return str(action.metavar)
    return "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()


def _shown_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return what a command takes, the options first; not what is hidden, or the same for all."""
    same = ("help", "json") if "commands" not in vars(parser) else ()
    shown = [
        one for one in parser._actions if one.help != argparse.SUPPRESS and one.dest not in same
    ]
    return sorted(shown, key=lambda action: not action.option_strings)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield what each argument is."""
    for action in _shown_actions(parser):
        if action.nargs == argparse.PARSER or (not action.option_strings and not action.help):
            continue
        value = "" if action.nargs == 0 else f" {_breakable(italic(_value(action)))}"
        words = ", ".join(f"{bold(flag)}{value}" for flag in action.option_strings)
        yield from (".TP", words or value.strip(), prose(_sentence(action.help or "")))


def _sentence(help_text: str) -> str:
    return help_text[:1].upper() + help_text[1:] + "."


def _epilog(epilog: str) -> Iterator[str]:
    """Yield an epilog: its examples as they are, the rest as paragraphs."""
    for part in epilog.strip().split("\n\n"):
        heading, *lines = part.split("\n")
        if lines and all(line.startswith("  ") for line in lines):
            yield from _paragraphs(heading) if heading != "examples:" else ()
            yield from verbatim("\n".join(line[2:] for line in lines))
        else:
            yield from _paragraphs(part)


def _examples(parser: argparse.ArgumentParser) -> str:
    part = str(parser.epilog).split("\n\n")[0]
    return "\n".join(line[2:] for line in part.split("\n")[1:])


def _paragraphs(prose_text: str) -> Iterator[str]:
    for paragraph in prose_text.split("\n\n"):
        yield from (".PP", prose(" ".join(paragraph.split())))


def _block(block: Block) -> Iterator[str]:
    """Yield a piece of a topic."""
    if isinstance(block, str):
        yield from _paragraphs(block)
    elif isinstance(block, Lines):
        yield from verbatim(block.text)
    elif isinstance(block, Rows):
        for word, meaning in block.rows:
            yield from (".TP", bold(word), prose(meaning))


def verbatim(lines: str) -> Iterator[str]:
    yield from (".PP", ".RS 4", ".nf", *(text(line) for line in lines.split("\n")), ".fi", ".RE")


def prose(words: str) -> str:
    """Return roff for a paragraph, with what is in backquotes in bold."""
    plain, *rest = re.split(r"`([^`]+)`", words)
    quoted, between = rest[::2], rest[1::2]
    return text(plain) + "".join(
        bold(one) + _inline(after) for one, after in zip(quoted, between, strict=True)
    )


def bold(words: str) -> str:
    """Return roff for words in bold."""
    return f"\\fB{_inline(words)}\\fR"


def italic(words: str) -> str:
    """Return roff for words in italics."""
    return f"\\fI{_inline(words)}\\fR"


def text(line: str) -> str:
    """Return roff for a line of its own, which may begin like a request of roff's."""
    return ("\\&" if line.startswith((".", "'")) else "") + _inline(line)


def _inline(words: str) -> str:
    """Return roff for words within a line; what a terminal is to show as ASCII is told so."""
    return words.translate(_ESCAPES)


_ESCAPES = str.maketrans(
    {
        "\\": "\\(rs",
        "-": "\\-",
        "'": "\\(aq",
        "`": "\\(ga",
        "^": "\\(ha",
        "~": "\\(ti",
        '"': "\\(dq",
    }
)


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].removesuffix(".")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))

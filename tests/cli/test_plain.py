"""What is read without argparse is what argparse makes of it."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adw_worktree.cli.command_table import COMMANDS, command_names, require_command
from adw_worktree.cli.parser import build_parser, parser_of
from adw_worktree.cli.plain import HIDDEN, read
from adw_worktree.errors import UsageError

VALUES = ["a", "b-1", "3", "-1", "1.5", "1e3", "nan", "٣", "1_0", "-", "--", "", "a b", "-x y"]
ODD = ["-h", "--help", "--version", "--json=1", "-C", "-Cx", "-fy", "--slot=3", "--a", "-ma"]


def by_argparse(words: list[str]) -> dict[str, object] | None:
    """Return the arguments that argparse reads; None if it refuses some of the words."""
    name = next((word for word in words if word in command_names()), None)
    parser = build_parser(chosen=require_command(name) if name else None)
    try:
        args, rest = parser.parse_known_args(words)
    except (UsageError, SystemExit):
        return None
    return None if rest else vars(args)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Return a command line, of a command's own words more often than not."""
    name = draw(st.sampled_from(list(COMMANDS)))
    called = draw(st.sampled_from([name, name, *COMMANDS[name][1]]))
    own: list[str] = []
    for action in parser_of(name)._actions:
        own += [*action.option_strings, *map(str, action.choices or ())]
    before = st.lists(st.sampled_from(["-C", "--json", "dir", "--version"]), max_size=2)
    behind = st.lists(st.sampled_from([*own, *own, *VALUES, *ODD]), max_size=6)
    return [*draw(before), called, *draw(behind)]


@pytest.mark.thorough
@given(command_lines())
@example(["create", "a", "--slot", "3", "--json"])
@example(["remove", "a", "-f", "b"])
@example(["remove", "-d", "-D"])
@example(["finish", "--merge", "--squash"])
@example(["path", "-"])
@settings(max_examples=400, deadline=None)
def test_what_is_read_plainly_is_read_as_argparse_does(words: list[str]) -> None:
    """Else a flag would mean one thing alone and another beside a mistyped one."""
    plainly = read(words)
    if plainly is not None:
        read_there = by_argparse(words)
        assert read_there is not None
        # Compared as text: what is not a number is unlike itself.
        assert repr(sorted(vars(plainly).items())) == repr(sorted(read_there.items()))


@pytest.mark.parametrize(
    "typed",
    [
        "list",
        "-C there list --json",
        "--json status",
        "create a",
        "new a --branch b --from main --slot 3 --no-hooks",
        "rm a b -f -y",
        "remove --merged --yes",
        "env --format json",
        "path -",
        "rename a b",
        "reconcile --background --wait-gone a",
        "reconcile --max-age 24",
        "hooks install --claude",
        "finish a --squash -m Words",
        "claude-hook create",
    ],
)
def test_everyday_command_lines_are_read_plainly(typed: str) -> None:
    assert read(typed.split()) is not None


@pytest.mark.parametrize(
    "typed",
    ["", "--version", "--help", "lst", "list --help", "create", "path a b", "env --format toml",
     "create a --slot x", "create a --slot=3", "remove -fy a", "remove a -f b", "remove -d -D"],
)  # fmt: skip
def test_all_else_is_left_to_argparse(typed: str) -> None:
    assert read(typed.split()) is None


def test_hidden_argument_is_one_of_which_argparse_shows_no_help() -> None:
    assert HIDDEN == argparse.SUPPRESS

"""Command lines in which all is plainly right, read without argparse, which is slow to load.

What holds here: what is read is what argparse would make of the same words. All else is left to it:
help, mistakes, and the rarer ways to write a flag (`--slot=3`, `-fy`, the same one twice).
"""

from __future__ import annotations

from types import SimpleNamespace

from adw_worktree.cli.command_table import command_called, command_module
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

HIDDEN = "==SUPPRESS=="
"""argparse's SUPPRESS: the help of an argument that is shown to nobody."""


def read(words: Sequence[str]) -> SimpleNamespace | None:
    """Return the arguments of a command line, None if argparse has to look at it."""
    try:
        return SimpleNamespace(**_read(list(words)))
    except ValueError:
        return None


def _read(words: list[str]) -> dict[str, Any]:
    """Return the arguments by their names. Raises ValueError."""
    general = Arguments()
    general.add_argument("-C", dest="directory")
    general.add_argument("--json", action="store_true")
    given: dict[str, Any] = {}
    while words and _is_flag(words[0]):
        general.take_flag(words, given)
    name = command_called(words[0]) if words else None
    if name is None:
        raise ValueError("no command")
    given["command"] = words.pop(0)
    own = Arguments()
    command_module(name).add_arguments(own)
    own.add_argument("--json", action="store_true")
    own.take_all(words, given)
    return {**general.defaults, **own.defaults, **given}


class Arguments:
    """A command's arguments; it declares them here with the calls that it makes to argparse."""

    def __init__(self) -> None:
        self.defaults: dict[str, Any] = {}
        self._flags: dict[str, _Argument] = {}
        self._places: list[_Argument] = []

    def add_argument(
        self,
        *names: str,
        action: str = "store",
        nargs: str | None = None,
        const: Any = None,
        default: Any = None,
        type: Callable[[str], Any] = str,  # noqa: A002
        choices: Sequence[str] | None = None,
        dest: str | None = None,
        **_shown: str,
    ) -> None:
        """Add an argument. As to argparse."""
        if action == "append":  # which may come twice: for argparse
            self.defaults[names[0].lstrip("-").replace("-", "_")] = default
            return
        if action == "store_true":
            const, default = True, False
        elif action not in ("store", "store_const"):
            raise NotImplementedError(action)
        long = next((name for name in names if name.startswith("--")), names[0])
        name = dest or long.lstrip("-").replace("-", "_")
        argument = _Argument(name, nargs, const, type, choices)
        self.defaults[name] = [] if nargs == "*" else default
        if names[0].startswith("-"):
            self._flags |= dict.fromkeys(names, argument)
        else:
            self._places.append(argument)

    def add_mutually_exclusive_group(self) -> Arguments:
        """Return where to add flags of which one can be given: they give the same argument."""
        return self

    def take_all(self, words: list[str], given: dict[str, Any]) -> None:
        """Move the meaning of `words` into `given`. Raises ValueError."""
        runs: list[list[str]] = [[]]
        while words:
            if _is_flag(words[0]):
                self.take_flag(words, given)
                runs.append([])
            else:
                runs[-1].append(words.pop(0))
        found = [run for run in runs if run] or [[]]
        if len(found) > 1:
            raise ValueError("flags between words, for which argparse has rules of its own")
        self._place(found[0], given)

    def take_flag(self, words: list[str], given: dict[str, Any]) -> None:
        """Move the first of `words`, and what belongs to it, into `given`. Raises ValueError."""
        argument = self._flags.get(words.pop(0))
        if argument is None or argument.name in given:
            raise ValueError("unknown, or a second time")
        if argument.const is not None:
            given[argument.name] = argument.const
        elif words and not words[0].startswith("-"):
            given[argument.name] = argument.value(words.pop(0))
        else:
            raise ValueError("nothing behind it")

    def _place(self, words: list[str], given: dict[str, Any]) -> None:
        """Move words that no flag announces into `given`, in their order. Raises ValueError."""
        for argument in self._places:
            if argument.nargs == "*":
                given[argument.name] = [argument.value(word) for word in words]
                words = []
            elif words:
                given[argument.name] = argument.value(words.pop(0))
            elif argument.nargs is None:
                raise ValueError("too few")
        if words:
            raise ValueError("too many")


class _Argument(NamedTuple):
    name: str
    nargs: str | None
    const: Any
    """The argument's value if its flag stands alone."""
    type: Callable[[str], Any]
    choices: Sequence[str] | None

    def value(self, word: str) -> Any:
        """Return the argument that `word` gives. Raises ValueError."""
        if self.choices is not None and word not in self.choices:
            raise ValueError("no choice")
        return self.type(word)


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-"  # which is the last worktree

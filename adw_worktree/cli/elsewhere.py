"""Commands that a hint, a note or a fix names, as they have to be typed where the reader is.

They are made for the repository that the command works in; who named that with -C stands elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from shlex import quote

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import AdwError
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Not where it is the subject of a sentence, as in "git worktree list failed".
_GIT = (
    "git (?=(?:branch|commit|config|merge|rebase|remote|reset|rm|stash|switch|worktree) )"
    "(?!config --global|[^:;,]* failed)"
)
_ANYWHERE = ("help", "shell-init", "watch")
"""Commands to which it is all the same where they work."""


class Elsewhere(NamedTuple):
    """Where the reader is not."""

    directory: str
    """As it was given with -C."""
    commands: Iterable[str]
    """The names of our own."""

    def text(self, text: str) -> str:
        """Return `text` with -C DIR in each command that has none.

        `run --` stays: it is for who stands in the worktree.
        """
        names = "|".join(name for name in self.commands if name not in _ANYWHERE)
        ours = rf"adw(?:-worktree)? (?=(?:{names})(?![\w-]))(?!\S+ --(?:help| ))"
        given = quote(self.directory)
        return re.sub(rf"(?<![\w./@-])(?:{ours}|{_GIT})", lambda at: f"{at[0]}-C {given} ", text)

    def error(self, error: AdwError) -> AdwError:
        """Return `error`, with the directory in what it says to do next."""
        error.hint = error.hint and self.text(error.hint)
        if notes := getattr(error, "__notes__", None):
            error.__notes__ = [self.text(note) for note in notes]
        return error

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return `outcome` with the directory in what it says to do next."""
        text = outcome.text
        if not outcome.exact:
            text = re.sub(r"(?m)^ *(?:hint|mend): .*", lambda at: self.text(at[0]), text)
        return outcome._replace(
            data=self._data(outcome.data),
            text=text,
            notes=[self.text(note) for note in outcome.notes],
        )

    def _data(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {
                key: self.text(value)
                if key in ("hint", "fix") and isinstance(value, str)
                else self._data(value)
                for key, value in data.items()
            }
        return [self._data(one) for one in data] if isinstance(data, list | tuple) else data

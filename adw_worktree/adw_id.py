"""What may name an ADW."""

from __future__ import annotations

import re

from adw_worktree.errors import InvalidAdwId

LAST = "-"
"""What stands for the worktree that one was in last; no ADW id can be that."""
PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""The characters of an ADW id, for whoever has patterns alone; ours would have to be compiled."""
_SMALL = "abcdefghijklmnopqrstuvwxyz"
_FIRST = f"{_SMALL}{_SMALL.upper()}0123456789"
CHARACTERS = f"{_FIRST}._-"


def check_adw_id(adw_id: str) -> str:
    """Return `adw_id` if it can name an ADW.

    It becomes a directory, a branch and a line of a file, so it is held to what all three take:
    1 to 64 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit, without `..`, not ending in `.`
    or `.lock` (git-check-ref-format(1)).

    Raises InvalidAdwId, naming the rule that is broken.
    """
    sized = 0 < len(adw_id) <= 64
    fits = sized and adw_id[0] in _FIRST and not adw_id.strip(CHARACTERS)
    if fits and ".." not in adw_id and not adw_id.endswith((".", ".lock")):
        return adw_id
    hint = "use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"
    if fits:
        hint = "a branch cannot have '..' in its name, nor end in '.' or '.lock'"
    shown = ascii(adw_id if len(adw_id) <= 80 else adw_id[:77] + "...")
    raise InvalidAdwId(f"{shown} is not a valid ADW id", hint=hint)


def with_id_characters(name: str) -> str:
    """Return `name` with `-` for what no ADW id can have in it."""
    return re.sub(r"[^A-Za-z0-9._-]+|\.\.+", "-", name)


def can_name(text: str) -> bool:
    """Whether a file or a ref can be called `text`.

    JSON may hold a NUL, and halves of characters that stand for no byte (PEP 383).
    """
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False

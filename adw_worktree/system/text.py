"""Text as a terminal can show it, as a person can paste it, and as a sentence can hold it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 3
HEX_DIGITS = "0123456789abcdef"


def is_made_of(characters: str, text: str) -> bool:
    """Whether `text` has no others than `characters`.

    For what every command asks: until a pattern is compiled, hundreds of such answers are given.
    """
    return not text.strip(characters)


def encodable(text: str, encoding: str) -> str:
    """Return `text` with what `encoding` has no bytes for shown as escapes."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def printable(text: str) -> str:
    """Return `text` with control characters shown as escapes, so that no name moves the cursor."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def pasteable(text: str) -> str:
    """Return `text`, quoted names with control characters in the escapes that bash and zsh read.

    Else `printable` and the indentation of lines would change what is pasted.
    """
    import re

    return re.sub(r"""\"'\"|(?<!\w)'[^']*'""", lambda at: _escaped(at[0]), text)


def _escaped(quoted: str) -> str:
    if quoted.isprintable():
        return quoted
    name = quoted[1:-1].replace("\\", "\\\\")
    return "$'" + "".join(char if char.isprintable() else _bytes(char) for char in name) + "'"


def _bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))


def named(names: Sequence[str]) -> str:
    """Return the first few of the names, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")

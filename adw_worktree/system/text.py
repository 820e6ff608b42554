"""Text as a terminal can show it, and as a person can paste it."""

from __future__ import annotations


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

"""Looking into documents of which nothing is certain: an absent or strange field is None."""

from __future__ import annotations

import json
from typing import Any


def document_of(line: bytes) -> dict[str, Any]:
    """Return the object that a line is; an empty one for any other line."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def at(document: object, *keys: str) -> object:
    """Return what is at a path of keys; None if it leads nowhere."""
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def text_at(document: object, *keys: str) -> str | None:
    """Return the text at a path of keys."""
    found = at(document, *keys)
    return found if isinstance(found, str) else None


def number_at(document: object, *keys: str) -> float | None:
    """Return the number at a path of keys, which is not below zero."""
    found = at(document, *keys)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and 0 <= found < 1e15 else None  # type: ignore[arg-type,operator]


def count_at(document: object, *keys: str) -> int | None:
    """Return the whole number at a path of keys, which is not below zero."""
    found = number_at(document, *keys)
    return None if found is None else int(found)


def objects_at(document: object, *keys: str) -> list[dict[str, Any]]:
    """Return the objects of the list at a path of keys."""
    found = at(document, *keys)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def texts_at(document: object, *keys: str) -> list[str]:
    """Return the texts of the list at a path of keys."""
    found = at(document, *keys)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def added(*numbers: int | None) -> int | None:
    """Return the sum of the numbers that are known; None if none is."""
    known = [one for one in numbers if one is not None]
    return sum(known) if known else None

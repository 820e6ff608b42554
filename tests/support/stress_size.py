"""How much a test does, and what it counts for the table of `nox -s stress`."""

from __future__ import annotations

import json
import os
from typing import TypeVar

T = TypeVar("T")

# Before any test is sealed, which takes ADW_* away.
_STRESS = os.environ.get("ADW_STRESS", "0") not in ("", "0")
_STRESS_SIZE = os.environ.get("ADW_STRESS_SIZE", "")
_TALLY = os.environ.get("ADW_STRESS_TALLY", "")


def stress_size(default: T, full: T) -> T:
    """Return how much a test does: `full` under ADW_STRESS, which `nox -s stress` sets.

    ADW_STRESS_SIZE lowers a number.
    """
    if not _STRESS:
        return default
    lowered = bool(_STRESS_SIZE) and isinstance(full, int) and full > int(_STRESS_SIZE)
    return type(full)(_STRESS_SIZE) if lowered else full  # type: ignore[call-arg]


def count(event: str, number: int = 1) -> None:
    """Note `number` of `event` for the table of `nox -s stress`; nothing outside of it."""
    if _TALLY and number:
        line = json.dumps({"event": event, "number": number}) + "\n"
        with open(_TALLY, "a", encoding="utf-8") as file:  # one short write: whole lines
            file.write(line)

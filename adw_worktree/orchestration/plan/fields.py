"""Fields that documents and settings have in common: commands, names, money, spans of time."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_MOST_SECONDS = 7 * 86400
_SPAN = r"(\d{1,6}(?:\.\d{1,3})?)\s*([smh]?)"

Line = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Command = Annotated[
    str, StringConstraints(min_length=1, max_length=8192, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")
]
Prompt = Annotated[
    str, StringConstraints(min_length=1, max_length=200_000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")
]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
"""Of a workflow, stage or agent."""
Money = Annotated[float, Field(gt=0, le=1e6)]
"""US dollars."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _seconds(value: object) -> object:
    found = re.fullmatch(_SPAN, value) if isinstance(value, str) else None
    return value if found is None else float(found[1]) * _UNITS[found[2]]


Listed = BeforeValidator(_listed)
"""Lets a text stand for a list of one."""
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=_MOST_SECONDS)]
"""A number of seconds, or a text such as `45m`: more than 0, at most a week."""

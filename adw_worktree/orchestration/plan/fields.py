"""Fields that documents and settings have in common: commands, names, money, spans of time."""

from __future__ import annotations

import re
from typing import Annotated, Literal

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
LABEL = r"^[a-z][a-z0-9-]{0,31}$"
Label = Annotated[str, StringConstraints(pattern=LABEL)]
"""What a host has that phases may need, such as `gpu`."""
Money = Annotated[float, Field(gt=0, le=1e6, strict=True)]
"""US dollars."""
SLUG = r"^[a-z0-9][a-z0-9-]{0,47}$"
"""A feature's slug: part of ADW ids and of branches."""
Priority = Annotated[int, Field(ge=0, le=100, strict=True)]
"""10 is urgent, 50 the default, 90 the background."""
Landing = Literal["leave", "merge", "pr"]
"""What becomes of a feature that is completed."""
Issues = Literal["file", "github"]
"""Where the issue of a phase is: a file of the state directory, or also on GitHub."""
Weight = Literal["warn", "block"]
"""What a finding of the checklist does: it is told, or it keeps the work from being merged."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _seconds(value: object) -> object:
    found = re.fullmatch(_SPAN, value) if isinstance(value, str) else None
    return value if found is None else float(found[1]) * _UNITS[found[2]]


Listed = BeforeValidator(_listed)
"""Lets a text stand for a list of one."""
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=_MOST_SECONDS)]
"""A number of seconds, or a text such as `45m`: more than 0, at most a week."""

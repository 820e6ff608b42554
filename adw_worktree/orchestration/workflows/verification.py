"""The verification of a feature: what is looked at some time after it has landed. Plain data.

`[stages.verify]` of the settings describes it: commands, addresses that must answer, log files in
which no new errors may stand. It is of the whole feature, whatever workflow its phases go through.
"""

from __future__ import annotations

import json

from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VERIFY = "verify"
"""The stage of that name comes after its feature has landed."""
ERRORS = r"\b(?:ERROR|CRITICAL|FATAL|PANIC)\b|^Traceback \(most recent call last\)|\bpanic: "
"""What a line of a log is an error by, unless the settings say otherwise."""


class Verification(NamedTuple):
    """What is looked at."""

    commands: tuple[str, ...] = ()
    """Command lines, each for `sh -c`, in a worktree of what has landed."""
    urls: tuple[str, ...] = ()
    """Addresses that must answer with 2xx or 3xx."""
    logs: tuple[str, ...] = ()
    """Files or patterns of files, from the main worktree."""
    errors: str = ERRORS
    """A regular expression for lines of logs."""
    delay: float = 300.0
    """Seconds after the feature has landed."""
    timeout: float = 600.0
    """Seconds for each command."""
    rounds: int = 3
    """How many follow-up phases a feature may get."""


class Kept(NamedTuple):
    """A verification as the store keeps it."""

    wanted: Verification
    marks: Mapping[str, list[int]] = {}
    """How far each log was when the feature landed."""


def keep(kept: Kept) -> str:
    """Return it as a document of one line."""
    return json.dumps({"wanted": kept.wanted._asdict(), "marks": {**kept.marks}})


def kept(document: str) -> Kept:
    """Return the verification of a document that `keep` made."""
    values = json.loads(document)
    return Kept(_verification(values["wanted"]), values["marks"])


def to_json(verification: Verification) -> str:
    """Return it as a document of one line."""
    return json.dumps(verification._asdict(), sort_keys=True)


def _verification(values: dict[str, Any]) -> Verification:
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Verification(**{**values, **lists})

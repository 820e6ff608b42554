"""Exports of the older queue of phases: a JSON list of its rows.

What holds here: an export is taken whole or refused; statuses of work that is over are kept, and
nothing of it starts by itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from adw_worktree.errors import PlanInvalid
from adw_worktree.orchestration.phases.graph import flaws
from adw_worktree.system.records import read_file

_HINT = "export its rows as a JSON list of objects, each with feature_id and phase_number"
_ROWS = ("rows", "phases", "queue", "phase_queue")
"""Keys under which an export may have its rows."""

Kept = Literal["completed", "failed", "cancelled", "paused"]

_STATUSES: Mapping[str, Kept] = {
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "running": "failed",
}
"""What becomes of an older status; of any other, the phase is held until a person resumes it."""


def _numbers(value: object) -> object:
    """Return the phases that a row depends on: a list, its text, or a single one."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [part.strip() for part in str(value).split(",")]
    return value if isinstance(value, list) else [value]


def _object(value: object) -> object:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


class OlderPhase(BaseModel):
    """A row of the older queue; what it has beside these is left."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    feature_id: int | str = Field(validation_alias=AliasChoices("feature_id", "parent_issue"))
    phase_number: Annotated[int, Field(ge=1, le=10_000)]
    depends_on: Annotated[tuple[int, ...], BeforeValidator(_numbers)] = Field(
        default=(), validation_alias=AliasChoices("depends_on_phases", "depends_on_phase")
    )
    status: str = "queued"
    title: str | None = None
    phase_data: Annotated[dict[str, Any], BeforeValidator(_object)] = {}
    issue_number: int | None = None
    pr_number: int | None = None
    error_message: str | None = None
    priority: Annotated[int, Field(ge=0, le=100)] = 50

    @property
    def shown_title(self) -> str:
        """The title, on one line; the number where there is none."""
        title = self.title or self.phase_data.get("title") or f"Phase {self.phase_number}"
        return "".join(char if char.isprintable() else " " for char in str(title))[:200]

    @property
    def kept_status(self) -> Kept:
        """The status that it has from now on."""
        return _STATUSES.get(self.status, "paused")


class OlderFeature(NamedTuple):
    """The phases of one feature, in the order of their numbers."""

    name: str
    phases: Sequence[OlderPhase]


def load_older_queue(file: Path) -> list[OlderFeature]:
    """Return the features of an export. Raises PlanInvalid."""
    try:
        document = json.loads(read_file(file))
    except OSError as exc:
        raise PlanInvalid(f"{file} cannot be read: {exc.strerror}", hint=_HINT) from exc
    except (ValueError, RecursionError) as exc:
        raise PlanInvalid(f"{file} is not JSON: {exc}", hint=_HINT) from exc
    if isinstance(document, dict):
        document = next((document[key] for key in _ROWS if key in document), document)
    try:
        rows = TypeAdapter(list[OlderPhase]).validate_python(document)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PlanInvalid(f"{file}: row {place}: {first['msg']}", hint=_HINT) from exc
    return _grouped(rows, file)


def _grouped(rows: Sequence[OlderPhase], file: Path) -> list[OlderFeature]:
    groups: dict[str, list[OlderPhase]] = defaultdict(list)
    for row in rows:
        groups[str(row.feature_id)].append(row)
    found = []
    for name, phases in groups.items():
        wrong = flaws([(phase.phase_number, phase.depends_on) for phase in phases])
        if wrong:
            raise PlanInvalid(f"{file}: feature {name}: {wrong[0].text}", hint=_HINT)
        found.append(OlderFeature(name, sorted(phases, key=lambda one: one.phase_number)))
    return found

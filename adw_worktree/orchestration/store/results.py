"""Features and phases as plain dictionaries, for documents and for the page."""

from __future__ import annotations

import json
from collections.abc import Sequence

from adw_worktree.orchestration.store.calls import cost_of_feature
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import (
    Attempt,
    Event,
    Feature,
    Phase,
    Stage,
    dependencies,
    features,
    name_of,
    phases,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def feature_row(database: Database, feature: Feature) -> dict[str, Any]:
    """Return a feature with the number of its phases in each status."""
    counted = database.execute(
        "SELECT status, count(*) FROM phases WHERE feature_id = ? GROUP BY status", [feature.id]
    )
    return {
        "feature_id": feature.id,
        "slug": feature.slug,
        "title": feature.title,
        "status": feature.status,
        "branch": feature.branch,
        "priority": feature.priority,
        "land": feature.land,
        "landing": feature.landing,
        "repository": feature.place,
        "created_at": feature.created_at,
        "ended_at": feature.ended_at,
        "phases": {str(status): int(str(count)) for status, count in counted},
        "cost": cost_of_feature(database, feature.id)._asdict(),
    }


def phase_rows(database: Database, feature: Feature) -> list[dict[str, Any]]:
    """Return a feature's phases, in the order of their numbers, with what each waits for."""
    found = phases(database, "feature_id = ?", [feature.id], order="phase_number")
    needs = dependencies(database, feature.id)
    numbers = {phase.id: phase.phase_number for phase in found}
    return [
        phase_row(feature, phase, [numbers[one] for one in needs.get(phase.id, [])])
        for phase in found
    ]


def phase_row(feature: Feature, phase: Phase, needs: Sequence[int]) -> dict[str, Any]:
    """Return a phase, with the numbers of those that it depends on."""
    return {
        "name": name_of(feature, phase),
        "feature_id": feature.id,
        "phase_number": phase.phase_number,
        "title": phase.title,
        "status": phase.status,
        "depends_on_phases": [*needs],
        "blocked_by": phase.blocked_by,
        "awaits_slot": bool(phase.awaits_slot),
        "priority": phase.priority,
        "adw_id": phase.adw_id,
        "error_message": phase.error_message,
        "resume_at": phase.resume_at,
        "created_at": phase.created_at,
        "ready_at": phase.ready_at,
        "started_at": phase.started_at,
        "ended_at": phase.ended_at,
    }


def attempt_row(
    attempt: Attempt, stages: Sequence[Stage], calls: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return an attempt with its stages and the calls of its agents."""
    row = attempt._asdict()
    del row["phase_id"]
    return {**row, "stages": [_without_attempt(stage) for stage in stages], "calls": [*calls]}


def event_row(event: Event) -> dict[str, Any]:
    """Return an event, its data as an object."""
    return {**event._asdict(), "data": json.loads(event.data)}


def event_document(database: Database, event: Event) -> dict[str, Any]:
    """Return an event as it is delivered: with the names that people know."""
    row = event_row(event)
    feature = features(database, "id = ?", [event.feature_id])
    phase = phases(database, "id = ?", [event.phase_id])
    row["feature"] = feature[0].slug if feature else None
    row["phase"] = name_of(feature[0], phase[0]) if feature and phase else None
    row["phase_number"] = phase[0].phase_number if phase else None
    del row["phase_id"]
    return {"schema_version": 1, **row}


def _without_attempt(stage: Stage) -> dict[str, Any]:
    row = stage._asdict()
    del row["attempt"]
    return row

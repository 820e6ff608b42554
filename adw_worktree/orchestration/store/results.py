"""Features and phases as plain dictionaries, for documents and for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from adw_worktree.orchestration.store.calls import NO_COST, Cost, calls, costs_of_features
from adw_worktree.orchestration.store.checklists import (
    ChecklistItem,
    verdicts_of,
    verdicts_of_features,
)
from adw_worktree.orchestration.store.database import Database, in_parts, placeholders
from adw_worktree.orchestration.store.records import (
    Attempt,
    Event,
    Feature,
    Phase,
    Stage,
    attempts,
    dependencies,
    features,
    name_of,
    phases,
    stages,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def feature_row(database: Database, feature: Feature) -> dict[str, Any]:
    """Return a feature with the number of its phases in each status."""
    [row] = feature_rows(database, [feature])
    return row


def feature_rows(database: Database, found: Sequence[Feature]) -> list[dict[str, Any]]:
    """Return features, each with the number of its phases in each status."""
    return [row for part in in_parts(found) for row in _feature_rows(database, part)]


def _feature_rows(database: Database, found: Sequence[Feature]) -> list[dict[str, Any]]:
    ids = [one.id for one in found]
    counted: dict[int, dict[str, int]] = {}
    for feature, status, count in database.execute(
        f"SELECT feature_id, status, count(*) FROM phases WHERE feature_id IN ({placeholders(ids)})"
        " GROUP BY feature_id, status",
        ids,
    ):
        counted.setdefault(int(str(feature)), {})[str(status)] = int(str(count))
    verdicts, costs = verdicts_of_features(database, ids), costs_of_features(database, ids)
    return [
        _feature_row(
            one,
            counted.get(one.id, {}),
            verdicts.get(one.id, {}),
            costs.get(one.id, NO_COST),
        )
        for one in found
    ]


def _feature_row(
    feature: Feature, counted: dict[str, int], verdicts: dict[str, int], cost: Cost
) -> dict[str, Any]:
    return {
        "feature_id": feature.id,
        "slug": feature.slug,
        "title": feature.title,
        "status": feature.status,
        "branch": feature.branch,
        "priority": feature.priority,
        "land": feature.land,
        "landing": feature.landing,
        "verify_at": feature.verify_at,
        "verified": feature.verified,
        "issues": feature.issues,
        "drafting": feature.drafting,
        "repository": feature.place,
        "created_at": feature.created_at,
        "ended_at": feature.ended_at,
        "phases": counted,
        "checklist": verdicts,
        "cost": cost._asdict(),
    }


def phase_rows(database: Database, feature: Feature) -> list[dict[str, Any]]:
    """Return a feature's phases, in the order of their numbers, with what each waits for."""
    found = phases(database, "feature_id = ?", [feature.id], order="phase_number")
    needs = dependencies(database, feature.id)
    numbers = {phase.id: phase.phase_number for phase in found}
    verdicts = verdicts_of(database, feature.id)
    return [
        phase_row(
            feature,
            phase,
            [numbers[one] for one in needs.get(phase.id, [])],
            verdicts.get(phase.id, {}),
        )
        for phase in found
    ]


def phase_row(
    feature: Feature, phase: Phase, needs: Sequence[int], verdicts: Mapping[str, int]
) -> dict[str, Any]:
    """Return a phase, with the numbers of those that it depends on, and how many points of its
    checklist have each verdict."""
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
        "checklist": {**verdicts},
        "estimated_hours": phase.estimated_hours,
        "issue_number": phase.issue_number,
        "error_message": phase.error_message,
        "resume_at": phase.resume_at,
        "created_at": phase.created_at,
        "ready_at": phase.ready_at,
        "started_at": phase.started_at,
        "ended_at": phase.ended_at,
    }


def checklist_rows(items: Sequence[ChecklistItem]) -> list[dict[str, Any]]:
    """Return the points of a checklist."""
    return [
        {
            "position": item.position,
            "kind": item.kind,
            "text": item.text,
            "checked_by": "gate" if item.checker is not None else "reader",
            "verdict": item.verdict,
            "evidence": item.evidence,
            "commit": item.commit_id,
        }
        for item in items
    ]


def attempt_rows(database: Database, phase: Phase) -> list[dict[str, Any]]:
    """Return the attempts of a phase, each with its stages and the calls of its agents."""
    return [_attempt_row(database, one) for one in attempts(database, "phase_id = ?", [phase.id])]


def _attempt_row(database: Database, attempt: Attempt) -> dict[str, Any]:
    row = attempt._asdict()
    del row["phase_id"]
    ran = [_without_attempt(stage) for stage in stages(database, attempt.token)]
    return {**row, "stages": ran, "calls": calls(database, attempt.token)}


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

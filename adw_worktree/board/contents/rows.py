"""Features and phases as the API and the page have them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from adw_worktree.errors import UnknownPhase
from adw_worktree.orchestration.store.checklists import verdicts_of_phases
from adw_worktree.orchestration.store.database import Database, Value, in_parts, placeholders
from adw_worktree.orchestration.store.features import find_feature, find_phase
from adw_worktree.orchestration.store.records import (
    OPEN,
    Feature,
    Phase,
    events,
    features,
    phases,
)
from adw_worktree.orchestration.store.results import event_row, feature_rows, phase_row
from adw_worktree.orchestration.store.sharing import OWNER, Viewer

NUMBER = r"[0-9]{1,15}"
"""No larger one than databases can count."""


class Page(NamedTuple):
    """A part of a list."""

    items: list[dict[str, Any]]
    next: str | None
    """The cursor of the part that follows; None if there is none."""

    def document(self) -> dict[str, Any]:
        """Return it as the API has it."""
        return {"items": self.items, "next": self.next}


class Filter(NamedTuple):
    """Which of all things a list has."""

    state: str | None = None
    feature: str | None = None
    """Its slug or its id."""
    repository: str | None = None
    cursor: str | None = None
    """Digits: see `NUMBER`."""
    limit: int = 100


def feature_page(database: Database, viewer: Viewer, wanted: Filter) -> Page:
    """Return features that may be seen, the newest first."""
    conditions = [viewer.sees("features.id")]
    if wanted.state is not None:
        conditions.append(("status = ?", [wanted.state]))
    if wanted.repository is not None:
        conditions.append(("place = ?", [wanted.repository]))
    if wanted.cursor is not None:
        conditions.append(("id < ?", [int(wanted.cursor)]))
    where, values = _both(conditions)
    order = f"id DESC LIMIT {wanted.limit + 1}"
    found = features(database, where, values, order=order)
    rows = feature_rows(database, found[: wanted.limit])
    return Page(rows, _next([one.id for one in found], wanted.limit))


def phase_page(database: Database, viewer: Viewer, wanted: Filter) -> Page:
    """Return phases that may be seen, in the order in which they were added.

    Raises UnknownPhase for a feature that is not there.
    """
    conditions = [viewer.sees("phases.feature_id")]
    if wanted.state is not None:
        conditions.append(("status = ?", [wanted.state]))
    if wanted.feature is not None:
        feature = find_feature(database, wanted.feature, viewer)
        conditions.append(("feature_id = ?", [feature.id]))
    if wanted.repository is not None:
        inside = "feature_id IN (SELECT id FROM features WHERE place = ?)"
        conditions.append((inside, [wanted.repository]))
    if wanted.cursor is not None:
        conditions.append(("id > ?", [int(wanted.cursor)]))
    where, values = _both(conditions)
    found = phases(database, where, values, order=f"id LIMIT {wanted.limit + 1}")
    rows = _queue_rows(database, found[: wanted.limit])
    return Page(rows, _next([one.id for one in found], wanted.limit))


def event_page(database: Database, viewer: Viewer, after: int, limit: int) -> Page:
    """Return the events after that with the id `after` that may be seen, the oldest first."""
    where, values = _both([viewer.sees("events.feature_id"), ("id > ?", [after])])
    found = events(database, where, values, order=f"id LIMIT {limit + 1}")
    rows = [event_row(one) for one in found[:limit]]
    return Page(rows, _next([one.id for one in found], limit))


def queue_row(database: Database, feature: Feature, phase: Phase) -> dict[str, Any]:
    """Return a phase as the queue has it."""
    [row] = _queue_rows(database, [phase], {feature.id: feature})
    return row


def queue_rows(database: Database, feature: Feature) -> list[dict[str, Any]]:
    """Return all phases of a feature as the queue has them, in the order of their numbers."""
    found = phases(database, "feature_id = ?", [feature.id], order="phase_number")
    return _queue_rows(database, found, {feature.id: feature})


def queue_rows_of(database: Database, found: Sequence[Feature]) -> list[dict[str, Any]]:
    """Return all phases of many features as the queue has them."""
    rows = []
    for part in in_parts(found):
        known = {one.id: one for one in part}
        where = f"feature_id IN ({placeholders([*known])})"
        there = phases(database, where, [*known], order="feature_id, phase_number")
        for some in in_parts(there):
            rows += _queue_rows(database, some, known)
    return rows


def _queue_rows(
    database: Database, found: Sequence[Phase], known: Mapping[int, Feature] | None = None
) -> list[dict[str, Any]]:
    """Return phases as the queue has them; `known` are their features, if they are known."""
    ids = [one.id for one in found]
    if known is None:
        wanted = sorted({one.feature_id for one in found})
        where = f"id IN ({placeholders(wanted)})"
        known = {one.id: one for one in features(database, where, wanted)}
    needs: dict[int, list[int]] = {}
    for phase_id, number in database.execute(
        "SELECT d.phase_id, p.phase_number FROM dependencies d JOIN phases p ON p.id = d.needs_id"
        f" WHERE d.phase_id IN ({placeholders(ids)}) ORDER BY d.phase_id, p.phase_number",
        ids,
    ):
        needs.setdefault(int(str(phase_id)), []).append(int(str(number)))
    verdicts = verdicts_of_phases(database, ids)
    return [
        {
            "queue_id": one.id,
            "feature": known[one.feature_id].slug,
            **phase_row(
                known[one.feature_id], one, needs.get(one.id, []), verdicts.get(one.id, {})
            ),
        }
        for one in found
    ]


def find_queued(database: Database, name: str, viewer: Viewer = OWNER) -> tuple[Feature, Phase]:
    """Return the phase that has the id `name`, or is called so, and its feature.

    Raises UnknownPhase, also if `viewer` may not see it.
    """
    if not re.fullmatch(NUMBER, name):
        return find_phase(database, name, viewer)
    where, values = _both([("id = ?", [int(name)]), viewer.sees("phases.feature_id")])
    found = phases(database, where, values)
    if not found:
        raise UnknownPhase(f"there is no phase {name} in the queue", hint="GET /api/v1/queue")
    [feature] = features(database, "id = ?", [found[0].feature_id])
    return feature, found[0]


def adws_seen(database: Database, viewer: Viewer) -> set[tuple[str, str]]:
    """Return the main worktrees and ADW ids of the phases that may be seen, if they are not over.

    Another feature has the ids of one that is over, or of one in another repository.
    """
    marks = placeholders(OPEN)
    where, values = _both([(f"features.status IN ({marks})", OPEN), viewer.sees("features.id")])
    rows = database.execute(
        "SELECT features.place, phases.adw_id FROM features"
        f" JOIN phases ON phases.feature_id = features.id WHERE {where}",
        values,
    )
    return {(str(place), str(adw_id)) for place, adw_id in rows}


def command_name(feature: Feature, phase: Phase) -> str:
    """Return the name by which the store's functions find that very phase, whatever its slug."""
    return f"{feature.id}.{phase.phase_number}"


def _both(conditions: Sequence[tuple[str, Sequence[Value]]]) -> tuple[str, list[Value]]:
    where = " AND ".join(text for text, _ in conditions)
    return where, [value for _, values in conditions for value in values]


def _next(ids: list[int], limit: int) -> str | None:
    """Return where the next part begins; None if there is none: one more than `limit` was read."""
    return str(ids[limit - 1]) if len(ids) > limit else None

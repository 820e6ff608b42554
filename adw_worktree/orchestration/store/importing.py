"""Taking features of the older queue into the store."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adw_worktree.errors import FeatureExists
from adw_worktree.orchestration.plan.older_queue import OlderFeature, OlderPhase
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.features import Origin, insert_dependencies
from adw_worktree.orchestration.store.records import Feature, features


def import_features(
    database: Database, older: Sequence[OlderFeature], origin: Origin
) -> list[Feature]:
    """Add features of the older queue, all or none; each is called `queue-<its name there>`.

    Raises FeatureExists if one was imported before.
    """
    with database.transaction():
        return [_import(database, one, origin) for one in older]


def _import(database: Database, older: OlderFeature, origin: Origin) -> Feature:
    slug = "queue-" + re.sub(r"[^a-z0-9]+", "-", older.name.lower()).strip("-")[:40]
    if features(database, "slug = ? AND repository = ?", [slug, origin.repository]):
        raise FeatureExists(
            f"feature {older.name} was imported before, as {slug}",
            hint=f"adw-worktree feature show {slug}",
        )
    over = all(one.kept_status == "completed" for one in older.phases)
    row = database.execute(
        "INSERT INTO features (slug, title, description, repository, place, added_on, plan_path,"
        " plan_text, branch, priority, status, land, owner, created_at, ended_at)"
        " VALUES (?, ?, '', ?, ?, ?, ?, '', ?, 50, ?, 'leave', ?, ?, ?) RETURNING id",
        [
            slug, f"Feature {older.name} of the older queue", origin.repository, origin.place,
            origin.added_on, origin.plan_path, f"feature/{slug}",
            "completed" if over else "running", origin.owner, database.now(),
            database.now() if over else None,
        ],
    )  # fmt: skip
    [feature] = features(database, "id = ?", [row[0][0]])
    append(database, "feature.imported", feature_id=feature.id)
    _import_phases(database, older.phases, feature)
    return feature


def _import_phases(database: Database, older: Sequence[OlderPhase], feature: Feature) -> None:
    ids: dict[int, int] = {}
    for position, one in enumerate(older, 1):
        status = one.kept_status
        over = status in ("completed", "failed", "cancelled")
        message = one.error_message
        if one.status == "running":
            message = message or "it ran in the older queue when that was exported"
        row = database.execute(
            "INSERT INTO phases (feature_id, phase_number, title, commands, changes,"
            " attempts_allowed, priority, queue_position, status, adw_id, issue_number, pr_number,"
            " error_message, created_at, ended_at)"
            " VALUES (?, ?, ?, '[]', 'commits', 2, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            [
                feature.id, one.phase_number, one.shown_title, one.priority, position, status,
                f"{feature.slug}-p{one.phase_number}", one.issue_number, one.pr_number, message,
                database.now(), database.now() if over else None,
            ],
        )  # fmt: skip
        ids[one.phase_number] = int(str(row[0][0]))
        append(database, f"phase.{status}", feature_id=feature.id, phase_id=ids[one.phase_number])
    insert_dependencies(database, ids, [(one.phase_number, one.depends_on) for one in older])

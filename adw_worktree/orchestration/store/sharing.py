"""Whose a feature is, and who else may see or steer it.

What holds here: who may not see a feature is told that there is none. A change of who may see one
is an event of it, like any other.
"""

from __future__ import annotations

from adw_worktree.orchestration.store.database import Database, Value, placeholders
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    May = Literal["see", "steer"]

SHARING = ("feature.shared", "feature.unshared")
"""The kinds of events after which somebody sees another set of features."""


class Viewer(NamedTuple):
    """Who looks: a user who sees what is theirs or shared with them, or somebody who sees all."""

    user_id: int | None = None
    """None is whoever the machine belongs to."""
    sees_all: bool = True

    def sees(self, column: str) -> tuple[str, list[Value]]:
        """Return a condition that holds where `column` is a feature that may be seen.

        It names the table, too: `features.id`.
        """
        if self.sees_all:
            return "1 = 1", []
        # Looked up for each row: most of the time, it is one.
        shared = "SELECT 1 FROM shares WHERE shares.feature_id = seen.id AND shares.user_id = ?"
        mine = f"SELECT 1 FROM features seen WHERE seen.id = {column}"
        condition = f"EXISTS ({mine} AND (seen.user_id = ? OR EXISTS ({shared})))"
        return condition, [self.user_id, self.user_id]


OWNER = Viewer()


class Share(NamedTuple):
    """Somebody with whom a feature is shared."""

    user_id: int
    address: str
    may: May


def may_steer(database: Database, viewer: Viewer, feature: Feature) -> bool:
    """Return whether somebody who may see a feature may change it, too."""
    if viewer.sees_all or feature.user_id == viewer.user_id:
        return True
    found = database.execute(
        "SELECT may FROM shares WHERE feature_id = ? AND user_id = ?",
        [feature.id, viewer.user_id],
    )
    return found == [("steer",)]


def shares(database: Database, feature: Feature) -> list[Share]:
    """Return with whom a feature is shared."""
    rows = database.execute(
        "SELECT s.user_id, u.address, s.may FROM shares s JOIN users u ON u.id = s.user_id"
        " WHERE s.feature_id = ? ORDER BY u.address",
        [feature.id],
    )
    return [
        Share(int(str(user)), str(address), "steer" if may == "steer" else "see")
        for user, address, may in rows
    ]


def share(database: Database, feature: Feature, user_id: int, may: May) -> None:
    """Let a user see a feature, or steer it, too."""
    with database.transaction():
        changed = database.execute(
            "INSERT INTO shares (feature_id, user_id, may) VALUES (?, ?, ?)"
            " ON CONFLICT (feature_id, user_id) DO UPDATE SET may = excluded.may"
            " WHERE shares.may <> excluded.may RETURNING user_id",
            [feature.id, user_id, may],
        )
        if changed:
            append(database, "feature.shared", feature_id=feature.id, data={"user": user_id})


def unshare(database: Database, feature: Feature, user_id: int) -> None:
    """Share a feature with a user no more."""
    with database.transaction():
        changed = database.execute(
            "DELETE FROM shares WHERE feature_id = ? AND user_id = ? RETURNING user_id",
            [feature.id, user_id],
        )
        if changed:
            append(database, "feature.unshared", feature_id=feature.id, data={"user": user_id})


def seen_by(database: Database, feature_ids: list[int]) -> dict[int, set[int]]:
    """Return the users whose each of the features is, or with whom it is shared."""
    found: dict[int, set[int]] = {one: set() for one in feature_ids}
    marks = placeholders(feature_ids)
    for feature, user in database.execute(
        f"SELECT id, user_id FROM features WHERE id IN ({marks}) AND user_id IS NOT NULL"
        f" UNION SELECT feature_id, user_id FROM shares WHERE feature_id IN ({marks})",
        [*feature_ids, *feature_ids],
    ):
        found[int(str(feature))].add(int(str(user)))
    return found

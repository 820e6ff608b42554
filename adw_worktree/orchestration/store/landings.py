"""What becomes of features that are completed: merged into their base, a pull request, or nothing.

What holds here: a feature that is to land is taken up again until it is noted what came of it.
"""

from __future__ import annotations

from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import Feature, features
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from adw_worktree.orchestration.store.database import Value


class Verify(NamedTuple):
    """When a feature is verified that has landed, and how."""

    at: str
    document: str
    """As JSON."""


IS_TO_LAND = "status = 'completed' AND land <> 'leave' AND landing IS NULL"


def to_land(database: Database, host: str) -> list[Feature]:
    """Return the features that are completed and that `host` is to land."""
    return features(database, f"{IS_TO_LAND} AND host = ?", [host])


def note_landing(
    database: Database,
    feature_id: int,
    how: str,
    kind: str,
    data: Mapping[str, Value],
    verify: Verify | None = None,
) -> None:
    """Note what came of a feature's landing: `landed`, an address, or `failed: ` and why.

    `verify` says whether, when and how it is verified.
    """
    with database.transaction():
        database.execute("UPDATE features SET landing = ? WHERE id = ?", [how, feature_id])
        if verify is not None:
            database.execute(
                "UPDATE features SET verify_at = ?, verification = ? WHERE id = ?",
                [verify.at, verify.document, feature_id],
            )
        append(database, kind, feature_id=feature_id, data=data)

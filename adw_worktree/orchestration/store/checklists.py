"""Checklists: what of a plan is to be true of a phase, and what was found.

What holds here: a verdict stands beside the commit that it is about, and the evidence for it. What
nobody has looked at is `unknown`, and is never counted as passed.
"""

from __future__ import annotations

from adw_worktree.orchestration.store.database import Database, placeholders
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Literal

    from adw_worktree.orchestration.store.database import Row, Value

    Verdict = Literal["pass", "warn", "fail", "unknown"]

CONCERNS = ("warn", "fail")
"""Verdicts with which a phase is completed with warnings."""
READ = "read: "
"""What the evidence of a reader begins with."""


class Check(NamedTuple):
    """A point of a checklist, before anybody has looked."""

    kind: str
    """`integration`, `file`, `criterion`, `test` or `success`."""
    text: str
    checker: str | None
    """How it is looked for, as JSON; None if only a reader can tell."""


class ChecklistItem(NamedTuple):
    """A point of a phase's checklist."""

    phase_id: int
    position: int
    kind: str
    text: str
    checker: str | None
    verdict: Verdict
    evidence: str | None
    commit_id: str | None
    """The commit that the verdict is about."""


def insert_checklist(database: Database, phase_id: int, checks: Iterable[Check]) -> None:
    """Add a phase's checklist; inside the transaction that adds the phase."""
    for position, check in enumerate(checks, 1):
        database.execute(
            "INSERT INTO checklist (phase_id, position, kind, text, checker, verdict)"
            " VALUES (?, ?, ?, ?, ?, 'unknown')",
            [phase_id, position, check.kind, check.text, check.checker],
        )


def checklist(database: Database, phase_id: int) -> tuple[ChecklistItem, ...]:
    """Return the checklist of a phase, in its order; nothing if it has none."""
    return _items(database, "phase_id = ? ORDER BY position", [phase_id])


def concerns_before(database: Database, feature_id: int) -> tuple[ChecklistItem, ...]:
    """Return what gates have found against the phases of a feature that are completed.

    A phase that comes later may be the one that uses what they made. What a reader has judged is
    left to readers.
    """
    where = (
        "phase_id IN (SELECT id FROM phases WHERE feature_id = ? AND status = 'completed')"
        " AND verdict IN (?, ?) AND checker IS NOT NULL AND evidence NOT LIKE ?"
        " ORDER BY phase_id, position"
    )
    return _items(database, where, [feature_id, *CONCERNS, f"{READ}%"])


def _items(database: Database, where: str, values: Sequence[Value]) -> tuple[ChecklistItem, ...]:
    rows = database.execute(
        "SELECT phase_id, position, kind, text, checker, verdict, evidence, commit_id"
        f" FROM checklist WHERE {where}",
        values,
    )
    return tuple(ChecklistItem(*row) for row in rows)  # type: ignore[arg-type]


def judge(
    database: Database,
    phase_id: int,
    position: int,
    verdict: Verdict,
    evidence: str,
    commit_id: str | None,
) -> bool:
    """Note what was found of one point; return whether there is such a point."""
    found = database.execute(
        "UPDATE checklist SET verdict = ?, evidence = ?, commit_id = ?"
        " WHERE phase_id = ? AND position = ? RETURNING position",
        [verdict, evidence, commit_id, phase_id, position],
    )
    return bool(found)


def judge_all(
    database: Database, phase_id: int, findings: Sequence[Mapping[str, Any]], commit_id: str | None
) -> None:
    """Note what a gate has found, each finding with `position`, `verdict` and `evidence`, and with
    `phase_id` if it is about another phase."""
    for one in findings:
        about = one.get("phase_id", phase_id)
        judge(database, about, one["position"], one["verdict"], one["evidence"], commit_id)


def verdicts_of(database: Database, feature_id: int) -> dict[int, dict[str, int]]:
    """Return how many points have each verdict, by the ids of the feature's phases."""
    rows = database.execute(
        "SELECT c.phase_id, c.verdict, count(*) FROM checklist c JOIN phases p"
        " ON p.id = c.phase_id WHERE p.feature_id = ? GROUP BY c.phase_id, c.verdict",
        [feature_id],
    )
    return _by_key(rows)


def verdicts_of_phases(database: Database, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return how many points of each of these phases have each verdict."""
    rows = database.execute(
        "SELECT phase_id, verdict, count(*) FROM checklist"
        f" WHERE phase_id IN ({placeholders(ids)}) GROUP BY phase_id, verdict",
        ids,
    )
    return _by_key(rows)


def verdicts_of_features(database: Database, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return how many points of each of these features have each verdict."""
    rows = database.execute(
        "SELECT p.feature_id, c.verdict, count(*) FROM checklist c JOIN phases p"
        f" ON p.id = c.phase_id WHERE p.feature_id IN ({placeholders(ids)})"
        " GROUP BY p.feature_id, c.verdict",
        ids,
    )
    return _by_key(rows)


def _by_key(rows: Iterable[Row]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for key, verdict, count in rows:
        found.setdefault(int(str(key)), {})[str(verdict)] = int(str(count))
    return found

"""The rows of the store, as the rest of the package sees them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from adw_worktree.orchestration.store.database import Database, Value
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adw_worktree.orchestration.phases.states import EndReason, Status


OPEN = ("added", "running", "paused")
"""The statuses of features that are not over."""


class Feature(NamedTuple):
    """Something to be built."""

    id: int
    slug: str
    title: str
    repository: str
    """What tells the repository on every host: its root commit, and its remote."""
    place: str
    """Its main worktree on the host that the feature was started on."""
    plan_path: str | None
    branch: str
    base: str | None
    priority: int
    status: str
    """`added`, `running`, `paused`, `completed` or `cancelled`."""
    land: str
    """What becomes of it when it is completed: `leave`, `merge` or `pr`."""
    landing: str | None
    """What came of that."""
    verification: str | None
    """What is looked at after it has landed, as JSON."""
    verify_at: str | None
    """When that is; None if it is not to be any more."""
    verified: str | None
    """What came of it: `passed`, or `failed: ` and why."""
    issues: str
    """Where the issues of its phases are: `file`, or `github`, too."""
    drafting: str | None
    """Of one that has no plan yet: `running` while an agent drafts it, or `failed: ` and why."""
    user_id: int | None
    """The user of a board whose it is; None if it was added elsewhere."""
    host: str | None
    """The host that does what is to be done for it as a whole; None if none does yet."""
    added_on: str | None
    """The host on which `place` is; None in a store that has one host."""
    tip: str | None
    """The last commit that is known to have landed on its branch, where hosts share the store."""
    created_at: str
    ended_at: str | None


class Phase(NamedTuple):
    """A numbered part of a feature."""

    id: int
    feature_id: int
    phase_number: int
    title: str
    commands: str
    """A list of command lines, as JSON."""
    changes: str
    timeout_seconds: float | None
    attempts_allowed: int
    losses: int
    priority: int
    status: Status
    blocked_by: str | None
    awaits_slot: int
    not_before: str | None
    resume_at: str | None
    """When the limit of its agents ends; None if it is not paused by one."""
    adw_id: str
    host: str | None
    """The host that has its worktree; None if it has none."""
    issue_number: int | None
    """Its issue on GitHub; None if it has none."""
    error_message: str | None
    estimated_hours: float | None
    created_at: str
    ready_at: str | None
    started_at: str | None
    ended_at: str | None

    @property
    def command_lines(self) -> list[str]:
        """The command lines, each for `sh -c`."""
        lines: list[str] = json.loads(self.commands)
        return lines


class Attempt(NamedTuple):
    """One run of a phase."""

    token: str
    phase_id: int
    number: int
    host: str
    pid: int | None
    worktree: str | None
    base_commit: str | None
    head_commit: str | None
    stage: str | None
    stop: str | None
    """`cancel` or `pause`, once a person asked for its end."""
    report: str | None
    """`done`, `fail` or `block`, once it was reported."""
    report_message: str | None
    end_reason: EndReason | None
    exit_code: int | None
    allowance_usd: float | None
    """How much its agents may cost."""
    verdict: str | None
    """`approved` or `rejected`, once a person has looked at it."""
    verdict_message: str | None
    started_at: str
    ended_at: str | None


class Stage(NamedTuple):
    """One step of an attempt."""

    attempt: str
    position: int
    name: str
    kind: str
    round: int
    status: str
    exit_code: int | None
    log: str | None
    tested_commit: str | None
    """The commit that it has checked."""
    started_at: str
    ended_at: str | None


class Event(NamedTuple):
    """A change, written in the transaction that made it."""

    id: int
    at: str
    feature_id: int | None
    phase_id: int | None
    attempt: str | None
    stage: str | None
    kind: str
    data: str


def features(
    database: Database, where: str = "1 = 1", values: Sequence[Value] = (), order: str = "id"
) -> list[Feature]:
    """Return the features that `where` selects, the oldest first."""
    rows = select(database, "features", Feature, where, values, order)
    return [Feature(*row) for row in rows]


def places(database: Database) -> list[str]:
    """Return the main worktrees of the repositories that features are of."""
    rows = database.execute("SELECT DISTINCT place FROM features ORDER BY place")
    return [str(place) for [place] in rows]


def phases(
    database: Database, where: str = "1 = 1", values: Sequence[Value] = (), order: str = "id"
) -> list[Phase]:
    """Return the phases that `where` selects."""
    return [Phase(*row) for row in select(database, "phases", Phase, where, values, order)]


def attempts(database: Database, where: str, values: Sequence[Value] = ()) -> list[Attempt]:
    """Return the attempts that `where` selects, in the order of their numbers."""
    rows = select(database, "attempts", Attempt, where, values, "phase_id, number")
    return [Attempt(*row) for row in rows]


def phase_of(database: Database, attempt: Attempt) -> tuple[Feature, Phase]:
    """Return the phase that an attempt is of, and its feature."""
    [phase] = phases(database, "id = ?", [attempt.phase_id])
    [feature] = features(database, "id = ?", [phase.feature_id])
    return feature, phase


def name_of(feature: Feature, phase: Phase) -> str:
    """Return what a person calls a phase."""
    return f"{feature.slug}.{phase.phase_number}"


def stages(database: Database, token: str) -> list[Stage]:
    """Return the stages of an attempt, in their order."""
    rows = select(database, "stages", Stage, "attempt = ?", [token], "position")
    return [Stage(*row) for row in rows]


def events(
    database: Database, where: str, values: Sequence[Value] = (), order: str = "id"
) -> list[Event]:
    """Return the events that `where` selects, in their order."""
    return [Event(*row) for row in select(database, "events", Event, where, values, order)]


def dependencies(database: Database, feature_id: int) -> dict[int, list[int]]:
    """Return, for each phase of a feature, the phases that it depends on, all by their ids."""
    found: dict[int, list[int]] = {}
    for phase, needs in database.execute(
        "SELECT p.id, d.needs_id FROM phases p LEFT JOIN dependencies d ON d.phase_id = p.id "
        "WHERE p.feature_id = ? ORDER BY p.id, d.needs_id",
        [feature_id],
    ):
        before = found.setdefault(int(str(phase)), [])
        if needs is not None:
            before.append(int(str(needs)))
    return found


def select(
    database: Database,
    table: str,
    kind: type[NamedTuple],
    where: str,
    values: Sequence[Value],
    order: str,
) -> list[tuple[Any, ...]]:
    """Return the rows of a table that `where` selects, with the columns that `kind` has."""
    columns = ", ".join(kind._fields)
    statement = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order}"
    return list(database.execute(statement, values))

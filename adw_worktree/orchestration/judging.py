"""What a reader says of a point of a phase's checklist, as nobody else can tell."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.errors import UnknownPhase
from adw_worktree.orchestration.store import checklists
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.records import Feature, Phase, attempts, name_of
from adw_worktree.project import open_project
from adw_worktree.repo.refs import branch_commit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.orchestration.store.checklists import Verdict

_MOST_EVIDENCE = 2000
_COUNTED = range(1, 1_000_000)
"""What the store can count, and more than any checklist has."""


def judge(
    database: Database,
    feature: Feature,
    phase: Phase,
    position: int,
    verdict: Verdict,
    evidence: str,
) -> None:
    """Note a verdict, about the commit that the phase is at. Raises UnknownPhase for no point."""
    shown = " ".join(evidence.split())[:_MOST_EVIDENCE]
    commit = _commit(database, feature, phase)
    with database.transaction():
        said = f"{checklists.READ}{shown}"
        if position not in _COUNTED or not checklists.judge(
            database, phase.id, position, verdict, said, commit
        ):
            name = name_of(feature, phase)
            raise UnknownPhase(
                f"the checklist of {name} has no point {position}",
                hint=f"adw-worktree phase show {name}",
            )
        append(
            database,
            "checklist.judged",
            feature_id=feature.id,
            phase_id=phase.id,
            data={"position": position, "verdict": verdict},
        )


def _commit(database: Database, feature: Feature, phase: Phase) -> str | None:
    """Return the commit of the phase's branch, or the one that landed."""
    project = open_project(Path(feature.place))
    lease = project.pool.leases().get(phase.adw_id)
    if lease is not None and lease.branch is not None:
        return branch_commit(project.repo.home, lease.branch)
    landed = [one.head_commit for one in attempts(database, "phase_id = ?", [phase.id])]
    return landed[-1] if landed else None

"""What phases hand over: the last answer of their agents, for those that depend on them."""

from __future__ import annotations

from adw_worktree.orchestration.store.changes import needs_of
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import Phase
from adw_worktree.system.named_tuple import NamedTuple

MOST_CHARACTERS = 32_000
_MOST_PHASES = 50
"""Further away, nothing is looked for."""


class Handover(NamedTuple):
    """What a phase has handed over."""

    phase_number: int
    title: str
    text: str
    """Empty if it was left out, since all together would have been too long."""


def handovers(database: Database, phase: Phase) -> tuple[Handover, ...]:
    """Return what the phases before have handed over, those that `phase` depends on itself first.

    Together they have 32,000 characters at most: of those further away the text is left out.
    """
    found: list[Handover] = []
    room = MOST_CHARACTERS
    for one in _before(database, phase):
        text = _summary(database, one)
        if text is None:
            continue
        if not found:
            text = text[:room]
        shown = text if len(text) <= room else ""
        room -= len(shown)
        found.append(Handover(one.phase_number, one.title, shown))
    return tuple(found)


def _before(database: Database, phase: Phase) -> list[Phase]:
    """Return all that a phase depends on, the nearest first; of several, the last one first."""
    known: dict[int, Phase] = {}
    level = [phase]
    while level and len(known) < _MOST_PHASES:
        needs = {need.id: need for one in level for need in needs_of(database, one)}
        level = sorted(
            (need for need in needs.values() if need.id not in known),
            key=lambda need: -need.phase_number,
        )
        known.update((need.id, need) for need in level)
    return list(known.values())


def _summary(database: Database, phase: Phase) -> str | None:
    """Return the last answer of a phase's agents; None if it has none."""
    found = database.execute(
        "SELECT c.answer FROM calls c JOIN attempts a ON a.token = c.attempt"
        " WHERE a.phase_id = ? AND c.answer IS NOT NULL AND c.status IN ('ok', 'denied')"
        " ORDER BY a.number DESC, c.number DESC LIMIT 1",
        [phase.id],
    )
    text = str(found[0][0]).strip() if found else ""
    return text or None

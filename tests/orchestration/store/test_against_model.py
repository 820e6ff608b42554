"""The store against a model of a few lines: any graph, any ends, and whatever people do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from adw_worktree.errors import PhaseNotInState
from adw_worktree.orchestration.phases.states import BROKEN
from adw_worktree.orchestration.plan.feature_file import FeatureFile, PhaseEntry
from adw_worktree.orchestration.store import steering
from adw_worktree.orchestration.store.attempts import End, claim, end
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import Origin, add_feature
from adw_worktree.orchestration.store.postgres import PostgresDatabase
from adw_worktree.orchestration.store.records import attempts, events, phases
from adw_worktree.orchestration.store.schema import migrate
from adw_worktree.orchestration.store.server_tables import migrate_server
from adw_worktree.orchestration.store.sqlite import SqliteDatabase
from tests.support.features import join
from tests.support.postgres_server import Server
from tests.support.stress_size import stress_size

if TYPE_CHECKING:
    from adw_worktree.orchestration.phases.states import EndReason, Status

ORIGIN = Origin("0" * 40, "/nowhere", "plan.toml", "", "somebody")
ENDS: tuple[EndReason, ...] = ("completed", "command-failed", "lost", "needs-person")
NUMBERS = st.integers(1, 6)

graphs = st.lists(
    st.tuples(st.sets(st.integers(1, 5)), st.sampled_from([10, 50, 90])), min_size=1, max_size=6
)


class Phases(RuleBasedStateMachine):
    """A feature in the store, and what the model holds of it."""

    database: Database
    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[int, str] = {}
        """What happened to each phase by itself: none, running, completed, failed, …"""
        self.needs: dict[int, set[int]] = {}
        self.limit = 3
        self.open: dict[str, int] = {}
        """The phase of each attempt that has not ended."""
        self.losses: dict[int, int] = {}

    def status(self, number: int) -> Status:
        mark = self.marks[number]
        if mark != "none":
            return cast("Status", mark)
        before = {self.status(one) for one in self.needs[number]}
        if before & BROKEN:
            return "blocked"
        return "ready" if before <= {"completed"} else "queued"

    @initialize(graph=graphs)
    def add(self, graph: list[tuple[set[int], int]]) -> None:
        join(self.database, "here")
        for table in ("events", "stages", "attempts", "dependencies", "phases", "features"):
            self.database.execute(f"DELETE FROM {table}")
        steering.set_limit(self.database, 3)
        entries = [
            PhaseEntry(
                number=number,
                title="phase",
                run=("true",),
                depends_on=tuple(sorted(one for one in needs if one < number)),
                priority=priority,
            )
            for number, (needs, priority) in enumerate(graph, 1)
        ]
        plan = FeatureFile(slug="model", title="Model", phases=tuple(entries))
        add_feature(self.database, plan, ORIGIN)
        self.needs = {entry.number: set(entry.depends_on) for entry in entries}
        self.marks = dict.fromkeys(self.needs, "none")
        self.losses = dict.fromkeys(self.needs, 0)

    def stored(self) -> dict[int, Any]:
        return {one.phase_number: one for one in phases(self.database)}

    @rule(target=running, most_here=st.integers(1, 4))
    def claim(self, most_here: int) -> Any:
        ready = [
            one
            for number, one in self.stored().items()
            if self.status(number) == "ready" and number not in self.open.values()
        ]
        ready.sort(key=lambda one: (one.priority, one.ready_at, one.id))
        places = max(0, min(self.limit, most_here) - len(self.open))
        expected = [one.phase_number for one in ready[:places]]
        started = claim(self.database, "here", most_here)
        assert [one.phase.phase_number for one in started] == expected
        for one in started:
            self.marks[one.phase.phase_number] = "running"
            self.open[one.attempt.token] = one.phase.phase_number
        return [one.attempt.token for one in started]

    @rule(tokens=running, reason=st.sampled_from(ENDS), twice=st.booleans())
    def end(self, tokens: list[str], reason: EndReason, twice: bool) -> None:
        for token in tokens:
            self.database.execute("UPDATE attempts SET stage = 'run' WHERE token = ?", [token])
            for _ in range(1 + twice):
                end(self.database, token, End(reason))
            if token not in self.open:
                continue  # it had ended before: nothing of it counts any more
            number = self.open.pop(token)
            if self.marks[number] == "running":
                self.losses[number] += reason == "lost"
                again = reason == "lost" and self.losses[number] < 2
                after = {"completed": "completed", "needs-person": "review"}.get(reason, "failed")
                self.marks[number] = "none" if again else after

    def steer(self, number: int, act: Any, allowed: set[str], mark: str) -> None:
        if number not in self.needs:
            return
        if self.status(number) in allowed:
            act(self.database, f"model.{number}")
            self.marks[number] = mark
        else:
            before = self.stored()
            with pytest.raises(PhaseNotInState):
                act(self.database, f"model.{number}")
            assert self.stored() == before

    @rule(number=NUMBERS)
    def pause(self, number: int) -> None:
        if self.marks.get(number) != "paused":
            self.steer(number, steering.pause_phase, {"queued", "ready", "running"}, "paused")

    @rule(number=NUMBERS)
    def resume(self, number: int) -> None:
        self.steer(number, steering.resume_phase, {"paused"}, "none")

    @rule(number=NUMBERS)
    def cancel(self, number: int) -> None:
        if self.marks.get(number) != "cancelled":
            allowed = {"queued", "ready", "running", "review", "paused", "failed", "blocked"}
            self.steer(number, steering.cancel_phase, allowed, "cancelled")

    @rule(number=NUMBERS)
    def retry(self, number: int) -> None:
        over = all(status == "completed" for status in self.marks.values())
        ends = set() if number in self.open.values() or over else {"failed", "cancelled", "review"}
        self.steer(number, steering.retry_phase, ends, "none")
        if self.marks.get(number) == "none" and ends:
            self.losses[number] = 0

    @rule(most=st.integers(1, 5))
    def change_limit(self, most: int) -> None:
        steering.set_limit(self.database, most)
        self.limit = most

    @invariant()
    def store_and_model_agree(self) -> None:
        assert {number: one.status for number, one in self.stored().items()} == {
            number: self.status(number) for number in self.needs
        }
        left = attempts(self.database, "ended_at IS NULL")
        assert {one.token for one in left} == self.open.keys()
        assert len({one.phase_id for one in left}) == len(left)

    @invariant()
    def events_tell_every_status(self) -> None:
        told: dict[int | None, str] = {}
        for event in events(self.database, "kind LIKE 'phase.%'"):
            told[event.phase_id] = event.kind.removeprefix("phase.")
        assert told == {one.id: one.status for one in phases(self.database)}


def check(database: Database) -> None:
    class Here(Phases):
        pass

    Here.database = database
    run_state_machine_as_test(
        Here, settings=settings(max_examples=stress_size(15, 1000), stateful_step_count=25)
    )


def test_sqlite_agrees_with_the_model() -> None:
    with tempfile.TemporaryDirectory() as directory:
        database = SqliteDatabase(Path(directory, "phases.db"))
        migrate(database)
        check(database)
        database.close()


def test_postgres_agrees_with_the_model(postgres: Server) -> None:
    postgres.run('CREATE DATABASE "phases"')
    database = PostgresDatabase(postgres.url.replace("@/?", "@/phases?"))
    migrate_server(database)
    check(database)
    database.close()

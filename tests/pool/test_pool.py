"""The pool as a state machine against a simple model: what is leased, alive, moved or gone."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adw_worktree.errors import AdwError, PoolExhausted
from adw_worktree.project import Project, open_project
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.reconcile import reconcile
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent
from tests.support.free_ports import free_services
from tests.support.repositories import git

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
SLOTS = 4


class PoolMachine(RuleBasedStateMachine):
    """Two repositories in one pool of four slots.

    The model is a dictionary: (repository, ADW id) to the slot it holds, and where its worktree
    is: `there`, `moved`, `none` (reserved). What is gone leaves the model at once, since any
    command may notice it from then on; a slot in the model must never change or double.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="adw-pool-")).resolve()
        self.held: dict[tuple[int, str], int] = {}
        self.where: dict[tuple[int, str], Path | None] = {}
        self.given_up: set[tuple[int, str]] = set()
        self.moves = 0
        self.environment = patch.dict(
            os.environ,
            {
                "ADW_STATE_HOME": str(self.root / "state"),
                "ADW_SLOTS": str(SLOTS),
                "ADW_SERVICES": free_services(),
            },
        )
        self.environment.start()

    @initialize()
    def make_repositories(self) -> None:
        for number in range(2):
            path = self.root / f"repo{number}"
            path.mkdir()
            git("init", "--quiet", "--initial-branch=main", cwd=path)
            git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=path)

    def project(self, number: int) -> Project:
        return open_project(self.root / f"repo{number}")

    @rule(number=st.integers(0, 1), adw_id=IDS)
    def create(self, number: int, adw_id: str) -> None:
        key = (number, adw_id)
        if self.where.get(key) is not None and not Path(str(self.where[key])).exists():
            return
        try:
            made = create(self.project(number), adw_id)
        except PoolExhausted:
            assert key not in self.held
            assert len(self.held) == SLOTS
            return
        except AdwError as exc:
            # A worktree that was moved by hand is neither used nor made again; one that was given
            # up then still has the branch.
            assert self.where.get(key) is not None or key in self.given_up, exc
            return
        assert made.lease.slot == self.held.setdefault(key, made.lease.slot)
        self.where[key] = Path(str(made.lease.path))

    @rule(number=st.integers(0, 1), adw_id=IDS)
    def reserve(self, number: int, adw_id: str) -> None:
        key = (number, adw_id)
        try:
            lease = self.project(number).pool.reserve(adw_id)
        except PoolExhausted:
            assert key not in self.held
            assert len(self.held) == SLOTS
            return
        assert lease.slot == self.held.setdefault(key, lease.slot)
        self.where.setdefault(key, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        number, adw_id = key = data.draw(st.sampled_from(sorted(self.held)))
        consent = Consent(force=True, delete_branch="always")
        gone = remove(self.project(number), adw_id, consent)
        assert gone.released is not None
        if not gone.removed and self.where[key] is not None:
            self.given_up.add(key)
        self.forget(key)

    @precondition(lambda self: any(self.where.values()))
    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        key = self.some_worktree(data)
        shutil.rmtree(str(self.where[key]))
        self.forget(key)

    @precondition(lambda self: any(self.where.values()))
    @rule(data=st.data(), by_git=st.booleans())
    def move(self, data: st.DataObject, by_git: bool) -> None:
        number, _ = key = self.some_worktree(data)
        old = Path(str(self.where[key]))
        self.moves += 1
        new = old.with_name(f"moved-{self.moves}")
        if by_git:
            reconcile(self.project(number))  # git moves only what it knows
            git("worktree", "move", str(old), str(new), cwd=self.root / f"repo{number}")
        else:
            old.rename(new)
        self.where[key] = new

    @rule(number=st.integers(0, 1))
    def reconcile(self, number: int) -> None:
        done = reconcile(self.project(number))
        assert done.failed == []

    @rule(number=st.integers(0, 1))
    def lose_the_ledger(self, number: int) -> None:
        heal(self.project(number))
        shutil.rmtree(self.root / f"repo{number}" / "agents", ignore_errors=True)

    @invariant()
    def leases_are_as_the_model_says(self) -> None:
        if not (self.root / "repo1" / ".git").exists():
            return
        found: dict[tuple[int, str], int] = {}
        for number in range(2):
            project = self.project(number)
            heal(project)
            found |= {(number, key): one.slot for key, one in project.pool.leases().items()}
        assert found == self.held
        assert len(set(found.values())) == len(found)

    def some_worktree(self, data: st.DataObject) -> tuple[int, str]:
        there = sorted(key for key, place in self.where.items() if place is not None)
        return data.draw(st.sampled_from(there))

    def forget(self, key: tuple[int, str]) -> None:
        del self.held[key]
        del self.where[key]

    def teardown(self) -> None:
        self.environment.stop()
        shutil.rmtree(self.root, ignore_errors=True)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)

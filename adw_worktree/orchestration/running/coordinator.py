"""The coordinator: starts phases on this host, and takes their ends into the store.

Nobody starts it by hand: whoever changes the store, and every runner at its end, wakes it or starts
one. It sleeps in one select, without a timer unless a phase waits for its time, and ends when
nothing is left to start or to wait for.

What holds here: it keeps nothing in memory that is not in the store or in the run directories, so
that the next one goes on where it was killed. It never decides by a process number alone that a
runner lives: the lock does.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adw_worktree.orchestration.running.delivering import Messenger
from adw_worktree.orchestration.running.errands import Errands
from adw_worktree.orchestration.running.lander import LANDING
from adw_worktree.orchestration.running.nursery import Carrier, Nursery
from adw_worktree.orchestration.running.runner import (
    become_runner,
    become_tidier,
    become_undertaker,
)
from adw_worktree.orchestration.running.tidying import clear_mark, untidy
from adw_worktree.orchestration.running.verifier import VERIFYING
from adw_worktree.orchestration.runs.assignment import Assignment, assignment_of
from adw_worktree.orchestration.runs.run_directory import RunDirectory, run_directory
from adw_worktree.orchestration.runs.summon import (
    coordinator_lock,
    is_idle,
    onlooking,
)
from adw_worktree.orchestration.stages.commands import GONE
from adw_worktree.orchestration.store import attempts as store_attempts
from adw_worktree.orchestration.store import deliveries
from adw_worktree.orchestration.store.attempts import Claimed, End
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.journal import note
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import attempts, phase_of, phases
from adw_worktree.orchestration.store.steering import asked_to_stop
from adw_worktree.pool.wakeups import WORKTREES, coordinator_bell, slots_bell, start_coordinator
from adw_worktree.settings.load import load_settings
from adw_worktree.system.bells import ALL, Bell, hang, ring
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import Lock, try_lock
from adw_worktree.system.paths import is_dir
from adw_worktree.system.process_end import end_of

_LONGEST_NAP_SECONDS = 60.0
"""A clock that was set forward is noticed after that, while a phase waits for its time."""
_BIRTH_SECONDS = 0.02


def coordinate(
    state_dir: Path, nursery: Nursery, *, until_idle: bool = True, patient: bool = False
) -> None:
    """Start phases and wait for their ends, until nothing is left; forever if not `until_idle`.

    Another coordinator that lives is woken; then this comes back at once, or if `patient` once that
    has nothing left to do. Somebody waits for a `patient` one: it leaves events that could not be
    delivered to another, in the background. Raises StoreError.
    """
    (state_dir / "phases").mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _only_one(state_dir)
    while lock is None:
        if patient and until_idle:
            _wait_until_idle(state_dir)
        if until_idle or not patient:
            return
        _wait_for_end(coordinator_lock(state_dir))  # a service takes over from it
        lock = _only_one(state_dir)
    try:
        while True:
            coordinator = Coordinator(state_dir, nursery, hang(coordinator_bell(state_dir)))
            try:
                coordinator.work(until_idle=until_idle, patient=patient)
                coordinator.bell.take_down()
                reached("coordinator.idle")
                # Whoever changed the store before the bell was gone has rung in vain.
                if not coordinator.has_work(patient=patient):
                    left = coordinator.has_work(patient=False)
                    break
            finally:
                coordinator.close()
    finally:
        lock.release()
    if left:
        start_coordinator(state_dir)


def _only_one(state_dir: Path) -> Lock | None:
    """Return the lock of the coordinator; None if one lives that has heard of our work.

    One that is about to end has taken its bell down: its lock is waited for.
    """
    path = coordinator_lock(state_dir)
    while True:
        lock = try_lock(path)
        if lock is not None:
            with suppress(OSError):  # on a full disk, onlookers look more often
                path.write_text(f"{os.getpid()}\n")
            return lock
        if ring(coordinator_bell(state_dir)):
            return None
        time.sleep(_BIRTH_SECONDS)


def _wait_for_end(path: Path) -> None:
    """Sleep in the kernel until nobody holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _wait_until_idle(state_dir: Path) -> None:
    """Wait until another coordinator has nothing left to do."""
    store = open_store(state_dir)
    try:
        with onlooking(state_dir) as onlooker:
            while not is_idle(store):
                onlooker.sleep(store)
    finally:
        store.close()


class Coordinator:
    """A coordinator at work."""

    def __init__(self, state_dir: Path, nursery: Nursery, bell: Bell) -> None:
        self.bell = bell
        self._nursery = nursery
        self._state_dir = state_dir
        self._host = socket.gethostname()
        self._store: Database = open_store(state_dir)
        self._lifeline, self._life = os.pipe()
        self._runners: dict[str, _Runner] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(bell.descriptor, selectors.EVENT_READ)
        self._slots: Bell | None = None
        self._messenger = Messenger(state_dir)
        self._errands = Errands(state_dir, nursery, self._selector, [LANDING, VERIFYING])
        self._most_here = load_settings(None).max_running_here

    def close(self) -> None:
        """Let everything go; the runners live on."""
        self._messenger.close()
        self._errands.close()
        for runner in self._runners.values():
            runner.forget()
        self._selector.close()
        for descriptor in (self._lifeline, self._life):
            os.close(descriptor)
        if self._slots is not None:
            self._slots.take_down()
            self._slots.close()
        self.bell.close()
        self._store.close()

    def has_work(self, *, patient: bool) -> bool:
        """Return whether a phase waits to be started here, an attempt runs, or an event waits.

        Not, if somebody waits for this, an event whose delivery has failed and is tried later.
        """
        later = not patient and deliveries.has_undelivered(self._store)
        return later or not is_idle(self._store)

    def work(self, *, until_idle: bool, patient: bool) -> None:
        """Start and end attempts until there are none, and none can start."""
        self._adopt()
        self._look_at_all()
        while True:
            busy = self._runners or self._messenger.is_busy
            if until_idle and not busy and not self.has_work(patient=patient):
                return
            words = self._sleep()
            if ALL in words:
                self._look_at_all()
            else:
                self._look_at(words)

    # ---- waking up --------------------------------------------------------------------

    def _sleep(self) -> set[str]:
        """Wait until somebody rings, a runner ends, or a phase's time has come.

        Returns the tokens of the attempts that there is something new of, with ALL if that is not
        all there may be.
        """
        ready = self._selector.select(self._patience())
        words = self.bell.words()
        if not ready or any(
            key.data is None and key.fd != self.bell.descriptor for key, _ in ready
        ):
            words.add(ALL)
        return words | {key.data for key, _ in ready if key.data is not None}

    def _patience(self) -> float | None:
        if any(runner.ended is None for runner in self._runners.values()):
            return _BIRTH_SECONDS  # it was just born, or has just ended
        times = (store_attempts.next_time(self._store), deliveries.next_try(self._store))
        at = min((one for one in times if one is not None), default=None)
        if at is None:
            return None
        left = (datetime.fromisoformat(at) - datetime.now(UTC)).total_seconds()
        return min(max(left, 0.0), _LONGEST_NAP_SECONDS)

    def _look_at(self, words: set[str]) -> None:
        """Take in what has happened to a few attempts: among a hundred, one at a time ends."""
        for token in words & self._runners.keys():
            self._take_in(self._runners[token])
        if WORKTREES in words:
            self._stop_the_homeless()
        self._listen_for_slots()
        self._messenger.send(deliveries.due(self._store))

    def _look_at_all(self) -> None:
        """Take in whatever has happened, and start what may start."""
        if self._slots is not None and self._slots.silence():
            store_attempts.slot_freed(self._store)
        for attempt in asked_to_stop(self._store, self._host):
            run = self._run(attempt.token)
            if run.asked("stop") is None and is_dir(run.path):
                run.ask("stop", str(attempt.stop))
        for runner in list(self._runners.values()):
            self._take_in(runner)
        self._start(self._claim())
        self._errands.send(self._store)
        self._look_at({WORKTREES})

    def _listen_for_slots(self) -> None:
        """Hear of slots that are freed, once a phase has found none."""
        if self._slots is None and phases(self._store, "awaits_slot = 1"):
            self._slots = hang(slots_bell(self._state_dir))
            self._selector.register(self._slots.descriptor, selectors.EVENT_READ)
            # One that was freed before the bell hung was not heard of.
            store_attempts.slot_freed(self._store)
            self._start(self._claim())

    def _claim(self) -> list[Claimed]:
        return store_attempts.claim(self._store, self._host, self._most_here)

    def _stop_the_homeless(self) -> None:
        """End the attempts whose worktrees were deleted from under them."""
        for runner in self._runners.values():
            is_gone = runner.worktree is not None and not is_dir(runner.worktree)
            if is_gone and not runner.taken_in and runner.run.asked("stop") is None:
                runner.run.ask("stop", GONE)

    # ---- runners ----------------------------------------------------------------------

    def _adopt(self) -> None:
        """Take over the attempts that run here, or that died with nobody looking."""
        for attempt in store_attempts.running_on(self._store, self._host):
            self._runners[attempt.token] = self._runner(attempt.token)
        for token in untidy(self._state_dir):
            if token not in self._runners:
                self._tidy(token)

    def _start(self, claimed: list[Claimed]) -> None:
        for one in claimed:
            reached("claim.committed")
            self._fork(assignment_of(self._state_dir, one))

    def _fork(self, assignment: Assignment) -> None:
        """Start the runner of an attempt."""
        runner = self._runner(assignment.attempt.token)
        self._runners[runner.token] = runner
        self._send(runner, become_runner, assignment, lifeline=True)
        reached("runner.forked")

    def _bury(self, runner: _Runner) -> None:
        """Have another process end what a dead runner left, and write that it was lost."""
        self._send(runner, become_undertaker, runner.run)

    def _tidy(self, token: str) -> None:
        """Give back what a completed attempt holds whose runner died too early."""
        found = attempts(self._store, "token = ? AND end_reason = 'completed'", [token])
        if not found:
            clear_mark(self._state_dir, token)
            return
        feature, phase = phase_of(self._store, found[0])
        runner = self._runner(token)
        runner.taken_in = True
        self._runners[token] = runner
        self._send(runner, become_tidier, Assignment(self._state_dir, feature, phase, found[0]))

    def _send(
        self, runner: _Runner, carrier: Carrier, argument: object, *, lifeline: bool = False
    ) -> None:
        """Have a process forked that does something for an attempt, unless one is at it."""
        runner.run.make()
        lock = runner.run.lock("runner")
        if lock is None:
            return
        try:
            descriptors = [lock, self._lifeline] if lifeline else [lock]
            runner.watch(self._nursery.fork(carrier, argument, descriptors=descriptors))
        finally:
            os.close(lock)

    def _take_in(self, runner: _Runner) -> None:
        """Take what a runner has written into the store; bury one that is dead."""
        dead = runner.is_dead()  # before it is looked at what it left
        ended = None if runner.taken_in else runner.run.end()
        entries = runner.news()
        if ended is not None:
            self._end(runner, ended, entries)
        elif entries:
            note(self._store, runner.token, entries)
        if not dead:
            return
        if not runner.taken_in:
            self._bury(runner)
            return
        runner.forget()
        self._runners.pop(runner.token, None)
        if runner.token in untidy(self._state_dir):
            self._tidy(runner.token)

    def _end(self, runner: _Runner, ended: End, entries: list[dict[str, Any]]) -> None:
        runner.taken_in = True
        claimed = store_attempts.end(
            self._store,
            runner.token,
            ended,
            entries=entries,
            host=self._host,
            most_here=self._most_here,
        )
        reached("end.committed")
        self._start(claimed)
        self._errands.send(self._store)

    def _runner(self, token: str) -> _Runner:
        return _Runner(self._run(token), token, self._selector)

    def _run(self, token: str) -> RunDirectory:
        return run_directory(self._state_dir, token)


class _Runner:
    """A runner as its coordinator sees it; perhaps one that it found."""

    def __init__(self, run: RunDirectory, token: str, selector: selectors.BaseSelector) -> None:
        self.run, self.token, self._selector = run, token, selector
        self.read = 0
        """How much of the journal is in the store."""
        self.worktree: Path | None = None
        self.taken_in = False
        """Whether the end is in the store."""
        self.ended: int | None = None
        """Readable once the process has ended; None if that is not known to come."""

    def watch(self, pid: int) -> None:
        """Wait for the end of this process from now on."""
        self.forget()
        self.ended = end_of(pid)
        if self.ended is not None:
            self._selector.register(self.ended, selectors.EVENT_READ, self.token)

    def news(self) -> list[dict[str, Any]]:
        """Return what came to the journal since the last time."""
        entries, self.read = self.run.journal(self.read)
        for entry in entries:
            if entry["kind"] == "worktree":
                self.worktree = Path(str(entry["path"]))
        return entries

    def is_dead(self) -> bool:
        """Return whether no process carries the attempt."""
        if not self.run.is_locked("runner"):
            return True
        pid = self.run.pid() if self.ended is None else None
        if pid is not None:
            self.watch(pid)
        return False

    def forget(self) -> None:
        """Stop waiting for the process."""
        if self.ended is not None:
            self._selector.unregister(self.ended)
            os.close(self.ended)
        self.ended = None

"""The coordinator: starts phases on this host, and takes their ends into the store.

Nobody starts it by hand: whoever changes the store, and every runner at its end, wakes it or starts
one. It sleeps in one select, without a timer unless a phase waits for its time, and ends when
nothing is left to start or to wait for.

What holds here: it keeps nothing in memory that is not in the store or in the run directories, so
that the next one goes on where it was killed. It never decides by a process number alone that a
runner lives: the lock does.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adw_worktree.orchestration.running.delivering import Messenger
from adw_worktree.orchestration.running.errands import Errands
from adw_worktree.orchestration.running.lander import LANDING
from adw_worktree.orchestration.running.membership import Membership
from adw_worktree.orchestration.running.nursery import Carrier, Nursery, was_killed
from adw_worktree.orchestration.running.runner import (
    become_runner,
    become_tidier,
    become_undertaker,
)
from adw_worktree.orchestration.running.tidying import clear_mark, untidy
from adw_worktree.orchestration.running.verifier import VERIFYING
from adw_worktree.orchestration.running.watched_runner import WatchedRunner
from adw_worktree.orchestration.runs.assignment import Assignment, assignment_of
from adw_worktree.orchestration.runs.run_directory import (
    FENCED,
    GONE,
    HANDED_BACK,
    RunDirectory,
    run_directory,
)
from adw_worktree.orchestration.runs.summon import is_idle
from adw_worktree.orchestration.store import attempts as store_attempts
from adw_worktree.orchestration.store import deliveries
from adw_worktree.orchestration.store.attempts import Claimed, End
from adw_worktree.orchestration.store.hosts import running_on
from adw_worktree.orchestration.store.journal import note
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import attempts, phase_of
from adw_worktree.orchestration.store.steering import asked_to_stop
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.orchestration.store.times import seconds_until
from adw_worktree.pool.wakeups import WORKTREES, slots_bell
from adw_worktree.settings.load import load_settings
from adw_worktree.system.bells import ALL, Bell, hang
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import is_dir

_LONGEST_NAP_SECONDS = 60.0
"""A clock that was set forward is noticed after that, while a phase waits for its time."""
_BIRTH_SECONDS = 0.02
_MOST_BURIALS = 5


class Coordinator:
    """A coordinator at work."""

    def __init__(self, state_dir: Path, nursery: Nursery, bell: Bell, *, serves: bool) -> None:
        """Open the store, and be a host that works on it; `serves` says whether to start phases.

        Raises StoreError, Refused if another machine has this host's name.
        """
        self._bell = bell
        self._nursery = nursery
        self._state_dir = state_dir
        self._store = open_store(state_dir, this_host(state_dir).name)
        try:
            self._membership = Membership(state_dir, self._store, serves=serves)
        except BaseException:
            self._store.close()
            raise
        self._host = self._membership.name
        self._lifeline, self._life = os.pipe()
        self._runners: dict[str, WatchedRunner] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(bell.descriptor, selectors.EVENT_READ)
        self._selector.register(nursery.line, selectors.EVENT_READ)  # at its end with the nursery
        self._slots: Bell | None = None
        self._messenger = Messenger(state_dir)
        self._errands = Errands(
            state_dir, nursery, self._selector, [LANDING, VERIFYING], self._host
        )
        self._most_here = load_settings(None).max_running_here

    def close(self) -> None:
        """Let everything go; the runners live on, and so does the bell."""
        self._membership.close()
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
        self._store.close()

    def has_work(self, *, patient: bool) -> bool:
        """Return whether a phase waits to be started here, an attempt runs, or an event waits.

        Not, if somebody waits for this, an event whose delivery has failed and is tried later.
        """
        later = not patient and deliveries.has_undelivered(self._store, self._host)
        return later or not is_idle(self._store, self._host)

    def work(self, *, until_idle: bool, patient: bool, stops: Callable[[], bool]) -> None:
        """Start and end attempts until there are none, and none can start, or until `stops`."""
        self._adopt()
        self._look_at_all()
        while not stops():
            busy = self._runners or self._messenger.is_busy
            if until_idle and not busy and not self.has_work(patient=patient):
                return
            words = self._sleep()
            if ALL in words:
                self._look_at_all()
            else:
                self._look_at(words)

    def stop(self, *, hand_back: bool) -> None:
        """Start nothing more here; what runs goes on, or is ended and left to other hosts."""
        self._membership.stop_serving()
        if not hand_back:
            return
        for runner in self._runners.values():
            self._ask_to_stop(runner, HANDED_BACK)
        while self._runners:
            self._sleep()
            self._look_at_all()

    # ---- waking up --------------------------------------------------------------------

    def _sleep(self) -> set[str]:
        """Wait until somebody rings, a runner ends, or a phase's time has come.

        Returns the tokens of the attempts that there is something new of, with ALL if that is not
        all there may be.
        """
        ready = self._selector.select(self._patience())
        if any(key.fileobj is self._nursery.line for key, _ in ready):
            raise was_killed()
        words = self._bell.words()
        if not ready or any(
            key.data is None and key.fd != self._bell.descriptor for key, _ in ready
        ):
            words.add(ALL)
        return words | {key.data for key, _ in ready if key.data is not None}

    def _patience(self) -> float | None:
        if any(runner.ended is None for runner in self._runners.values()):
            return _BIRTH_SECONDS  # it was just born, or has just ended
        times = (
            store_attempts.next_time(self._store, self._host),
            deliveries.next_try(self._store, self._host),
        )
        at = min((one for one in times if one is not None), default=None)
        waits = [self._membership.due_in()]
        if at is not None:
            waits.append(max(seconds_until(at, self._store.now()), 0.0))
        wait = min((one for one in waits if one is not None), default=None)
        return None if wait is None else min(wait, _LONGEST_NAP_SECONDS)

    def _look_at(self, words: set[str]) -> None:
        """Take in what has happened to a few attempts: among a hundred, one at a time ends."""
        for token in words & self._runners.keys():
            self._take_in(self._runners[token])
        if WORKTREES in words:
            self._stop_the_homeless()
        self._listen_for_slots()
        self._messenger.send(deliveries.due(self._store, self._host))

    def _look_at_all(self) -> None:
        """Take in whatever has happened, and start what may start."""
        if self._slots is not None and self._slots.silence():
            store_attempts.slot_freed(self._store, self._host)
        self._membership.keep_up()
        for attempt in asked_to_stop(self._store, self._host):
            run = self._run(attempt.token)
            if run.asked("stop") is None and is_dir(run.path):
                run.ask("stop", str(attempt.stop))
        self._membership.pass_on_reports()
        self._membership.bring_wanted_logs()
        for token in self._membership.fenced(self._runners):
            self._ask_to_stop(self._runners[token], FENCED)
        for runner in list(self._runners.values()):
            self._take_in(runner)
        self._start(self._claim())
        self._errands.send(self._store)
        self._look_at({WORKTREES})

    def _listen_for_slots(self) -> None:
        """Hear of slots that are freed, once a phase has found none."""
        if self._slots is None and store_attempts.awaits_slot(self._store, self._host):
            self._slots = hang(slots_bell(self._state_dir))
            self._selector.register(self._slots.descriptor, selectors.EVENT_READ)
            # One that was freed before the bell hung was not heard of.
            store_attempts.slot_freed(self._store, self._host)
            self._start(self._claim())

    def _claim(self) -> list[Claimed]:
        return store_attempts.claim(self._store, self._host, self._most_here)

    def _stop_the_homeless(self) -> None:
        """End the attempts whose worktrees were deleted from under them."""
        for runner in self._runners.values():
            if runner.worktree is not None and not is_dir(runner.worktree):
                self._ask_to_stop(runner, GONE)

    def _ask_to_stop(self, runner: WatchedRunner, why: str) -> None:
        """End an attempt that is under way and was not asked to end before."""
        if not runner.taken_in and runner.run.asked("stop") is None:
            runner.run.ask("stop", why)

    # ---- runners ----------------------------------------------------------------------

    def _adopt(self) -> None:
        """Take over the attempts that run here, or that died with nobody looking."""
        for attempt in running_on(self._store, self._host):
            self._runners[attempt.token] = self._runner(attempt.token)
        for token in untidy(self._state_dir):
            if token not in self._runners:
                self._tidy(token)

    def _start(self, claimed: list[Claimed]) -> None:
        for one in claimed:
            reached("claim.committed")
            try:
                self._fork(assignment_of(self._state_dir, one))
            except OSError as exc:  # a full disk: others may have room for it
                self._give_back(one.attempt.token, exc)

    def _give_back(self, token: str, why: OSError) -> None:
        """Let another host start a phase that cannot be started here, or this one once it can."""
        self._runners.pop(token, None)
        text = f"{self._host} cannot start it: {why.strerror or why}"
        store_attempts.end(self._store, token, End("no-slot", text))

    def _fork(self, assignment: Assignment) -> None:
        """Start the runner of an attempt."""
        runner = self._runner(assignment.attempt.token)
        self._runners[runner.token] = runner
        self._send(runner, become_runner, assignment, lifeline=True)
        reached("runner.forked")

    def _bury(self, runner: WatchedRunner) -> None:
        """Have another process end what a dead runner left, and write that it was lost.

        On a full disk it cannot write that; once it has ended everything, it counts as written.
        """
        runner.burials += 1
        if runner.burials > _MOST_BURIALS:
            self._end(runner, End("lost", "its end could not be written down"), [])
            return
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
        self, runner: WatchedRunner, carrier: Carrier, argument: object, *, lifeline: bool = False
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

    def _take_in(self, runner: WatchedRunner) -> None:
        """Take what a runner has written into the store; bury one that is dead."""
        dead = runner.is_dead()  # before it is looked at what it left
        ended = None if runner.taken_in else runner.run.end()
        entries = runner.news()
        if ended is not None:
            self._end(runner, ended, entries)
        elif entries:
            note(self._store, runner.token, entries)
            self._membership.keep_logs(runner.token, entries)
        if not dead:
            return
        if not runner.taken_in:
            self._bury(runner)
            return
        runner.forget()
        self._runners.pop(runner.token, None)
        if runner.token in untidy(self._state_dir):
            self._tidy(runner.token)

    def _end(self, runner: WatchedRunner, ended: End, entries: list[dict[str, Any]]) -> None:
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
        self._membership.keep_logs(runner.token)

    def _runner(self, token: str) -> WatchedRunner:
        return WatchedRunner(self._run(token), token, self._selector)

    def _run(self, token: str) -> RunDirectory:
        return run_directory(self._state_dir, token)

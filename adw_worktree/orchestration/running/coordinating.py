"""Being the one coordinator of this host: beginning, taking over, waiting for a server, ending.

What holds here: one coordinator lives for a state directory, and holds a lock. While the server is
away that has the store, it waits; its runners go on, and write down what there is to take in.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from adw_worktree.errors import StoreUnavailable
from adw_worktree.orchestration.running.coordinator import Coordinator
from adw_worktree.orchestration.running.nursery import Nursery
from adw_worktree.orchestration.runs.summon import coordinator_lock, is_idle, onlooking
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.pool.wakeups import coordinator_bell, start_coordinator
from adw_worktree.system.bells import hang, ring
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import Lock, try_lock
from adw_worktree.system.named_tuple import NamedTuple

_BIRTH_SECONDS = 0.02
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_GIVEN_UP_SECONDS = 3600.0
"""One that is to end when nothing is left does not wait for a server for ever."""


class Manner(NamedTuple):
    """How a coordinator works."""

    until_idle: bool = True
    """End when nothing is left to do, instead of with a signal."""
    patient: bool = False
    """Wait for another one that lives; and leave events that could not be delivered to a third, in
    the background: somebody waits."""
    serves: bool = False
    """Start phases of a store that hosts share, and not only end what was started."""
    hands_back: bool = False
    """End what runs when this is to stop, and leave it to other hosts."""


def coordinate(state_dir: Path, nursery: Nursery, manner: Manner) -> None:
    """Start phases and wait for their ends, until nothing is left, or SIGTERM comes.

    Another coordinator that lives is woken; then this comes back at once, or if it is patient once
    that has nothing left to do. Raises StoreError, Refused.
    """
    (state_dir / "phases").mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _only_one(state_dir)
    while lock is None:
        if manner.patient and manner.until_idle:
            _wait_until_idle(state_dir)
        if manner.until_idle or not manner.patient:
            return
        _wait_for_end(coordinator_lock(state_dir))  # a service takes over from it
        lock = _only_one(state_dir)
    try:
        left = _work(state_dir, nursery, manner, _Stop(state_dir))
    finally:
        lock.release()
    if left:
        start_coordinator(state_dir)


def _work(state_dir: Path, nursery: Nursery, manner: Manner, stop: _Stop) -> bool:
    """Work until there is nothing to do; return whether something is left to do later."""
    bell = hang(coordinator_bell(state_dir))
    outage = _Outage()
    try:
        while True:
            try:
                with closing(
                    Coordinator(state_dir, nursery, bell, serves=manner.serves)
                ) as coordinator:
                    outage.is_over()
                    coordinator.work(
                        until_idle=manner.until_idle,
                        patient=manner.patient,
                        stops=lambda: stop.is_asked,
                    )
                    if stop.is_asked:
                        coordinator.stop(hand_back=manner.hands_back)
                        bell.take_down()
                        return False
                    bell.take_down()
                    reached("coordinator.idle")
                    # Whoever changed the store before the bell was gone has rung in vain.
                    if not coordinator.has_work(patient=manner.patient):
                        return coordinator.has_work(patient=False)
            except StoreUnavailable as exc:
                outage.wait(exc, bell.descriptor, manner)
                if stop.is_asked:
                    return False
            bell.close()
            bell = hang(coordinator_bell(state_dir))
    finally:
        bell.close()


class _Outage:
    """The time for which the server is away that has the store."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._pause = _FIRST_PAUSE_SECONDS

    def is_over(self) -> None:
        """Note that the server is there."""
        if self._began is not None:
            print("the coordinator: the store is back", file=sys.stderr, flush=True)
        self._began, self._pause = None, _FIRST_PAUSE_SECONDS

    def wait(self, exc: StoreUnavailable, bell: int, manner: Manner) -> None:
        """Wait before the next try. Raises StoreUnavailable once it lasts too long."""
        if self._began is None:
            print(f"the coordinator: {exc.message}; it waits", file=sys.stderr, flush=True)
            self._began = time.monotonic()
        if manner.until_idle and time.monotonic() - self._began > _GIVEN_UP_SECONDS:
            raise exc
        select.select([bell], [], [], self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)


class _Stop:
    """Whether SIGTERM came. The coordinator is woken by it."""

    def __init__(self, state_dir: Path) -> None:
        self.is_asked = False
        self._bell = coordinator_bell(state_dir)
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, _signum: int, _frame: object) -> None:
        self.is_asked = True
        ring(self._bell)


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
    store, host = open_store(state_dir), this_host(state_dir).name
    try:
        with onlooking(state_dir) as onlooker:
            while not is_idle(store, host):
                onlooker.sleep(store)
    finally:
        store.close()

"""Waking the coordinator, starting one, and following what it does."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from adw_worktree.errors import StoreError
from adw_worktree.orchestration.runs.drafts import note_interrupted
from adw_worktree.orchestration.store.attempts import has_news
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.deliveries import due, has_undelivered
from adw_worktree.orchestration.store.opening import store_file
from adw_worktree.orchestration.store.sqlite import onlookers
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.pool.wakeups import coordinator_bell, start_coordinator
from adw_worktree.settings.load import load_settings
from adw_worktree.system.bells import ALL, Bell, hang, ring
from adw_worktree.system.process_end import end_of

_BIRTH_SECONDS = 0.1
_MOST_BIRTHS = 8
"""Within a minute, since each is waited for twice as long as the one before."""


def coordinator_lock(state_dir: Path) -> Path:
    """Return the file that the coordinator holds locked; its process number stands in it."""
    return state_dir / "phases" / "coordinator.lock"


def attend(database: Database, state_dir: Path) -> None:
    """Start a coordinator if there is something to do and none lives: it may have been killed.

    A draft whose process was killed is noted as interrupted.
    """
    note_interrupted(database, state_dir)
    host = this_host(state_dir).name
    pending = has_news(database, host) or has_undelivered(database, host)
    if pending and not ring(coordinator_bell(state_dir)):
        start_coordinator(state_dir)


def summon(state_dir: Path, token: str = ALL) -> None:
    """Have a coordinator look at the store now, or at one attempt; start one if none lives."""
    if not ring(coordinator_bell(state_dir), token):
        start_coordinator(state_dir)


def is_idle(database: Database, host: str) -> bool:
    """Return whether nothing is left to do on a host but events whose delivery has failed and is
    repeated."""
    return not has_news(database, host) and not due(database, host)


class Onlooker:
    """One who waits for what the coordinator does, and would miss it."""

    def __init__(self, state_dir: Path, bell: Bell) -> None:
        self._state_dir, self._bell = state_dir, bell
        self._missed = 0
        """How often in a row no coordinator lived, though there is something to do."""

    def sleep(
        self, database: Database, others: Sequence[int] = (), patience: float | None = None
    ) -> None:
        """Wait until something happens, one of the descriptors is readable, or for `patience`.

        A coordinator that is killed meanwhile has a successor. Raises StoreError if none can start.
        """
        ended = _end_of_coordinator(self._state_dir)
        if ended is not None or is_idle(database, this_host(self._state_dir).name):
            self._missed = 0
        else:
            birth = self._birth(database)
            patience = birth if patience is None else min(birth, patience)
        watched = [self._bell.descriptor, *others, *([] if ended is None else [ended])]
        try:
            ready = select.select(watched, [], [], patience)[0]
        finally:
            if ended is not None:
                os.close(ended)
        if ended in ready:
            attend(database, self._state_dir)
        self._bell.silence()

    def _birth(self, database: Database) -> float:
        """Start a coordinator, and return for how long to wait for it: longer each time."""
        if self._missed == _MOST_BIRTHS:
            raise StoreError(
                f"no coordinator could be started, {_MOST_BIRTHS} times; what runs goes on",
                hint="adw-worktree work --until-idle, which says why",
            )
        attend(database, self._state_dir)
        self._missed += 1
        return float(_BIRTH_SECONDS * 2**self._missed)


@contextmanager
def hearing_commits(state_dir: Path) -> Iterator[Bell]:
    """Hang a bell, for the block, that rings after each commit to the store, wherever it was made.

    Raises OSError, StoreError.
    """
    directory = onlookers(store_file(state_dir))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    bell = hang(directory / f"{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with _hearing_of_server(bell):
            yield bell
    finally:
        bell.take_down()
        bell.close()


@contextmanager
def _hearing_of_server(bell: Bell) -> Iterator[None]:
    """Have a bell rung after each commit on the server that has the store, if one does."""
    settings = load_settings(None)
    if settings.store is None:
        yield
        return
    from adw_worktree.orchestration.store.listening import Listening

    listening = Listening(settings.store_listen or settings.store, partial(ring, bell.path))
    try:
        yield
    finally:
        listening.close()


@contextmanager
def onlooking(state_dir: Path) -> Iterator[Onlooker]:
    """Follow what happens, for the block."""
    with hearing_commits(state_dir) as bell:
        yield Onlooker(state_dir, bell)


def _end_of_coordinator(state_dir: Path) -> int | None:
    """Return a descriptor that is readable once the coordinator has ended; None if none lives."""
    try:
        descriptor = os.open(coordinator_lock(state_dir), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.read(descriptor, 32)
        return end_of(int(said)) if said.strip().isdigit() else None
    finally:
        os.close(descriptor)
    return None

"""Logs of phases that ran on another host: asked for there, and kept here like those of our own.

What holds here: the files of an attempt have the same names and bytes on every host, so that
whoever reads a log need not know where it was written. Of a log that grew by more than anybody
reads, the end alone travels; the place of the rest is empty.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from pathlib import Path

from adw_worktree.orchestration.runs.run_directory import RunDirectory, run_directory
from adw_worktree.orchestration.runs.summon import hearing_commits
from adw_worktree.orchestration.store import logs
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.hosts import known_host
from adw_worktree.orchestration.store.records import Attempt
from adw_worktree.orchestration.store.this_host import this_host

_PIECE_BYTES = 256 * 1024
_MOST_BYTES = 8 * 1024 * 1024
"""Of one log at once."""
_PATIENCE_SECONDS = 5.0
AGAIN_SECONDS = 2.0
"""While somebody follows the log of another host, it is asked for once more after that."""


# ---- where they are ----------------------------------------------------------------------------


def bring_logs(database: Database, state_dir: Path, token: str, *, is_over: bool) -> None:
    """Put what the files of an attempt have beyond the store into the store.

    `is_over`: the attempt has ended, and nothing is printed any more. Raises StoreError, OSError.
    """
    known = logs.held(database, token)
    if logs.WHOLE in known:
        found: list[logs.Piece] = []
    else:
        found = [piece for path in run_directory(state_dir, token).logs()
                 for piece in _beyond(path, known.get(path.name, 0))]  # fmt: skip
    logs.bring(database, token, found, whole=is_over)


def _beyond(path: Path, start: int) -> list[logs.Piece]:
    """Return what a log has beyond `start`, in pieces."""
    size = path.stat().st_size
    start = max(start, size - _MOST_BYTES)
    found = []
    with path.open("rb") as file:
        file.seek(start)
        while start < size and (data := file.read(min(_PIECE_BYTES, size - start))):
            found.append(logs.Piece(path.name, start, data))
            start += len(data)
    return found


# ---- where they are wanted ---------------------------------------------------------------------


def is_far(database: Database, state_dir: Path, attempt: Attempt) -> bool:
    """Return whether the files of an attempt are on another host."""
    return database.is_shared and attempt.host != this_host(state_dir).name


def fetch_logs(database: Database, state_dir: Path, attempt: Attempt) -> str | None:
    """Have the logs of an attempt here that ran on another host, as far as they go by now.

    Returns why they are not all here, None if they are. Raises StoreError, OSError.
    """
    if not is_far(database, state_dir, attempt):
        return None
    run = run_directory(state_dir, attempt.token)
    why = None
    if logs.WHOLE not in logs.held(database, attempt.token):
        why = _ask(database, state_dir, attempt)
    _keep(database, run)
    return why


def _ask(database: Database, state_dir: Path, attempt: Attempt) -> str | None:
    """Ask the host of an attempt for its logs; return why it has not answered, None if it has."""
    host = known_host(database, attempt.host)
    if host is None or host.lease_until is None or host.lease_until <= database.now():
        heard = f", which was last heard of at {host.heard_at[:19]}" if host is not None else ""
        return f"the log is on {attempt.host}{heard}"
    with hearing_commits(state_dir) as bell:
        logs.want(database, attempt.token)
        if _is_answered(database, attempt.token, bell.descriptor, bell.silence):
            return None
    return f"the log is on {attempt.host}, which does not answer"


def _is_answered(database: Database, token: str, bell: int, silence: Callable[[], object]) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while logs.is_wanted(database, token):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        select.select([bell], [], [], left)
        silence()
    return True


def _keep(database: Database, run: RunDirectory) -> None:
    """Write what the store has of the logs of an attempt, and the files here have not."""
    run.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    here = {path.name: path.stat().st_size for path in run.logs()}
    for piece in logs.pieces(database, run.path.name, here):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(run.path / piece.name, flags, 0o600)
        try:
            os.pwrite(descriptor, piece.data, piece.position)
        finally:
            os.close(descriptor)

"""The state directory, where the machine's pool is: private to a user, or shared by a group.

What holds here: everything but `machine_lock` is called with the machine lock held.
"""

from __future__ import annotations

import contextlib
import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path
from shlex import quote

from adw_worktree.errors import LedgerError, remedy
from adw_worktree.settings.places import OR_ELSEWHERE
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held
from adw_worktree.system.paths import exists, is_dir

COORDINATOR_BELL = "phases/coordinator.bell"
"""What hangs in the state directory while phases run, or after their coordinator was killed."""


def machine_lock(state_dir: Path, timeout: float) -> AbstractContextManager[None]:
    """Return the lock that every hand-out of a slot on this machine takes first."""
    what = "the pool of this machine"
    return held(state_dir / "machine.lock", timeout, what, way_out=OR_ELSEWHERE)


def prepare_state_directory(state_dir: Path) -> None:
    """Make the state directory, private to the user. Raises LedgerError if that cannot be.

    One that is there and writable by its group is shared by that group, and so is what is made in
    it.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if state_dir.stat().st_mode & stat.S_IWOTH:
            raise LedgerError(
                f"the state directory {state_dir} can be written to by everybody",
                hint=f"chmod o-w {quote(str(state_dir))}, or choose another with ADW_STATE_HOME",
            )
        folder = state_dir / "ledgers"
        if not is_dir(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            reached("state.directory")
            if _shared(state_dir):
                os.chown(folder, -1, state_dir.stat().st_gid)
                folder.chmod(0o2770)
        if _shared(state_dir):
            _make_shared_lock(state_dir, state_dir / "machine.lock")
    except OSError as exc:
        raise LedgerError(
            f"the state directory {state_dir} cannot be made: {exc.strerror}",
            hint=f"{remedy(exc)}{OR_ELSEWHERE}",
        ) from exc


def write_file(state_dir: Path, path: Path, data: bytes) -> None:
    """Replace a file of the state directory, its group's if that shares it. Raises OSError."""
    shared = _shared(state_dir)
    # What a power cut takes back is noticed by whoever finds other leases in the ledger.
    write_atomically(path, data, mode=0o660 if shared else 0o600, lasting=False)
    if shared:
        os.chown(path, -1, state_dir.stat().st_gid)


def unwritable(directory: Path, exc: OSError) -> LedgerError:
    """Return the error for a registry that cannot be written in `directory`."""
    return LedgerError(
        f"the registry in {directory} cannot be written: {exc.strerror}",
        hint=remedy(exc, directory),
    )


def _shared(state_dir: Path) -> bool:
    """Whether the state directory is its group's, not one user's."""
    return bool(state_dir.stat().st_mode & stat.S_IWGRP)


def _make_shared_lock(state_dir: Path, path: Path) -> None:
    """Make the lock file for the whole group; it appears with its permissions or not at all."""
    if exists(path):
        return
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchown(descriptor, -1, state_dir.stat().st_gid)
        os.fchmod(descriptor, 0o660)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(descriptor)
        draft.unlink()

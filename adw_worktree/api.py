"""The pool for programs: `PortPool` and `get_port_pool`."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from adw_worktree.adw_id import check_adw_id
from adw_worktree.errors import FileUnusable, NotARepository
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Ledger
from adw_worktree.pool.pool import Pool
from adw_worktree.pool.receipts import RECEIPT, receipt_token
from adw_worktree.project import Project, open_project, project_of
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees.files.exclude import ensure_excluded


class PortPool:
    """The slots of a project's ADWs, for use without the command line.

    Every call reads the ledger anew under its lock, so that any number of objects, threads and
    processes may share it.
    """

    def __init__(self, persistence_file: str | os.PathLike[str] | None = None) -> None:
        """Open the pool of the repository that the working directory is in.

        With `persistence_file`, the pool of the repository whose ledger that is; a file that is no
        repository's ledger is worked on alone, apart from the machine's pool.

        Raises NotARepository without a file outside of a repository, SettingsError.
        """
        found = _pool_of(None if persistence_file is None else Path(persistence_file))
        self._project = found if isinstance(found, Project) else None
        self._pool = found.pool if isinstance(found, Project) else found

    def reserve(self, adw_id: str) -> tuple[int, int]:
        """Lease a slot to `adw_id` and return its backend and frontend port; the same ones again
        if it has one.

        Raises InvalidAdwId; PoolExhausted, a RuntimeError, if no slot is free.
        """
        check_adw_id(adw_id)
        if self._project is not None:
            ensure_excluded(self._project, None)
        lease = self._pool.reserve(adw_id)
        return lease.backend, lease.frontend

    def release(self, adw_id: str) -> bool:
        """Give back the slot of `adw_id`; return whether it had one.

        The caller says that nobody uses the ports any more, even if there is a worktree.
        """
        lease = self._pool.leases().get(adw_id)
        if lease is None:
            return False
        if self._project is not None and lease.admin_id is not None:
            _drop_receipt(self._project.repo.admin_root / lease.admin_id, lease)
        return self._pool.release(lease)

    def get_allocation(self, adw_id: str) -> tuple[int, int] | None:
        """Return the backend and frontend port of `adw_id`, or None if it has none."""
        self._pool.release_gone()
        lease = self._pool.leases().get(adw_id)
        return None if lease is None else (lease.backend, lease.frontend)

    def get_pool_status(self) -> dict[str, Any]:
        """Return the pool with the keys of `adw-worktree status --json`."""
        from adw_worktree.pool.status import pool_status

        self._pool.release_gone()
        return pool_status(self._pool)

    def cleanup_stale(self, max_age_hours: float = 24) -> int:
        """Release leases whose worktree is gone, and those without one that are older.

        Returns how many. Age alone frees nothing that has a worktree.
        """
        gone = self._pool.release_gone().released
        aged = self._pool.release_aged(timedelta(hours=max_age_hours))
        return len(gone) + len(aged)


def _drop_receipt(admin: Path, lease: Lease) -> None:
    """Remove the receipt of a worktree that gives its slot up: it would get it back by that."""
    try:
        if receipt_token(admin) == lease.token:
            (admin / RECEIPT).unlink(missing_ok=True)
    except OSError as exc:
        raise FileUnusable.because(f"the receipt in {admin} cannot be removed", exc) from exc


def _pool_of(file: Path | None) -> Project | Pool:
    """Return the project whose ledger `file` is, or the pool of a file that is no project's."""
    if file is None:
        return open_project(Path.cwd())
    path = file.absolute()
    nearest = next(parent for parent in path.parents if is_dir(parent))
    try:
        project = open_project(nearest)
    except NotARepository:
        return _pool_alone(path)
    if project.pool.ledger.path == path:
        return project
    return _pool_alone(path)


def _pool_alone(path: Path) -> Pool:
    from adw_worktree.settings.load import load_settings

    settings = load_settings(None)
    ledger = Ledger(path, path.with_name(f"{path.name}.lock"), settings.lock_timeout, [])
    return Pool(ledger, settings)


_pools: dict[Path, PortPool] = {}
_pools_lock = Lock()


def get_port_pool() -> PortPool:
    """Return the pool of the project that the working directory is in: one object per process and
    project. Raises NotARepository, SettingsError."""
    from adw_worktree.repo.find import find_repository

    repo = find_repository(Path.cwd())
    with _pools_lock:
        if repo.common_dir not in _pools:
            pool = PortPool.__new__(PortPool)
            pool._project = project_of(repo)
            pool._pool = pool._project.pool
            _pools[repo.common_dir] = pool
        return _pools[repo.common_dir]

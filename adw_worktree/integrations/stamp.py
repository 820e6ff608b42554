"""The stamp that managed hooks compare with: is there anything to reconcile?

Its time is that of git's `worktrees` directory, and of the directory the worktrees lie in, as they
were before the last pass, so that any later change makes them newer; its content is non-empty while
leases have worktrees, since git deletes its directory with the last one.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.errors import FileUnusable
from adw_worktree.pool.lease import Lease
from adw_worktree.repo.repository import Repository
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.sharing import make_directories


def stamp_file(repo: Repository) -> Path:
    """Return where the stamp lies; it exists while managed hooks are installed."""
    return repo.tool_dir / "stamp"


def observe(repo: Repository, trees: Path) -> int:
    """Return the time, in nanoseconds, to stamp after a pass that begins now.

    `trees` is the directory that worktrees are made in: it changes with an `rm -rf` of one, when
    git's own directory does not.
    """
    return max(_changed_at(repo.admin_root), _changed_at(trees))


def _changed_at(directory: Path) -> int:
    try:
        return directory.stat().st_mtime_ns
    except OSError:
        return 0


def write_stamp(repo: Repository, leases: list[Lease], observed: int) -> None:
    """Say that a pass saw everything up to `observed`. Raises FileUnusable, the old stamp whole."""
    stamp = stamp_file(repo)
    data = b"leased\n" if any(lease.has_worktree for lease in leases) else b""
    try:
        make_directories(stamp.parent)
        # Time and content at once: empty, or with a time of its own, it would hide a removal.
        write_atomically(stamp, data, time_ns=observed or None, shared=True)
    except OSError as exc:
        raise FileUnusable.because(f"the stamp {stamp} cannot be written", exc) from exc
    reached("stamp.written")


def remove_stamp(repo: Repository) -> None:
    """Let managed hooks find nothing to do. Raises FileUnusable."""
    stamp = stamp_file(repo)
    try:
        stamp.unlink(missing_ok=True)
    except OSError as exc:
        raise FileUnusable.because(f"the stamp {stamp} cannot be removed", exc) from exc
    reached("stamp.removed")

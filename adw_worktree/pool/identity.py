"""The random name of a repository, which tells it from all others that were ever in its place."""

from __future__ import annotations

import os
from pathlib import Path

from adw_worktree.pool.state_directory import unwritable
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.records import read_file
from adw_worktree.system.sharing import make_directories
from adw_worktree.system.text import HEX_DIGITS, is_made_of


def identity_of(common_dir: Path) -> str:
    """Return the random name that a repository got when it first held a slot; empty before.

    A new repository often gets the inode of one that was deleted, and a copy has the name of its
    original: only both together tell a repository.
    """
    try:
        name = read_file(common_dir / "adw-worktree" / "identity").decode("ascii").strip()
    except (OSError, ValueError):
        return ""
    return name if len(name) == 32 and is_made_of(HEX_DIGITS, name) else ""


def ensure_identity(common_dir: Path) -> str:
    """Return the repository's name; the machine lock is held. Raises LedgerError."""
    name = identity_of(common_dir)
    if not name:
        name = os.urandom(16).hex()
        try:
            file = common_dir / "adw-worktree" / "identity"
            make_directories(file.parent)
            write_atomically(file, f"{name}\n".encode(), shared=True)
        except OSError as exc:
            raise unwritable(common_dir, exc) from exc
    return name

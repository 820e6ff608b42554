"""The libraries that a store on a server needs: the extra `postgres`."""

from __future__ import annotations

from importlib import import_module

from adw_worktree.errors import LibraryMissing
from adw_worktree.system.install_hint import install_command

_NEEDED = ("psycopg[binary]>=3.2", "procrastinate>=3.5")


def require_library(name: str) -> None:
    """Raise LibraryMissing if a library cannot be loaded: `psycopg`, or `procrastinate`."""
    try:
        import_module(name)
    except ImportError as exc:
        raise LibraryMissing(
            f"a store on a server needs {name}, which cannot be loaded: {exc}",
            hint=install_command(*_NEEDED),
        ) from exc

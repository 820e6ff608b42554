"""A git worktree and a slot of ports for every agent workflow.

The names below are imported on first use: a command that needs none of them does not pay for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adw_worktree._version import __version__
    from adw_worktree.api import PortPool, get_port_pool

__all__ = ["PortPool", "__version__", "get_port_pool"]

_HOMES = {"PortPool": "api", "get_port_pool": "api", "__version__": "_version"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)

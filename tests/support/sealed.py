"""Surroundings of its own for what is no test: a home, a state and an author."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sealed(scratch: Path) -> Iterator[None]:
    """Have a home with a state and a configuration below `scratch`, for the block."""
    before = dict(os.environ)
    names = {"HOME": "", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config"}
    os.environ.update({name: str(scratch / "home" / part) for name, part in names.items()})
    for who in ("AUTHOR", "COMMITTER"):
        os.environ[f"GIT_{who}_NAME"] = "You"
        os.environ[f"GIT_{who}_EMAIL"] = "you@example.com"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

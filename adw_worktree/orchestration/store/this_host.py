"""What this host is called in the store, and what it offers to those who share that.

What holds here: the name is kept in the state directory, so that whoever starts a coordinator, and
whatever the machine is called by then, goes on with what the host has begun.
"""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

from adw_worktree.errors import FileUnusable, UsageError
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.named_tuple import NamedTuple

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"


class ThisHost(NamedTuple):
    """This host, as whoever works on it is to know it."""

    name: str
    machine: str = ""
    """What tells its state directory from others; empty as long as nothing has worked here."""
    labels: tuple[str, ...] = ()
    """Those that `work` was given, beside the setting."""
    repositories: tuple[str, ...] = ()
    """The repositories that `work` was given, beside those that the machine knows."""


def this_host(state_dir: Path) -> ThisHost:
    """Return what this host is called: as it was named, or else as the machine is."""
    try:
        kept = json.loads(_file(state_dir).read_bytes())
        return ThisHost(
            str(kept["name"]),
            str(kept["machine"]),
            tuple(map(str, kept["labels"])),
            tuple(map(str, kept["repositories"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ThisHost(re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:63] or "host")


def keep_this_host(state_dir: Path, host: ThisHost) -> ThisHost:
    """Keep what this host is called and offers, and return that. Raises FileUnusable."""
    kept = host._replace(machine=host.machine or os.urandom(16).hex())
    if kept == this_host(state_dir):
        return kept
    file = _file(state_dir)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(file, json.dumps(kept._asdict()).encode() + b"\n", mode=0o600)
    except OSError as exc:
        raise FileUnusable.because(f"{file} cannot be written", exc) from exc
    return kept


def require_host_name(name: str) -> str:
    """Return the name if a host can be called that. Raises UsageError."""
    if not re.fullmatch(_NAME, name):
        raise UsageError(
            f"{name[:80]!r} is no name of a host",
            hint="1 to 63 letters, digits, '.', '_' and '-', not first '.', '_' or '-'",
        )
    return name


def _file(state_dir: Path) -> Path:
    return state_dir / "phases" / "host.json"

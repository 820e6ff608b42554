"""This host's lease on a store that hosts share, as its runners see it.

What holds here: a runner ends its commands before anybody else can take its phase, also when no
coordinator lives or answers. So it trusts four fifths of the lease, counted from before it was
asked for, on a clock that goes on while the machine is suspended and that nobody can set.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from adw_worktree.orchestration.runs.run_directory import CUT_OFF, RunDirectory
from adw_worktree.system.atomic import write_atomically

_TRUSTED = 0.8
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_LOOKS = 10
"""How often in a lease a runner looks: a machine that was suspended wakes late from its sleep."""
_AGAIN_SECONDS = 1.0


def uptime() -> float:
    """Return the seconds since the machine was started, with those for which it was suspended."""
    return time.clock_gettime(_CLOCK)


def note_lease(state_dir: Path, asked_at: float, seconds: float) -> None:
    """Note that the store has given a lease, asked for at `asked_at` by `uptime`.

    Raises OSError.
    """
    text = f"{asked_at + seconds * _TRUSTED:.3f} {seconds:g}\n"
    write_atomically(_file(state_dir), text.encode(), lasting=False, synced=False)


def forget_lease(state_dir: Path) -> None:
    """Note that no lease is needed: the store is in a file of this machine."""
    with suppress(OSError):
        _file(state_dir).unlink()


def is_trusted(state_dir: Path) -> bool:
    """Return whether no other host can have taken over what runs here."""
    lease = _lease(state_dir)
    return lease is None or uptime() < lease[0]


def heed_lease(state_dir: Path, run: RunDirectory) -> None:
    """Have a runner's commands ended, from now on, when the host's lease is over."""
    if _lease(state_dir) is not None:
        threading.Thread(target=_watch, args=[state_dir, run], daemon=True).start()


def _watch(state_dir: Path, run: RunDirectory) -> None:
    while (lease := _lease(state_dir)) is not None:
        until, seconds = lease
        left = until - uptime()
        if left <= 0:
            with suppress(OSError):
                run.ask("stop", CUT_OFF)
                return
        time.sleep(max(min(left, seconds / _LOOKS), _AGAIN_SECONDS / _LOOKS))


def _lease(state_dir: Path) -> tuple[float, float] | None:
    """Return until when the lease is trusted, and how long a whole one is; None: there is none."""
    try:
        until, seconds = _file(state_dir).read_text().split()
        return float(until), float(seconds)
    except (OSError, ValueError):
        return None


def _file(state_dir: Path) -> Path:
    return state_dir / "phases" / "lease"

"""What of ours is on the disk, a disk that is full, and a user whom permissions bind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Adw


def ledger_of(adw: Adw) -> Path:
    return adw.directory / "agents" / "port_allocations.json"


def state_of(_: Adw) -> Path:
    return Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree"


_OBEYING = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


def obeying(adw: Adw) -> Adw:
    """Return the command line, held by permissions also where root runs it; skip where it is not.

    Root stays the owner of its files then, and is refused what any owner is refused.
    """
    held = Adw(adw.directory)
    if os.geteuid() == 0:
        held.command = (*_OBEYING, *Adw.command)
        closed = adw.directory.parent / "closed"
        closed.touch(mode=0)
        tried = [*_OBEYING, sys.executable, "-c", "import sys; open(sys.argv[1])", str(closed)]
        if shutil.which("setpriv") is None:
            pytest.skip("root writes everywhere, and nothing here keeps it from that")
        if b"PermissionError" not in subprocess.run(tried, capture_output=True).stderr:
            pytest.skip("root writes everywhere, and cannot be kept from that here")
    return held


def slots(adw: Adw) -> dict[str, int]:
    return {adw_id: one["slot"] for adw_id, one in adw.json("status")["allocations"].items()}


def fill(place: Path) -> Path:
    """Fill the file system at `place` to the last byte; return the file that does it."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return ballast

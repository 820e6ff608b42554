"""The machine that a test runs on: mounts, service managers, waiting."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """Mount a file system of its own at `place`; skip the test where that cannot be."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "adw-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True)  # or it was already


def silent_managers(home: Path) -> Path:
    """Return a directory of service managers that do not answer: the machine's would start what a
    test installs, and end what its user did."""
    directory = home / "managers"
    directory.mkdir()
    for name in ("systemctl", "launchctl"):
        (directory / name).write_text("#!/bin/sh\nexit 1\n")
        (directory / name).chmod(0o755)
    return directory


def settle(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition()` holds, for a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)

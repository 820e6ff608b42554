"""The machine that a test runs on: mounts, service managers, waiting."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """Mount a file system of its own at `place`; skip the test where that cannot be."""
    place.mkdir(parents=True, exist_ok=True)
    with _mounting("-t", "tmpfs", "-o", f"size={size},mode=700", "adw-test", place=place):
        yield place


@contextmanager
def bound(source: Path, place: Path) -> Iterator[Path]:
    """Show `source`, a directory or a file, at `place` too; skip the test where that cannot be."""
    if source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.touch()
    with _mounting("--bind", str(source), place=place):
        yield place


@contextmanager
def _mounting(*options: str, place: Path) -> Iterator[None]:
    mount = ["mount", *options, str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    real = place.resolve()
    made = next(number for number, point in mount_points().items() if point == real)
    try:
        yield
    finally:
        # Where it is by now: it moves with the directory around it. Unless it was unmounted.
        now = mount_points().get(made)
        if now is not None:
            subprocess.run(["umount", "--lazy", str(now)], capture_output=True)


def mount_points() -> dict[str, Path]:
    """Return where each mount is, by the kernel's number of it."""
    with open("/proc/self/mountinfo", "rb") as file:
        lines = [line.split(b" ") for line in file]
    names = [re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), line[4])
             for line in lines]  # fmt: skip
    numbers = [line[0].decode() for line in lines]
    return {number: Path(os.fsdecode(name)) for number, name in zip(numbers, names, strict=True)}


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


def settle_stopped(process: subprocess.Popen[str]) -> None:
    """Wait until the process has stopped itself."""
    settle(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "it never stops")

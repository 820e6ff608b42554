"""The machine that is measured on, and commands run on it in surroundings of their own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import psutil

from .measure import Failed

MARK = "ADW_BENCHMARK"
"""A variable that every command here inherits, so that those left in the background are found."""

TOKEN = token_hex(8)
MOST_SECONDS = 300.0


def adw_command() -> list[str]:
    """Return how the tool of this Python is started: by its script, as people do."""
    script = Path(sys.executable).with_name("adw-worktree")
    return [str(script)] if script.exists() else [sys.executable, "-m", "adw_worktree"]


ADW = adw_command()


@dataclass(frozen=True)
class Room:
    """A home with a state and a git configuration of its own, and what is run in it."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GIT_", "ADW_", "XDG_", "NPM_", "npm_", "PYTHON", "VIRTUAL_"))
        }
        return {
            **kept,
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A U Thor",
            "GIT_AUTHOR_EMAIL": "author@example.com",
            "GIT_COMMITTER_NAME": "C O Mitter",
            "GIT_COMMITTER_EMAIL": "committer@example.com",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            MARK: TOKEN,
            **self.settings,
        }

    def run(self, *command: str, cwd: Path, expect: int = 0) -> None:
        """Run a command; raise Failed with what it said if its exit code is another."""
        # A file, not a pipe: a pipe stays open for as long as anything in the background runs.
        with tempfile.TemporaryFile() as said:
            try:
                child = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                )
            except OSError as exc:
                raise Failed(f"{Path(command[0]).name}: {exc}") from exc
            code = _wait(child)
            if code != expect:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines() or [""]
                told = f"{Path(command[0]).name} {' '.join(command[1:4])} exited {code}"
                raise Failed(f"{told}: {lines[-1][:200]}")

    def start(self, *command: str, cwd: Path) -> subprocess.Popen[bytes]:
        """Start a command whose output nobody reads."""
        null = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=cwd, env=self.env, stdin=null, stdout=null, stderr=subprocess.DEVNULL
        )

    def git(self, *words: str, cwd: Path) -> None:
        """Run git."""
        self.run("git", *words, cwd=cwd)

    def adw(self, *words: str, cwd: Path, expect: int = 0) -> None:
        """Run the tool."""
        self.run(*ADW, *words, cwd=cwd, expect=expect)

    def understands(self, *words: str, cwd: Path) -> bool:
        """Whether the tool has the command that `words` ask about."""
        try:
            self.adw(*words, cwd=cwd)
        except Failed:
            return False
        return True


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Return the exit code, of a child that is killed if it takes too long.

    Not by `wait(timeout)`: that looks in ever longer pauses, and would round up what is measured.
    """
    alarm = threading.Timer(MOST_SECONDS, child.kill)
    alarm.start()
    try:
        return child.wait()
    finally:
        alarm.cancel()


def settle(most: float = 120.0) -> float:
    """Wait until no command of ours is left in the background; return for how long one was."""
    begun = time.perf_counter()
    last = begun
    while _left() and time.perf_counter() - begun < most:
        time.sleep(0.005)
        last = time.perf_counter()
    return last - begun


def _left() -> bool:
    """Whether a process with our mark runs, other than this one."""
    wanted = f"{MARK}={TOKEN}".encode()
    if Path("/proc/self/environ").exists():
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if wanted in Path(entry.path, "environ").read_bytes():
                        return True
                except OSError:
                    continue  # it ended, or is another user's
        return False
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == TOKEN:
                return True
        except (psutil.Error, OSError):
            continue
    return False


def scratch_directory(wanted: Path | None) -> tempfile.TemporaryDirectory[str]:
    """Return a new directory: below `wanted`, on tmpfs where there is one, or in $TMPDIR."""
    if wanted is None and os.access("/dev/shm", os.W_OK):
        wanted = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="adw-bench-", dir=wanted, ignore_cleanup_errors=True)


def describe(scratch: Path) -> dict[str, str]:
    """Return what figures are to be labelled with."""
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "file system": _file_system(scratch),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "git": git.split()[2],
        "Python": platform.python_version(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _file_system(path: Path) -> str:
    mounts = [
        one for one in psutil.disk_partitions(all=True) if path.is_relative_to(one.mountpoint)
    ]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype if mounts else "unknown"


def discard(path: Path) -> None:
    """Delete a directory, whether it is there or not."""
    shutil.rmtree(path, ignore_errors=True)


def say(text: str) -> None:
    """Tell the person who waits what is going on."""
    print(text, file=sys.stderr, flush=True)

"""Which files a process opens and renames, and how often: what CPython tells its audit hooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_WATCHED = """
import json, os, sys
told = []
def hear(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        event = ["open", os.fsdecode(arguments[0])]
        if arguments[1] is not None or told[-1:] != [event]:  # `open` with an opener tells it twice
            told.append(event)
    elif event == "os.rename":
        told.append(["rename", os.path.basename(os.fsdecode(arguments[1]))])
sys.addaudithook(hear)
exec(sys.argv[2])
with open(sys.argv[1], "w") as file:
    json.dump(told, file)
"""


@dataclass(frozen=True)
class Opened:
    """What a process did to files."""

    opens: Counter[str]
    """By path."""
    renames: Counter[str]
    """By the name that a file got: those of temporary files that replace another."""

    def of(self, name: str) -> int:
        """Return how often files of a name were opened."""
        return sum(times for path, times in self.opens.items() if os.path.basename(path) == name)


def opened_by(code: str, cwd: Path) -> Opened:
    """Run `code` in a Python of its own, in `cwd`."""
    told = cwd.parent / "opened.json"
    subprocess.run(
        [sys.executable, "-c", _WATCHED, str(told), code],
        cwd=cwd,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    events = json.loads(told.read_text())
    return Opened(
        Counter(path for event, path in events if event == "open"),
        Counter(name for event, name in events if event == "rename"),
    )


def opened_by_command(command: str, cwd: Path) -> Opened:
    """Run a command of ours in `cwd`."""
    words = command.split()
    return opened_by(f"from adw_worktree.cli.main import main\nassert main({words!r}) == 0", cwd)

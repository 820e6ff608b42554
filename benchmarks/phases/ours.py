"""Our own side: a repository with a feature whose phases are the commands of chains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shlex import join

from ..machine import Room, settle
from .chains import Chains

_SLUG = "bench"


def repository(directory: Path) -> tuple[Room, Path]:
    """Return a room of its own, and a repository with one commit in it."""
    home, repo = directory / "home", directory / "repo"
    home.mkdir()
    settings = {"ADW_SLOTS": "5000", "ADW_SERVICES": "backend=20000,frontend=30000"}
    room = Room(home, {**settings, "XDG_STATE_HOME": str(directory / "state")})
    room.run("git", "init", "--quiet", "-b", "main", str(repo), cwd=directory)
    room.git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=repo)
    return room, repo


def state_directory(room: Room) -> Path:
    """Return where the state of a room is."""
    return Path(room.settings["XDG_STATE_HOME"]) / "adw-worktree"


def feature_file(directory: Path, phases: Iterable[tuple[str, Sequence[int]]]) -> Path:
    """Write a feature; of each phase the command, and the numbers of those that it waits for."""
    lines = [f'slug = "{_SLUG}"', 'title = "A benchmark"']
    for number, (command, needs) in enumerate(phases, 1):
        lines += [
            "[[phases]]",
            f"number = {number}",
            f'title = "Phase {number}"',
            f"run = [{json.dumps(command)}]",
            f"depends_on = {[*needs]}",
            'changes = "none"',
        ]
    file = directory / "feature.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


_TASK = """
#### Task {number}: Table of things {number} (Module: `app/things_{number}.py`)

Adds the table, and reads it where it is used. Rows that are older than a day are left out.

- **Dependencies**: {needs}
- **Hours**: 2

**Acceptance criteria**

- [ ] the table has a column `thing_{number}`
- [ ] a second run changes nothing
- [ ] wrong input is refused with an error that names its line

**Files to create**

- `app/things_{number}.py`: the code
- `tests/test_things_{number}.py`: its tests

**Test cases**

| test | expected |
|---|---|
| `tests/test_things_{number}.py::test_read` | 200 |
| `tests/test_things_{number}.py::test_wrong` | 400 |
"""


def plan_document(repo: Path, tasks: int) -> str:
    """Write a plan of so many tasks under ten build agents; return its name."""
    lines = ["# Things", "", "## Overview", "", "### Objective", "", "Keep things.", "",
             "## Integration points", "", "- Setting: `THINGS_TTL`", "",
             "## Success criteria", "", "- [ ] things are kept", "", "## Tasks", ""]  # fmt: skip
    each = -(-tasks // 10)
    for number in range(1, tasks + 1):
        if number % each == 1 or each == 1:
            lines += [f"### Build agent {(number - 1) // each + 1}: part {number}", ""]
        needs = f"Task {number - 1}" if number % each != 1 and each > 1 else "none"
        lines.append(_TASK.format(number=number, needs=needs))
    name = "things.md"
    (repo / name).write_text("\n".join(lines))
    return name


def run_ours(*, there: bool) -> Callable[[Chains, Path, Path], None]:
    """Return what runs chains as phases; `there`: in worktrees that are there already."""

    def run(chains: Chains, directory: Path, _cache: Path) -> None:
        room, repo = repository(directory)
        # A command's second word is its number, and phases are numbered alike: by their order.
        phases = []
        for chain in chains.chains:
            for place, command in enumerate(chain):
                needs = [int(chain[place - 1][1])] if place else []
                phases.append((join(command), needs))
        if there:
            names = [f"{_SLUG}-p{number}" for number in range(1, len(phases) + 1)]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(lambda name: room.adw("create", name, cwd=repo), names))
            settle()
        file = str(feature_file(directory, phases))
        most = str(chains.running)
        room.adw("feature", "start", file, "--yes", "--max-running", most, cwd=repo)
        room.adw("work", "--until-idle", cwd=repo)
        settle()

    return run


def python_in(room: Room, script: str, *words: str) -> str:
    """Return what a script prints that is run by the Python of this tool, in a room."""
    command = [sys.executable, "-c", script, *words]
    return subprocess.run(command, env=room.env, check=True, capture_output=True, text=True).stdout

"""The big versions of the tests, and one table of what they did; `nox -s stress` runs this.

The numbers are those that the tests wrote down as they went (the fixture `tally`), so the table
tells of nothing that did not run. Exit status 1 if a test failed, or if a column that matters is
not zero.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
DONE = ("creates", "removes", "kills", "signals", "faults", "moves", "phases")
MATTERS = (
    "failures",
    "doubled slots",
    "leaked leases",
    "lost work",
    "half-made trees",
    "lock files left",
    "not healed",
    "phases twice at once",
    "phases lost",
    "failed tests",
)
FILES = (
    "whole/test_parallel.py",
    "whole/test_across_repositories.py",
    "whole/test_killed.py",
    "whole/test_faulty_disk.py",
    "whole/test_full_disk.py",
    "whole/test_world_moves.py",
    "worktrees/test_spares.py",
    "whole/test_unwritable.py",
    "worktrees/test_rename.py",
    "worktrees/finish/test_finish.py",
    "worktrees/test_database.py",
    "orchestration/running/test_killed_phases.py",
    "orchestration/hosts/test_storm.py",
    "orchestration/store/test_against_model.py",
    "orchestration/stages/test_real_agents.py",
    "orchestration/agents/test_real_programs.py",
)


def main() -> int:
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=100, help="how many at once (default: 100)")
    size = parser.parse_args().size
    totals: Counter[str] = Counter()
    rows: list[tuple[str, Counter[str], str]] = []
    for number, name in enumerate(FILES, start=1):
        print(f"{name}, {number} of {len(FILES)}", file=sys.stderr, flush=True)
        found, code = run(name, size)
        # One that never came to run its tests.
        found["failed tests"] += int(code != 0 and not found["failed tests"])
        rows.append((name, found, "" if code == 0 else f"pytest exited {code}"))
        totals += found
    print(table([*rows, ("all", totals, "")]))
    return int(any(totals[column] for column in MATTERS))


def run(name: str, size: int) -> tuple[Counter[str], int]:
    """Run the tests of one file, and return what they counted and pytest's exit status."""
    with tempfile.TemporaryDirectory() as directory:
        tally = Path(directory) / "tally"
        env = {
            **os.environ,
            "ADW_STRESS": "1",
            "ADW_STRESS_SIZE": str(size),
            "ADW_STRESS_TALLY": str(tally),
        }
        options = ["--numprocesses=auto", "-q", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *options, str(TESTS / name)]
        code = subprocess.run(command, cwd=TESTS.parent, env=env).returncode
        lines = tally.read_text().splitlines() if tally.exists() else []
    found: Counter[str] = Counter()
    for event in map(json.loads, lines):
        found[event["event"]] += event["number"]
    return found, code


def table(rows: list[tuple[str, Counter[str], str]]) -> str:
    columns = (*DONE, *MATTERS)
    lines = [" | ".join(["tests".ljust(32), *columns])]
    for name, found, remark in rows:
        numbers = [str(found[column]).rjust(len(column)) for column in columns]
        lines.append(" | ".join([name.ljust(32), *numbers]) + (f"  {remark}" if remark else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

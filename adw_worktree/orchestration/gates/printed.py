"""What a test stage printed: which files of tests, and which tests, it says that it ran.

What holds here: only lines in which a runner lists what it runs count. A summary names some and not
all: that a test is not in one says nothing.
"""

from __future__ import annotations

import re

from adw_worktree.system.named_tuple import NamedTuple

_MOST_OF_A_LINE = 1000
_COLOUR = r"\x1b\[[0-9;]*m"
_PROGRESS = r"([^\s:]+\.py) [.FEsxXpR]+(?:\s+\[\s*\d+%\])?"
_VERBOSE = r"([^\s:]+\.py)::(\S+(?: \S+)*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*"
_SPREAD = r"(?:\[gw\d+\] \[\s*\d+%\] )(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) ([^\s:]+\.py)::(.+)"
_SCRIPT = (
    r"(?:PASS|FAIL|[\u2713\u2714\u276f\u00d7\u2717])\s+(?:\|[^|]*\|\s+)?(?:\S+ )?"
    r"([^\s:]+\.[cm]?[jt]sx?)\b.*"
)
_GO = r"--- (PASS|FAIL|SKIP): (\S+).*"
_OUTCOMES = {"PASSED": "passed", "XPASS": "passed", "PASS": "passed", "FAILED": "failed",
             "ERROR": "failed", "FAIL": "failed"}  # fmt: skip


class Printed(NamedTuple):
    """What a runner listed."""

    files: frozenset[str]
    tests: dict[tuple[str, str], str]
    """How each test ended, by file and name: passed, failed or skipped."""


def read(printed: str) -> Printed:
    """Return what a run listed, line by line."""
    files: set[str] = set()
    tests: dict[tuple[str, str], str] = {}
    for line in re.sub(_COLOUR, "", printed).splitlines():
        line = line[:_MOST_OF_A_LINE].strip()
        if match := re.fullmatch(_VERBOSE, line):
            tests[match[1], match[2].partition("[")[0]] = _OUTCOMES.get(match[3], "skipped")
        elif match := re.fullmatch(_SPREAD, line):
            tests[match[2], match[3].strip().partition("[")[0]] = _OUTCOMES.get(match[1], "skipped")
        elif match := re.fullmatch(_PROGRESS, line) or re.fullmatch(_SCRIPT, line):
            files.add(match[1])
        elif match := re.fullmatch(_GO, line):
            tests["", match[2]] = _OUTCOMES.get(match[1], "skipped")
    return Printed(frozenset(files | {file for file, _ in tests if file}), tests)


def listed(found: Printed, path: str) -> list[str]:
    """Return the files of the list that are `path`, as seen from some directory."""
    return [one for one in found.files if path == one or path.endswith(f"/{one}")
            or one.endswith(f"/{path}")]  # fmt: skip


def lists_like(found: Printed, path: str) -> bool:
    """Return whether a runner of the file's language listed files."""
    is_python = path.endswith(".py")
    return any(one.endswith(".py") == is_python for one in found.files)

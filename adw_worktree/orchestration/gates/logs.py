"""The logs of what has landed: whether new errors stand in them.

What holds here: no more of a log is read than what was written since the feature landed.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from adw_worktree.orchestration.gates.finding import Finding

_MOST_BYTES = 64 * 1024 * 1024
_MOST_FILES = 200
_MOST_LINE = 2000
_MOST_SHOWN = 300

Marks = Mapping[str, list[int]]
"""For each log file its inode and its size when the feature landed."""


def mark_logs(patterns: Iterable[str], home: Path) -> dict[str, list[int]]:
    """Return how far each log file is now."""
    marks = {}
    for path in _files(patterns, home):
        try:
            found = os.stat(path)
        except OSError:
            continue
        marks[path] = [found.st_ino, found.st_size]
    return marks


def check_log(pattern: str, home: Path, errors: str, marks: Marks) -> Finding:
    """Return whether the files of a pattern have had no errors since they were marked."""
    files = [*_files([pattern], home)]
    if not files:
        return Finding("warn", f"no file is called {pattern}")
    found: list[str] = []
    for path in files:
        try:
            found += _errors(path, errors, marks.get(path))
        except OSError as exc:
            found.append(f"{path} cannot be read: {exc.strerror}")
    if not found:
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        return Finding("pass", f"{pattern}: no new error in {count}")
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Finding("fail", f"{found[0]}{more}")


def _files(patterns: Iterable[str], home: Path) -> Iterator[str]:
    """Yield the files of the patterns, each seen from `home`."""
    for pattern in patterns:
        found = sorted(glob.glob(os.path.join(glob.escape(str(home)), pattern), recursive=True))
        yield from [path for path in found if os.path.isfile(path)][:_MOST_FILES]


def _errors(path: str, errors: str, mark: list[int] | None) -> Iterator[str]:
    """Yield the lines with errors that were written since the file was marked."""
    with open(path, "rb") as file:
        now = os.fstat(file.fileno())
        is_same = mark is not None and mark[0] == now.st_ino and mark[1] <= now.st_size
        start = mark[1] if mark is not None and is_same else 0
        file.seek(max(start, now.st_size - _MOST_BYTES))
        for line in file:
            text = line[:_MOST_LINE].decode(errors="replace").rstrip()
            if re.search(errors, text):
                yield f"{path}: {text[:_MOST_SHOWN]}"

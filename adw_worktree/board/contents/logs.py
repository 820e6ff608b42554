"""What stages have printed: parts of their logs, and their growth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adw_worktree.board.contents.documents import LogPart
from adw_worktree.errors import UnknownPhase
from adw_worktree.orchestration.runs.run_directory import run_directory

MOST_BYTES = 256 * 1024
"""Of a log at once: a browser asks for more when somebody wants to see more."""
_TAIL_BYTES = 64 * 1024


def log_part(
    state_dir: Path,
    tokens: Sequence[str],
    attempt: str | None,
    log: str | None,
    start: int | None,
    end: int | None,
) -> LogPart:
    """Return a part of the log of one of the attempts `tokens`: by default the end of the last.

    It begins at the beginning of a character. Raises UnknownPhase if there is no such log.
    """
    if not tokens or attempt not in (None, *tokens):
        raise _unknown("it has not run yet" if not tokens else "it has no such attempt")
    token = attempt or tokens[-1]
    names = log_names(state_dir, token)
    if not names or log not in (None, *names):
        raise _unknown("nothing was printed yet" if log is None else f"there is no {log}")
    name = log or names[-1]
    file = run_directory(state_dir, token).path / name
    size = file.stat().st_size
    first = max(0, size - _TAIL_BYTES) if start is None else min(start, size)
    last = min(size if end is None else end, first + MOST_BYTES, size)
    data, first = read_part(file, first, last)
    return LogPart(
        attempt=token,
        log=name,
        start=first,
        end=first + len(data),
        size=size,
        text=data.decode(errors="replace"),
    )


def log_tail(state_dir: Path, token: str) -> list[LogPart]:
    """Return the end of what an attempt has printed, of one stage or of several."""
    parts: list[LogPart] = []
    left = _TAIL_BYTES
    for name in reversed(log_names(state_dir, token)):
        size = (run_directory(state_dir, token).path / name).stat().st_size
        parts.insert(0, log_part(state_dir, [token], token, name, max(0, size - left), None))
        left -= size
        if left <= 0:
            break
    return parts


def log_names(state_dir: Path, token: str) -> list[str]:
    """Return the logs of an attempt, in the order of its stages."""
    return [path.name for path in run_directory(state_dir, token).logs()]


def read_part(file: Path, start: int, end: int) -> tuple[bytes, int]:
    """Return the bytes from `start` to `end`, of whole characters, and where they begin."""
    with file.open("rb") as opened:
        opened.seek(start)
        data = opened.read(max(0, end - start))
    skipped = 0
    while start > 0 and skipped < min(3, len(data)) and data[skipped] & 0xC0 == 0x80:
        skipped += 1
    data = data[skipped:]
    # A character that is not whole yet is left for the next time.
    for length in range(1, min(4, len(data)) + 1):
        byte = data[-length]
        if byte & 0xC0 == 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            data = data if length >= wanted else data[:-length]
            break
        if byte < 0x80:
            break
    return data, start + skipped


def _unknown(why: str) -> UnknownPhase:
    return UnknownPhase(f"there is no such log: {why}", hint="GET /api/v1/queue/{queue_id}")

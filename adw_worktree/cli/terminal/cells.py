"""Cells that more than one table on a terminal has: ports, paths, ages, who listens."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from adw_worktree.cli.terminal.lines import Line, Span
from adw_worktree.system.ports import Listener

_STATES = {
    "pending": "yellow",
    "unknown": "bold red",
    "blocked": "red",
    "unmanaged": "dim",
    "gone": "dim",
}


def ports_cell(ports: Collection[int], held: Collection[int], mark: Span) -> Line:
    """Return ports as links, with a mark on those that somebody holds."""
    line = []
    for port in ports:
        style = mark.style if port in held else ""
        line.append(Span(str(port), style, f"http://localhost:{port}"))
        line.append(mark if port in held else Span(" "))
        line.append(Span(" "))
    return line[:-1]


def path_cell(path: Path | None) -> Line:
    """Return a path, with the home directory as `~`, that leads to the directory."""
    if path is None:
        return []
    home, text = os.path.expanduser("~"), str(path)
    inside = home != "/" and (text + "/").startswith(home + "/")
    return [Span("~" + text[len(home) :] if inside else text, link=_file_link(path))]


def _file_link(path: Path) -> str | None:
    # With the host: a terminal at the other end of an ssh has another file of that name, or none.
    return (
        path.as_uri().replace("//", f"//{os.uname().nodename}", 1) if path.is_absolute() else None
    )


def age_cell(since: datetime) -> Line:
    """Return for how long something has been there."""
    minutes = max(0, int((datetime.now(UTC) - since).total_seconds() // 60))
    if minutes < 60:
        return [Span(f"{minutes} min" if minutes else "now")]
    hours = minutes // 60
    return [Span(f"{hours} h" if hours < 48 else f"{hours // 24} d")]


def state_cell(state: str, *, locked: bool = False) -> Line:
    """Return the state of a worktree or slot; only what is out of the ordinary stands out."""
    word = "locked" if locked and state == "active" else f"{state}, locked" if locked else state
    return [Span(word, _STATES.get(state, ""))]


def listeners_cell(found: Iterable[Listener], *, pids: bool = False) -> Line:
    """Return who listens: each process once, by its program and what that was told."""
    commands = dict.fromkeys((one.pid, _without_directory(one.command)) for one in found)
    told = (f"{pid} {command}" if pids and pid else command for pid, command in commands)
    return [Span("; ".join(told))]


def _without_directory(command: str) -> str:
    program, blank, rest = command.partition(" ")
    return f"{os.path.basename(program)}{blank}{rest}"

"""Cells that more than one table on a terminal has: ports, paths, ages, who listens."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from .ports import Listener
from .screen import Line, Signs, Span

_STATES = {"pending": "yellow", "unknown": "bold red", "blocked": "red", "unmanaged": "dim"}


def ports_cell(ports: Collection[int], listening: Collection[int], signs: Signs) -> Line:
    """Return ports as links, each with a mark if somebody listens on it."""
    line = []
    for port in ports:
        heard = port in listening
        line.append(Span(str(port), "green" if heard else "", f"http://localhost:{port}"))
        line.append(Span(signs.listening if heard else " ", "green"))
        line.append(Span(" "))
    return line[:-1]


def path_cell(path: Path | None) -> Line:
    """Return a path, with the home directory as `~`, that leads to the directory."""
    if path is None:
        return []
    home, text = str(Path.home()), str(path)
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


def listeners_cell(found: Iterable[Listener]) -> Line:
    """Return who listens: each process once, by its program and what that was told."""
    commands = dict.fromkeys((one.pid, one.command) for one in found)
    return [Span("; ".join(_without_directory(command) for _, command in commands))]


def _without_directory(command: str) -> str:
    program, blank, rest = command.partition(" ")
    return f"{os.path.basename(program)}{blank}{rest}"

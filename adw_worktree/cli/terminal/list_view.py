"""The repository's worktrees as `list` shows them on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from adw_worktree.cli.output import Terminal
from adw_worktree.cli.terminal.cells import (
    age_cell,
    listeners_cell,
    path_cell,
    ports_cell,
    state_cell,
)
from adw_worktree.cli.terminal.lines import Column, Line, Signs, Span, cut, drawn, signs, table
from adw_worktree.project import Project
from adw_worktree.repo.refs import resolve_base
from adw_worktree.repo.summary import Glance, glance
from adw_worktree.system.parallel import side_by_side
from adw_worktree.worktrees.listing import Row

_COLUMNS = (
    Column("ADW", weight=10, least=16),
    Column("SLOT", weight=4, right=True),
    Column("PORTS", weight=9),
    Column("STATE", weight=8),
    Column("BRANCH", weight=3, least=16),
    Column("WORK", weight=7),
    Column("BASE", weight=5),
    Column("AGE", weight=4, right=True),
    Column("LISTENING", weight=6, least=12),
    Column("PATH", weight=1, least=24, keeps="path"),
)


class _Look(NamedTuple):
    """A worktree to look at, and the commit to measure it at."""

    path: Path | None
    base: str | None


def list_view(found: Sequence[tuple[Project, Row]], by_repository: bool, terminal: Terminal) -> str:
    """Return the table, and what is in doubt; git is asked about every worktree.

    `by_repository` has the rows of each repository below its name.
    """
    marks = signs(terminal)
    homes = {project.repo.home: project.settings.base for project, _ in found}
    bases = {home: resolve_base(home, base) for home, base in homes.items()}
    looks = [_Look(_place(row), bases[project.repo.home]) for project, row in found]
    glances = side_by_side(_seen, looks, output=2)
    rows = [_cells(row, seen, marks) for (_, row), seen in zip(found, glances, strict=True)]
    doubts = [_doubt(row) for _, row in found if row.state == "unknown"]
    for home, base in homes.items():
        if bases[home] is None and base != "HEAD":  # it names none before the first commit
            doubts.append(
                [Span("BASE is empty: ", "bold red"), Span(f"{base} is no commit in {home}")]
            )
    head, *body = table(_COLUMNS, rows, terminal)
    if by_repository:
        body = _by_repository([project.repo.home for project, _ in found], body, terminal)
    return drawn([head, *body, *([[], *doubts] if doubts else [])], terminal)


def _by_repository(homes: Sequence[Path], lines: Sequence[Line], terminal: Terminal) -> list[Line]:
    """Return the lines, those of each repository below its name."""
    shown: list[Line] = []
    for home, above, line in zip(homes, [None, *homes], lines, strict=False):
        if home != above:
            shown += [[], cut(path_cell(home), terminal.columns, terminal, "path")]
        shown.append(line)
    return shown


def _place(row: Row) -> Path | None:
    """Return where git is to be asked: not where files still come, or a `.git` file is in doubt."""
    in_doubt = row.state == "unknown" and row.finding is not None and row.finding.moved_to is None
    return None if row.state == "pending" or in_doubt else row.path


def _seen(look: _Look) -> Glance | str | None:
    """Return what there is in a worktree, or the word for why that is not to be seen."""
    if look.path is None:
        return None
    seen = glance(look.path, look.base)
    if seen is not None:
        return seen
    try:
        look.path.stat()
    except FileNotFoundError:
        return "missing"
    except OSError:
        pass
    return "failed"


def _cells(row: Row, seen: Glance | str | None, marks: Signs) -> list[Line]:
    lease = row.lease
    heard = [group[0] for group in row.listening.values()]
    return [
        [_name(row)],
        [Span(str(lease.slot))] if lease else [],
        ports_cell(
            lease.ports.values() if lease else (),
            {one.port for one in heard},
            Span(marks.listening, "green"),
        ),
        [] if row.main else state_cell(row.state, locked=row.locked),
        _branch(row, seen),
        _work(seen) if isinstance(seen, Glance) else [Span(seen or "", "red")],
        _distance(seen, marks) if isinstance(seen, Glance) else [],
        age_cell(lease.allocated_at) if lease else [],
        listeners_cell(heard),
        path_cell(row.path),
    ]


def _name(row: Row) -> Span:
    if row.lease is not None:
        return Span(row.lease.adw_id, "bold")
    return Span("(main)" if row.main else row.path.name if row.path else "", "dim")


def _branch(row: Row, seen: Glance | str | None) -> Line:
    """Return the branch, also one that is being rebased, unless it is called as the ADW is."""
    branch = row.branch or (seen.rebased if isinstance(seen, Glance) else None)
    if branch is None:
        return [Span("detached", "dim")] if row.path else []
    return [] if row.lease is not None and branch == row.lease.adw_id else [Span(branch)]


def _work(seen: Glance) -> Line:
    """Return what is not committed, as prompts show it."""
    parts = [
        ("!", seen.conflicts, "bold red"),
        ("+", seen.staged, "green"),
        ("~", seen.changed, "yellow"),
        ("?", seen.untracked, ""),
    ]
    spans = [Span(f"{sign}{number}", style) for sign, number, style in parts if number]
    if seen.unfinished:
        spans.append(Span(seen.unfinished.split()[-1], "bold red"))
    return _spaced(spans)


def _distance(seen: Glance, marks: Signs) -> Line:
    """Return how many commits a worktree is ahead of its base and behind it."""
    parts = [(marks.ahead, seen.ahead, "green"), (marks.behind, seen.behind, "yellow")]
    return _spaced([Span(f"{sign}{number}", style) for sign, number, style in parts if number])


def _spaced(spans: Sequence[Span]) -> Line:
    return [one for span in spans for one in (Span(" "), span)][1:]


def _doubt(row: Row) -> Line:
    name = row.lease.adw_id if row.lease else str(row.path)
    reason = row.finding.reason if row.finding else "not to be seen"
    return [Span(f"{name} is unknown: ", "bold red"), Span(reason)]

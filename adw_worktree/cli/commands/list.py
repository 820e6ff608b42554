"""`adw-worktree list`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from operator import attrgetter

from adw_worktree.cli.output import Outcome, Terminal, table
from adw_worktree.errors import AdwError
from adw_worktree.project import Project, open_project, project_of
from adw_worktree.repo.find import repository_at
from adw_worktree.system.paths import is_dir
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.listing import Row, rows

EPILOG = """\
examples:
  adw-worktree list
  adw-worktree list --all     # of every repository on this machine
  adw-worktree list --json | jq '.worktrees[] | select(.state == "active") | .path'

on a terminal:
  BRANCH  where it is not called as the ADW is
  WORK    +1 staged, ~1 changed, ?1 untracked, !1 in conflict, or what is unfinished
  BASE    ↑1 commits that the base has not, ↓1 commits of the base that are not here
  a port is a link; one with ● has a listener"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="of every repository on the machine")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    notes: list[str] = []
    found = [(project, row) for row in _rows(project, notes)]
    if args.all:
        for other in other_projects(project, notes):
            found += [(other, row) for row in _rows(other, notes)]
    shown = [as_json(owner, row) for owner, row in found]
    text = _text([row for _, row in found])
    return Outcome({"worktrees": shown}, text, notes, drawn=partial(_drawn, found, args.all))


def _drawn(found: list[tuple[Project, Row]], by_repository: bool, terminal: Terminal) -> str:
    from adw_worktree.cli.terminal.list_view import list_view

    return list_view(found, by_repository, terminal)


def other_projects(project: Project, notes: list[str]) -> list[Project]:
    """Return the other projects of the registry; note those that cannot be opened."""
    found = []
    for entry in sorted(project.pool.neighbours(), key=attrgetter("common_dir")):
        if entry.common_dir == project.repo.common_dir or not is_dir(entry.common_dir):
            continue
        try:
            found.append(project_of(repository_at(entry.common_dir)))
        except AdwError as exc:
            notes.append(f"{entry.common_dir}: {exc.message}")
    return found


def _rows(project: Project, notes: list[str]) -> list[Row]:
    heal(project)
    found = rows(project)
    notes += project.notices
    return found


def as_json(project: Project, row: Row) -> dict[str, object]:
    """Return one worktree as `list --json` shows it."""
    lease = row.lease
    return {
        "adw_id": lease.adw_id if lease else None,
        "slot": lease.slot if lease else None,
        "ports": dict(lease.ports) if lease else None,
        "path": str(row.path) if row.path else None,
        "branch": row.branch,
        "state": row.state,
        "main": row.main,
        "locked": row.locked,
        "reason": row.finding.reason if row.finding else None,
        "allocated_at": lease.allocated_at.isoformat() if lease else None,
        "repository": str(project.repo.home),
        "listening": [
            {"service": name, "port": one.port, "pid": one.pid, "command": one.command}
            for name, heard in row.listening.items()
            for one in heard
        ],
    }


def _text(found: list[Row]) -> str:
    head = ["ADW", "SLOT", "PORTS", "STATE", "BRANCH", "LISTENING", "PATH"]
    return table(head, [_line(row) for row in found])


def _line(row: Row) -> list[str]:
    lease = row.lease
    state = f"{row.state}, locked" if row.locked else row.state
    heard = [f"{name}: {one.command}" for name, group in row.listening.items() for one in group[:1]]
    return [
        lease.adw_id if lease else "(main)" if row.main else "-",
        str(lease.slot) if lease else "-",
        " ".join(str(port) for port in lease.ports.values()) if lease else "-",
        "-" if row.main else state,
        row.branch or ("(detached)" if row.path else "-"),
        "; ".join(heard) or "-",
        str(row.path or "-"),
    ]

"""`adw-worktree list`."""

from __future__ import annotations

from functools import partial

from adw_worktree.cli.output import Outcome, Terminal, table
from adw_worktree.project import Project, project_of_command
from adw_worktree.worktrees import results
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.listing import Row, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree list
  adw-worktree list --all     # of every repository on this machine, from anywhere
  adw-worktree list --json | jq '.worktrees[] | select(.state == "active") | .path'

on a terminal:
  BRANCH  where it is not called as the ADW is
  WORK    +1 staged, ~1 changed, ?1 untracked, !1 in conflict, or what is unfinished
  BASE    ↑1 commits that the base has not, ↓1 commits of the base that are not here
  a port is a link; one with ● has a listener"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="of every repository on the machine")


def run(args: Namespace) -> Outcome:
    project = project_of_command(args.directory, "list", every=args.all)
    notes: list[str] = []
    found = [(project, row) for row in _rows(project, notes)] if project else []
    if args.all:
        from adw_worktree.worktrees.lookup import other_projects

        for other in other_projects(project, notes):
            found += [(other, row) for row in _rows(other, notes)]
    shown = [results.listed(owner, row) for owner, row in found]
    text = _text([row for _, row in found])
    return Outcome({"worktrees": shown}, text, notes, drawn=partial(_drawn, found, args.all))


def _drawn(found: list[tuple[Project, Row]], by_repository: bool, terminal: Terminal) -> str:
    from adw_worktree.cli.terminal.list_view import list_view

    return list_view(found, by_repository, terminal)


def _rows(project: Project, notes: list[str]) -> list[Row]:
    found = rows(project, heal(project).found)
    notes += project.notices
    return found


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

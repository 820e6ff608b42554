"""`adw-worktree rename`."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.cli.output import Outcome
from adw_worktree.cli.whereabouts import lead_away
from adw_worktree.pool.lease import Lease
from adw_worktree.worktrees import results
from adw_worktree.worktrees.lookup import find_lease
from adw_worktree.worktrees.rename import Renamed, rename

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree rename fix-login fix-logout
  adw-worktree rename - fix-logout      # the worktree you were in last

Slot, ports, work and files stay. The directory and the branch are renamed, too, if they are where
and what those of a new ADW would be; others stay. Servers go on, and no hooks run."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", metavar="ADW_ID", help="what it is called")
    parser.add_argument("new", metavar="NEW", help="what it is to be called")


def run(args: Namespace) -> Outcome:
    stood_in = Path.cwd()
    project, lease = find_lease(args.directory, args.adw_id)
    done = rename(project, lease, args.new)
    notes = [*project.notices, *_notes(done)]
    notes += lead_away(stood_in, _same_place(stood_in, lease, done.lease))
    return Outcome(results.renamed(done), _text(done), notes)


def _same_place(stood_in: Path, before: Lease, now: Lease) -> Path:
    """Return where in the renamed worktree a directory of the worktree before is."""
    old, new = Path(before.path or ""), Path(now.path or "")
    inside = stood_in.is_relative_to(old.parent.resolve() / old.name)
    return new / stood_in.relative_to(old.parent.resolve() / old.name) if inside else new


def _text(done: Renamed) -> str:
    lease = done.lease
    ports = ", ".join(f"{name} {port}" for name, port in lease.ports.items())
    verb = f"renamed {done.old} to" if done.renamed else "already called"
    branch = f"branch {lease.branch}" if lease.branch else "detached"
    where = f" at {lease.path} ({branch})" if lease.path else ""
    return f"{verb} {lease.adw_id}{where}\nslot {lease.slot}: {ports}"


def _notes(done: Renamed) -> list[str]:
    return [
        *done.notes,
        *(
            f"{one.command} (pid {one.pid}) on port {one.port} goes on, and has the old name and "
            "path in its environment until it is started again"
            for one in done.listening
        ),
    ]

"""`adw-worktree rename`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from adw_worktree.cli.output import Outcome
from adw_worktree.worktrees import results
from adw_worktree.worktrees.lookup import find_lease
from adw_worktree.worktrees.rename import Renamed, rename

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
    project, lease = find_lease(args.directory, args.adw_id)
    done = rename(project, lease, args.new)
    return Outcome(results.renamed(done), _text(done), [*project.notices, *_notes(done)])


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

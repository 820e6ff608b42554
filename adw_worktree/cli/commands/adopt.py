"""`adw-worktree adopt`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import UsageError
from adw_worktree.project import open_project
from adw_worktree.worktrees import results
from adw_worktree.worktrees.adopt import Adopted, adopt
from adw_worktree.worktrees.last_used import note_visit

EPILOG = """\
examples:
  git worktree add ../app-login fix-login
  adw-worktree adopt fix-login
  adw-worktree adopt ../app-login --as login
  cd ../app-login && adw-worktree adopt

A worktree that plain git or another tool made gets a slot, .env.ports and what the setting write
asks for. Its files, branch and place stay. No hooks run. Again, it keeps what it has."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "target",
        nargs="?",
        metavar="ADW_ID|PATH",
        help="path, or name of its directory or branch (default: the current one)",
    )
    parser.add_argument(
        "--as", dest="adw_id", metavar="ADW_ID", help="its id (default: its directory's name)"
    )


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    target = args.target
    if target is None:
        if project.repo.worktree is None:
            raise UsageError(
                f"{args.directory} is in no worktree", hint="name one: adw-worktree adopt PATH"
            )
        target = str(project.repo.worktree)
    done = adopt(project, target, args.adw_id, directory=args.directory)
    if done.adopted:
        note_visit(project, done.lease)
    return Outcome(results.adopted(done), _text(done), [*project.notices, *done.notes])


def _text(done: Adopted) -> str:
    lease = done.lease
    ports = ", ".join(f"{name} {port}" for name, port in lease.ports.items())
    verb = "adopted" if done.adopted else "already there:"
    branch = f"branch {lease.branch}" if lease.branch else "detached"
    lines = [f"{verb} {lease.adw_id} at {lease.path} ({branch})", f"slot {lease.slot}: {ports}"]
    lines += [f"database {lease.database}"] if lease.database else []
    return "\n".join(lines)

"""`adw-worktree run`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from adw_worktree.cli.output import Outcome
from adw_worktree.errors import UsageError
from adw_worktree.system.exec_command import become
from adw_worktree.worktrees.files.variables import variables
from adw_worktree.worktrees.lookup import find_lease, require_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree run fix-login -- npm run dev
  adw-worktree run fix-login -- sh -c 'python3 -m http.server $BACKEND_PORT'
  adw-worktree run -- make test       # in the worktree you are in
  adw-worktree run - -- make test     # in the one you were in last

The exit code is the command's own; 127 if it was not found, 126 if it cannot be run."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.usage = "adw-worktree run [-h] [ADW_ID] -- CMD…"
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")


def run(args: Namespace) -> Outcome:
    """Become the command: signals, streams and exit code are its own."""
    if not args.trailing:
        named = quote(args.adw_id or "ADW_ID")
        raise UsageError("no command to run", hint=f"adw-worktree run {named} -- CMD…")
    project, lease = find_lease(args.directory, args.adw_id)
    worktree = require_path(project, lease)
    become(args.trailing, _start(args.directory, worktree), variables(project, lease))


def _start(directory: Path, worktree: Path) -> Path:
    """Return where the command starts: where the caller is, if that is inside the worktree."""
    inside = directory.resolve().is_relative_to(worktree.resolve())
    return directory if inside else worktree

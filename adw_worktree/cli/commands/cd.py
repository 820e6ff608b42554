"""`adw cd`, which goes where `adw-worktree cd` tells it to."""

from __future__ import annotations

from shlex import quote

from adw_worktree.cli.output import Outcome
from adw_worktree.worktrees.last_used import lead_shell, note_visit, shell_file
from adw_worktree.worktrees.lookup import find_lease, require_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw cd fix-login
  adw cd -                 # the worktree that you were in last
  adw -C ~/src/app cd fix-login

`adw` is what a shell has after eval "$(adw-worktree shell-init bash)"; see shell-init."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", metavar="ADW_ID", help="the workflow's name")


def run(args: Namespace) -> Outcome:
    follow = shell_file(f"adw cd {quote(args.adw_id)}")
    project, lease = find_lease(args.directory, args.adw_id)
    path = str(require_path(project, lease))
    lead_shell(follow, path)
    note_visit(project, lease)
    return Outcome({"adw_id": lease.adw_id, "path": path}, notes=project.notices)

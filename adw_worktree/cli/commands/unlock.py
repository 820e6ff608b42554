"""`adw-worktree unlock`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from adw_worktree.cli.commands.lock import set_lock
from adw_worktree.cli.output import Outcome

EPILOG = """\
examples:
  adw-worktree unlock fix-login"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")


def run(args: Namespace) -> Outcome:
    return set_lock(args, ["unlock"], locked=False)

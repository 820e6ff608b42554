"""`adw-worktree watch`."""

from __future__ import annotations

import gc
import os

from adw_worktree.cli.output import Outcome, print_event, print_notice
from adw_worktree.settings.places import state_directory
from adw_worktree.worktrees import results
from adw_worktree.worktrees.watch import Released, Trouble, Watching, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree watch                  # until Ctrl-C
  adw-worktree watch --json           # one JSON object per line
  adw-worktree hooks install --watch  # let systemd or launchd start it"""


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(args: Namespace) -> Outcome:
    gc.enable()  # switched off for commands that are over soon
    state_dir = state_directory()
    os.chdir("/")  # what is unmounted or deleted is not in use by us
    for event in watch(state_dir):
        if args.json:
            print_event(results.watched(event))
        elif isinstance(event, Trouble):
            print_notice(_about(event), event.error.hint)
        else:
            print_event(_text(event))
    raise AssertionError("it watches for ever")


def _text(event: Watching | Released) -> str:
    if isinstance(event, Released):
        lease = event.lease
        where = f"{lease.adw_id} in {event.repository}"
        return f"released slot {lease.slot} of {where}: {event.reason}"
    number = len(event.repositories)
    return f"watching {number} {'repository' if number == 1 else 'repositories'}"


def _about(event: Trouble) -> str:
    return f"{event.repository}: {event.error.message}" if event.repository else event.error.message

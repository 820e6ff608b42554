"""`adw-worktree store`."""

from __future__ import annotations

from shlex import quote

from adw_worktree.cli.output import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path

EPILOG = """\
examples:
  adw-worktree store backup monday.db     # while everything goes on
  adw-worktree store restore monday.db    # while nothing runs; the present one is kept beside it

The store has features, phases, attempts and events. What phases printed is in runs/ of the state
directory, and what they have committed is in git."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=["backup", "restore"], help="what to do")
    parser.add_argument("file", metavar="FILE", help="the copy")


def run(args: Namespace) -> Outcome:
    file: Path = args.directory / args.file
    return _back_up(file) if args.action == "backup" else _restore(file)


def _back_up(file: Path) -> Outcome:
    from adw_worktree.orchestration.store.backup import back_up
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.settings.places import state_directory

    database = open_store(state_directory())
    try:
        back_up(database, file)
    finally:
        database.close()
    return Outcome({"path": str(file)}, f"wrote {file}")


def _restore(file: Path) -> Outcome:
    from adw_worktree.board.access.places import board_lock
    from adw_worktree.orchestration.runs.restoring import restore_store
    from adw_worktree.settings.places import state_directory

    state_dir = state_directory()
    aside = restore_store(state_dir, file, {"the board": board_lock(state_dir)})
    notes = [] if aside is None else [f"the store as it was: {quote(str(aside))}"]
    data = {"path": str(file), "before": None if aside is None else str(aside)}
    return Outcome(data, f"restored the store from {file}", notes)

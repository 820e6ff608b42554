"""`adw-worktree store`."""

from __future__ import annotations

from shlex import quote

from adw_worktree.cli.output import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path

    from adw_worktree.orchestration.store.database import Database

EPILOG = """\
examples:
  adw-worktree store backup monday.db     # while everything goes on
  adw-worktree store restore monday.db    # while nothing runs; the present one is kept beside it
  adw-worktree store migrate              # make the tables on the server of the setting `store`
  adw-worktree store copy file server     # take what this machine has there; nothing may run
  adw-worktree store copy server file     # and back

The store has features, phases, attempts and events. What phases printed is in runs/ of the state
directory, and what they have committed is in git. `file` is this machine's store, `server` that of
the setting `store`. Backups of a server are made with pg_dump."""

_ACTIONS = {"backup": 1, "restore": 1, "migrate": 0, "copy": 2}
_ENDS = ("file", "server")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=list(_ACTIONS), help="what to do")
    parser.add_argument(
        "words", nargs="*", metavar="FILE", help="the copy; of `copy`, from where and to where"
    )


def run(args: Namespace) -> Outcome:
    from adw_worktree.errors import UsageError

    if len(args.words) != _ACTIONS[args.action]:
        raise UsageError(
            f"`store {args.action}` takes {_ACTIONS[args.action]} words, not {len(args.words)}",
            hint="see the examples: adw-worktree store --help",
        )
    if args.action == "migrate":
        return _migrate()
    if args.action == "copy":
        return _copy(*args.words)
    file: Path = args.directory / args.words[0]
    return _back_up(file) if args.action == "backup" else _restore(file)


def _back_up(file: Path) -> Outcome:
    from adw_worktree.orchestration.store.backup import back_up
    from adw_worktree.orchestration.store.opening import open_file_store
    from adw_worktree.settings.places import state_directory

    _require_file()
    database = open_file_store(state_directory())
    try:
        back_up(database, file)
    finally:
        database.close()
    return Outcome({"path": str(file)}, f"wrote {file}")


def _restore(file: Path) -> Outcome:
    from adw_worktree.board.access.places import board_lock
    from adw_worktree.orchestration.runs.restoring import restore_store
    from adw_worktree.settings.places import state_directory

    _require_file()
    state_dir = state_directory()
    aside = restore_store(state_dir, file, {"the board": board_lock(state_dir)})
    notes = [] if aside is None else [f"the store as it was: {quote(str(aside))}"]
    data = {"path": str(file), "before": None if aside is None else str(aside)}
    return Outcome(data, f"restored the store from {file}", notes)


def _require_file() -> None:
    from adw_worktree.errors import StoreError
    from adw_worktree.orchestration.store.opening import store_url

    if store_url() is not None:
        raise StoreError(
            "the store is on a server, which has its own way to be copied and restored",
            hint="pg_dump and pg_restore, with the address of the setting store",
        )


def _migrate() -> Outcome:
    from contextlib import closing

    from adw_worktree.orchestration.store.opening import connect_to_server, require_store_url
    from adw_worktree.orchestration.store.server_tables import migrate_server

    with closing(connect_to_server(require_store_url())) as database:
        done = migrate_server(database)
        text = f"made {', '.join(done)}" if done else "the tables are up to date"
        return Outcome({"made": done}, f"{text} in {database.place}")


def _copy(source: str, target: str) -> Outcome:
    from contextlib import ExitStack, closing

    from adw_worktree.board.access.places import board_lock
    from adw_worktree.errors import UsageError
    from adw_worktree.orchestration.running.moving import move_store
    from adw_worktree.orchestration.store.opening import (
        open_file_store,
        open_server_store,
        require_store_url,
    )
    from adw_worktree.settings.places import state_directory

    if {source, target} != set(_ENDS):
        raise UsageError(
            f"a store is copied from `file` to `server`, or back, not {source} to {target}"[:200],
            hint="see the examples: adw-worktree store --help",
        )
    state_dir = state_directory()
    with ExitStack() as opened:
        ends: dict[str, Database] = {
            "file": opened.enter_context(closing(open_file_store(state_dir))),
            "server": opened.enter_context(closing(open_server_store(require_store_url()))),
        }
        others = {"the board": board_lock(state_dir)}
        copied = move_store(state_dir, ends[source], ends[target], others)
        rows = sum(copied.values())
        place = ends[target].place
    return Outcome({"copied": copied}, f"copied {rows} rows to the store {place}")

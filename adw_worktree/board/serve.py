"""Starting a board, and finding the one that runs."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

from adw_worktree.board.access.keys import Keys, load_keys
from adw_worktree.board.access.places import board_directory, board_lock
from adw_worktree.errors import BoardUnusable
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.locks import try_lock

DEFAULT_PORT = 9400
"""Beyond the ports of the usual pool."""
_HOST = "127.0.0.1"
_BACKLOG = 2048


class Announce(Protocol):
    """Tells the user of the link that opens a board."""

    def __call__(self, link: str, *, is_new: bool) -> None: ...


class Wanted(NamedTuple):
    """What a board is to be like."""

    port: int | None = None
    """None: the usual one, or any that is free."""
    read_only: bool = False
    home: Path | None = None
    """The repository that it is started in."""
    log_json: bool = False
    """Whether each request and event is logged, a JSON object a line."""


def serve(state_dir: Path, wanted: Wanted, announce: Announce) -> str | None:
    """Serve the board until a signal ends it.

    `announce` gets the link that opens it, once it listens. If a board runs already, this returns
    a new link to that one. Raises BoardUnusable, FileUnusable, StoreError.
    """
    keys = load_keys(state_dir)
    directory = board_directory(state_dir)
    lock = try_lock(board_lock(state_dir))
    if lock is None:
        return f"{_address(directory)}/?link={keys.link()}"
    try:
        with closing(_listening(wanted.port)) as listening:
            port = listening.getsockname()[1]
            address = f"http://{_HOST}:{port}"
            open_store(state_dir).close()  # what is wrong with it is said now
            write_atomically(directory / "address", address.encode(), mode=0o600)
            announce(f"{address}/?link={keys.link()}", is_new=True)
            _answer(listening, port, state_dir, keys, wanted)
            return None
    finally:
        lock.release()


def _answer(
    listening: socket.socket, port: int, state_dir: Path, keys: Keys, wanted: Wanted
) -> None:
    """Answer what comes to the socket until a signal ends it."""
    # It takes most of a second to load these. Whoever follows the link meanwhile waits.
    from adw_worktree.board.access.door import place_of
    from adw_worktree.board.application import application
    from adw_worktree.board.contents.board import Board
    from adw_worktree.board.contents.live import Live
    from adw_worktree.board.logging_setup import log_to_stderr
    from adw_worktree.board.quiet_server import QuietServer

    log_to_stderr(as_json=wanted.log_json)
    board = Board(state_dir, keys, Live(state_dir), wanted.home, wanted.read_only)
    QuietServer(application(board, place_of(port))).run(sockets=[listening])


def _listening(port: int | None) -> socket.socket:
    """Return a socket that listens. Raises BoardUnusable if the port that was asked for is taken.

    It listens before the link is shown: who follows it at once waits, and is not refused.
    """
    for number in (DEFAULT_PORT, 0) if port is None else (port,):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_HOST, number))
            listening.listen(_BACKLOG)
        except OSError as exc:
            listening.close()
            failure = exc
        else:
            return listening
    raise BoardUnusable(
        f"the board cannot listen on port {port}: {failure.strerror}",
        hint="adw-worktree board (takes a free one)",
    )


def _address(directory: Path) -> str:
    """Return where the board that runs answers. Raises BoardUnusable if it has not said so yet."""
    try:
        return (directory / "address").read_text(encoding="ascii")
    except OSError as exc:
        raise BoardUnusable(
            "a board is just being started", hint="adw-worktree board, in a second"
        ) from exc

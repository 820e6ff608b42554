"""Starting a board, and finding the one that runs."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

from adw_worktree.board.access.keys import Keys, load_keys
from adw_worktree.board.access.places import (
    Place,
    board_directory,
    board_lock,
    invitation_link,
    place_of,
)
from adw_worktree.board.wanted import LOOPBACK, Wanted, require_safe
from adw_worktree.errors import BoardUnusable
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.users import forget_first_invitations, has_admin
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.locks import try_lock

DEFAULT_PORT = 9400
"""Beyond the ports of the usual pool."""
_BACKLOG = 2048


class Announce(Protocol):
    """Tells the user of the link that opens a board; `port` is its own, None if it ran before."""

    def __call__(self, link: str, port: int | None = None) -> None: ...


def serve(state_dir: Path, wanted: Wanted, announce: Announce) -> str | None:
    """Serve the board until a signal ends it.

    `announce` gets the link that opens it, once it listens. If a board runs already, this returns
    a new link to that one. Raises BoardUnusable, FileUnusable, StoreError, UsageError.
    """
    require_safe(wanted)
    keys = load_keys(state_dir)
    lock = try_lock(board_lock(state_dir))
    if lock is None:
        running = board_that_runs(state_dir)
        return running.address if running.users else f"{running.address}/?link={keys.link()}"
    try:
        with closing(_listening(wanted)) as listening:
            port = listening.getsockname()[1]
            place = _place(wanted, port)
            with closing(open_store(state_dir)) as database:  # what is wrong with it is said now
                link = _first_link(database, wanted, place, keys)
            _Running(place.address, wanted.users).write(state_dir)
            announce(link, port)
            _answer(listening, place, state_dir, keys, wanted)
            return None
    finally:
        lock.release()


def _place(wanted: Wanted, port: int) -> Place:
    scheme = "http" if wanted.tls is None else "https"
    return place_of(port, wanted.address or f"{scheme}://{LOOPBACK}:{port}")


def _first_link(database: Database, wanted: Wanted, place: Place, keys: Keys) -> str:
    """Return what opens the board; where there are no users yet, it makes the first admin."""
    if not wanted.users:
        return f"{place.address}/?link={keys.link()}"
    from adw_worktree.board.access.accounts import invitation

    if has_admin(database):
        return place.address
    forget_first_invitations(database)
    return invitation_link(place.address, invitation(database, "admin").text)


def _answer(
    listening: socket.socket, place: Place, state_dir: Path, keys: Keys, wanted: Wanted
) -> None:
    """Answer what comes to the socket until a signal ends it."""
    # It takes most of a second to load these. Whoever follows the link meanwhile waits.
    from adw_worktree.board.access.accounts import Accounts
    from adw_worktree.board.application import application
    from adw_worktree.board.contents.board import Board
    from adw_worktree.board.contents.live import Live
    from adw_worktree.board.logging_setup import log_to_stderr
    from adw_worktree.board.quiet_server import QuietServer

    log_to_stderr(as_json=wanted.log_json)
    accounts = Accounts(keys.user_key, wanted.is_open) if wanted.users else None
    board = Board(state_dir, keys, Live(state_dir), place, wanted.home, wanted.read_only, accounts)
    proxies = wanted.proxies if wanted.users else None
    tls = None if wanted.tls is None else (wanted.tls.certificate, wanted.tls.key)
    QuietServer(application(board), proxies, tls).run(sockets=[listening])


def _listening(wanted: Wanted) -> socket.socket:
    """Return a socket that listens. Raises BoardUnusable if the port that was asked for is taken.

    It listens before the link is shown: who follows it at once waits, and is not refused.
    """
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    for number in (DEFAULT_PORT, 0) if wanted.port is None else (wanted.port,):
        # asyncio sends at once what is short only for sockets that name their protocol: others
        # hold back each second answer of a connection for 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((wanted.host.strip("[]"), number))
            listening.listen(_BACKLOG)
        except OSError as exc:
            listening.close()
            failure = exc
        else:
            return listening
    raise BoardUnusable(
        f"the board cannot listen on {wanted.host}, port {wanted.port or DEFAULT_PORT}: "
        f"{failure.strerror}",
        hint="adw-worktree board (takes a free one)",
    )


class _Running(NamedTuple):
    """A board that runs, as it says itself."""

    address: str
    users: bool

    def write(self, state_dir: Path) -> None:
        said = json.dumps(self._asdict()).encode()
        write_atomically(board_directory(state_dir) / "address", said, mode=0o600)


def board_that_runs(state_dir: Path) -> _Running:
    """Return the board that runs, or ran last. Raises BoardUnusable if it has not said so yet."""
    try:
        said = json.loads((board_directory(state_dir) / "address").read_text(encoding="utf-8"))
        return _Running(str(said["address"]), bool(said["users"]))
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise BoardUnusable(
            "no board runs, or it is just being started",
            hint="adw-worktree board, in a second",
        ) from exc

"""Where a board keeps what it needs, and where it answers. It needs none of its libraries."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where a board answers."""

    address: str
    """As people and browsers have it, without a slash at its end."""
    hosts: frozenset[str]
    """Names with ports, as browsers send them in `Host`."""
    cookie: str
    """The name of the cookie. Browsers send a cookie to every port of a name: it has the port."""

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it through TLS, and send the cookie in no other way."""
        return self.address.startswith("https://")


def place_of(port: int, address: str | None = None) -> Place:
    """Return the place of a board on this machine.

    `address` is where browsers reach it; None is this machine.
    """
    own = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    address = address or f"http://127.0.0.1:{port}"
    host = address.partition("://")[2]
    return Place(address, frozenset({*own, host}), f"adw-board-{port}")


def invitation_link(address: str, invitation: str) -> str:
    """Return the address of the page on which somebody registers."""
    return f"{address}/register?invitation={invitation}"


def board_directory(state_dir: Path) -> Path:
    """Return the directory of what a board keeps."""
    return state_dir / "board"


def board_lock(state_dir: Path) -> Path:
    """Return the file that a board holds locked while it runs."""
    return board_directory(state_dir) / "board.lock"

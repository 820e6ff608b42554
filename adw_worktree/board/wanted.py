"""What a board is asked to be, and what is refused of that because it would not be safe.

What holds here: whoever reaches a board without users can run programs as its owner, so it listens
on this machine alone; and no password crosses a network in the clear.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from adw_worktree.errors import FileUnusable, UsageError

LOOPBACK = "127.0.0.1"
_ADDRESS = r"https?://[a-z0-9.-]+(:[0-9]{1,5})?"
"""Of a board: a path of its own it cannot have."""


class Tls(NamedTuple):
    """What the board shows to browsers that want to be sure of it."""

    certificate: Path
    key: Path


class Wanted(NamedTuple):
    """What a board is to be like."""

    port: int | None = None
    """None: the usual one, or any that is free."""
    read_only: bool = False
    home: Path | None = None
    """The repository that it is started in."""
    log_json: bool = False
    """Whether each request and event is logged, a JSON object a line."""
    users: bool = False
    """Whether people log in."""
    is_open: bool = False
    """Whether anybody who reaches it may register."""
    host: str = LOOPBACK
    """The address that it listens on."""
    address: str | None = None
    """Where browsers reach it, if that is elsewhere: through a proxy, or by a name."""
    proxies: str = LOOPBACK
    """The addresses of proxies that are believed about where a request comes from."""
    tls: Tls | None = None


def require_safe(wanted: Wanted) -> None:
    """Raise UsageError for what would leave the board, or passwords, open to others.

    Raises FileUnusable for a certificate that cannot be read.
    """
    is_local = _is_loopback(wanted.host) and wanted.address is None
    if wanted.is_open and not wanted.users:
        raise UsageError(
            "nobody registers at a board without users",
            hint="adw-worktree board --users --open-registration",
        )
    if not wanted.users and not is_local:
        raise UsageError(
            "a board that others can reach needs users: whoever reaches it runs programs as you",
            hint="adw-worktree board --users",
        )
    _require_address(wanted)
    for file in wanted.tls or ():
        try:
            file.read_bytes()
        except OSError as exc:
            raise FileUnusable.because(f"{file} cannot be read", exc) from exc


def _require_address(wanted: Wanted) -> None:
    """Raise UsageError unless browsers can reach the board at its address, and safely."""
    address = wanted.address
    if address is None:
        if not _is_loopback(wanted.host):
            raise UsageError(
                f"the board that listens on {wanted.host} has to know what browsers call it",
                hint="name it with --address https://board.example.com",
            )
        return
    if not re.fullmatch(_ADDRESS, address):
        raise UsageError(
            f"{address!r} is no address of a board",
            hint="give it as https://board.example.com, without a path",
        )
    scheme, _, host = address.partition("://")
    if scheme == "http" and not _is_loopback(host.partition(":")[0]):
        raise UsageError(
            "passwords would cross the network for all to read",
            hint="have TLS: with --tls-cert and --tls-key, or by a proxy; then "
            "--address https://board.example.com",
        )


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")

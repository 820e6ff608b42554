"""The keys of a board that has no users: the link that opens it, the cookie, programs' tokens.

What holds here: whoever can read the state directory may use the board, and nobody else; every key
is signed with the secret that lies there. A link is good for one browser, for ten minutes.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from adw_worktree.board.access.places import board_directory
from adw_worktree.board.access.tokens import read_token, sign
from adw_worktree.errors import FileUnusable
from adw_worktree.system.atomic import write_atomically

LINK_SECONDS = 600
SESSION_SECONDS = 30 * 24 * 3600
_SECRET_BYTES = 32

Use = Literal["link", "session"]


class Keys(NamedTuple):
    """What signs and reads the keys of one state directory."""

    secret: str
    used: Path
    """A directory with an empty file for each link that was followed."""
    clock: Callable[[], float] = time.time

    def link(self) -> str:
        """Return a key that opens the board once."""
        return self._signed("link", LINK_SECONDS)

    def follow(self, link: str) -> bool:
        """Return whether a link opens the board: it does so once, in whichever process."""
        claims = self._claims(link, "link")
        if claims is None:
            return False
        self._forget_old_links()
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            os.close(os.open(self.used / str(claims["jti"]), flags, 0o600))
        except FileExistsError:
            return False
        return True

    def session(self) -> str:
        """Return what a browser shows from now on, as its cookie."""
        return self._signed("session", SESSION_SECONDS)

    def is_session(self, key: str) -> bool:
        """Return whether a cookie is one of ours that has not expired."""
        return self._claims(key, "session") is not None

    @property
    def program_token(self) -> str:
        """What programs show: it stays the same as long as the secret does."""
        return self._derived("programs").hex()

    @property
    def hook_secret(self) -> str:
        """What reports are signed with, as https://www.standardwebhooks.com has it."""
        return f"whsec_{base64.b64encode(self._derived('hooks')).decode()}"

    @property
    def user_key(self) -> str:
        """What signs the sessions of users: the secret itself signs links, which are none."""
        return self._derived("users").hex()

    def is_program(self, token: str) -> bool:
        """Return whether a program shows the right token."""
        return hmac.compare_digest(token.encode(), self.program_token.encode())

    def _signed(self, use: Use, seconds: int) -> str:
        claims = {"aud": use, "jti": secrets.token_hex(16), "exp": int(self.clock()) + seconds}
        return sign(claims, self.secret)

    def _claims(self, key: str, use: Use) -> dict[str, Any] | None:
        return read_token(key, self.secret, use, ["jti"], self.clock())

    def _derived(self, use: str) -> bytes:
        return hmac.digest(self.secret.encode(), use.encode(), "sha256")

    def _forget_old_links(self) -> None:
        for file in self.used.iterdir():
            with suppress(OSError):  # another board was faster
                if file.stat().st_mtime < self.clock() - 2 * LINK_SECONDS:
                    file.unlink()


def load_keys(state_dir: Path) -> Keys:
    """Return the keys of a state directory, whose secret is made now if there is none.

    Raises FileUnusable.
    """
    directory = board_directory(state_dir)
    used, file = directory / "links", directory / "secret"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        used.mkdir(mode=0o700, exist_ok=True)
        if not (secret := _read(file)):
            made = directory / f".secret-{os.getpid()}-{os.urandom(4).hex()}"
            write_atomically(made, secrets.token_hex(_SECRET_BYTES).encode(), mode=0o600)
            with suppress(FileExistsError):  # somebody was faster, and that one's stays
                os.link(made, file)
            made.unlink()
            secret = _read(file)
    except OSError as exc:
        raise FileUnusable.because(f"the secret of the board, {file}, cannot be used", exc) from exc
    return Keys(secret, used)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""

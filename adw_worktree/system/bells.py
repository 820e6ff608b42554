"""Bells: named pipes by which a process wakes another that sleeps in the kernel.

What holds here: a ring says "look again", perhaps at what, and nothing else, so that one too many
does no harm, and one that is lost with its hearer is made good by whoever starts the next: a bell
without a hearer was left by a process that died with work before it. A pipe, not a socket: the path
of a socket has 108 bytes at most, and a state directory may lie deeper.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from adw_worktree.system.named_tuple import NamedTuple

_READ_BYTES = 65536
_MUCH_BYTES = 32768
"""So much in the pipe at once, and rings may have been lost: it takes 64 KiB on Linux."""
_HANGING_SECONDS = 60.0
"""Nobody takes so long to hang a bell that was made."""
ALL = ""
"""The word of a ring that does not say what to look at."""


class Bell(NamedTuple):
    """A bell that this process hears."""

    path: Path
    descriptor: int
    """Readable when somebody rang."""

    def silence(self) -> bool:
        """Forget the rings until now; return whether there were any."""
        return bool(self.words())

    def words(self) -> set[str]:
        """Return what the rings until now were about, and forget them."""
        said = b""
        with suppress(BlockingIOError):
            while data := os.read(self.descriptor, _READ_BYTES):
                said += data
        found = set(said.decode(errors="replace").splitlines())
        return found | {ALL} if len(said) >= _MUCH_BYTES else found

    def take_down(self) -> None:
        """Remove the bell; whoever rings from now on finds none."""
        with suppress(FileNotFoundError):
            self.path.unlink()

    def close(self) -> None:
        """Stop hearing, as a process that ends does."""
        os.close(self.descriptor)


def hang(path: Path) -> Bell:
    """Make the bell at `path`, in place of what a dead process left there. Raises OSError.

    At no moment is there none, if there was one.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}")
    while True:
        with suppress(FileNotFoundError):
            made.unlink()
        os.mkfifo(made, 0o600)
        try:
            return Bell(path, _hung(made, path))
        except FileNotFoundError:
            continue  # whoever rang all bells just now took it for one that a dead process left


def _hung(made: Path, path: Path) -> int:
    """Hear the bell that was made, and put it in its place."""
    # Writable, too: else the pipe is at its end whenever nobody rings.
    descriptor = os.open(made, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.rename(made, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def hang_unheard(path: Path) -> None:
    """Make a bell as a dead process leaves it, if there is none. Raises OSError."""
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)


def ring(path: Path, word: str = ALL) -> bool | None:
    """Ring the bell at `path`: True if somebody hears it, False if whoever did is dead.

    `word`, one short line, says what there is to look at. None if there is no bell, or nothing that
    may be used as one.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as exc:
        return False if exc.errno == errno.ENXIO else None
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return None
        with suppress(BlockingIOError):  # full: it was rung often enough
            os.write(descriptor, f"{word}\n".encode())
        return True
    except BrokenPipeError:
        return False
    finally:
        os.close(descriptor)


def ring_all(directory: Path) -> None:
    """Ring every bell in `directory`, and remove those whose hearers are dead."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if name.startswith(".") and _is_new(directory / name):
            continue  # somebody is just about to hang it
        if ring(directory / name) is False:
            with suppress(OSError):
                (directory / name).unlink()


def _is_new(path: Path) -> bool:
    try:
        return abs(time.time() - path.lstat().st_mtime) < _HANGING_SECONDS
    except OSError:
        return True

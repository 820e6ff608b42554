"""git's `info/exclude`: which file that is, our block in it, and what a person wrote around that.

What holds here: there is one block of ours at most, and every other byte stays. A link is followed,
not replaced: a person has the file elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from adw_worktree.repo.git import run_git
from adw_worktree.repo.repository import Repository
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists, is_dir, is_symlink
from adw_worktree.system.sharing import make_directories

BEGIN = b"# >>> adw-worktree >>>"
END = b"# <<< adw-worktree <<<"


def exclude_file(repo: Repository) -> Path:
    """Return the file that git reads as `info/exclude`, wherever a link leads."""
    path = repo.common_dir / "info" / "exclude"
    return Path(os.path.realpath(path)) if is_symlink(path) else path


def is_shared(repo: Repository) -> bool:
    """Return whether the file lies outside of git's directory, where others may read it, too."""
    path = repo.common_dir / "info" / "exclude"
    return is_symlink(path) and not exclude_file(repo).is_relative_to(repo.common_dir)


def is_tracked(repo: Repository) -> bool:
    """Return whether a link leads to a file of the main worktree that git tracks."""
    if repo.main is None or not is_shared(repo):
        return False
    path = exclude_file(repo)
    if not path.is_relative_to(repo.main):
        return False
    return bool(run_git(["ls-files", "-z", "--", str(path)], repo.checkout, check=False).stdout)


def load_exclude(repo: Repository) -> bytes:
    """Return what is in the file; nothing if it cannot be read."""
    try:
        return exclude_file(repo).read_bytes()
    except OSError:
        return b""


def write_exclude(repo: Repository, data: bytes) -> None:
    """Replace what is in the file, under the permissions that it has. Raises OSError."""
    path = exclude_file(repo)
    if not is_dir(path.parent):
        make_directories(path.parent)
        reached("exclude.directory")
    there = exists(path)
    mode = path.stat().st_mode & 0o777 if there else 0o644
    write_atomically(path, data, mode=mode, shared=not there)


def block_lines(data: bytes) -> list[bytes]:
    """Return the lines of our blocks, of which there may be several."""
    return [line for line, is_ours in _told_apart(data) if is_ours and line not in (BEGIN, END)]


def count_blocks(data: bytes) -> int:
    """Return how many blocks of ours there are."""
    return sum(is_ours and line == BEGIN for line, is_ours in _told_apart(data))


def with_block(data: bytes, lines: Iterable[bytes]) -> bytes:
    """Return `data` with these lines in one block of ours, where the first was or at the end."""
    block = b"".join(line + b"\n" for line in (BEGIN, *lines, END))
    around, placed = b"", False
    for line, is_ours in _told_apart(data, raw=True):
        if not is_ours:
            around += line
        elif not placed:
            around, placed = around + block, True
    if placed:
        return around
    return around + (b"\n" if around and not around.endswith(b"\n") else b"") + block


def _told_apart(data: bytes, *, raw: bool = False) -> list[tuple[bytes, bool]]:
    """Return each line, and whether it belongs to a block of ours that is whole.

    Lines may end in CR LF, as git allows; they come without their end, unless `raw`.
    """
    found: list[tuple[bytes, bool]] = []
    begun: int | None = None
    for line in _lines(data):
        bare = line.rstrip(b"\r\n")
        if bare == BEGIN:
            begun = len(found)
        found.append((line if raw else bare, False))
        if bare == END and begun is not None:
            found[begun:] = [(text, True) for text, _ in found[begun:]]
            begun = None
    return found


def _lines(data: bytes) -> list[bytes]:
    """Return the lines with their ends, as git sees them: a lone CR ends none."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]

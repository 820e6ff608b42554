"""One hook file: our block put beside what is there, and taken out again byte for byte.

What holds here: no byte that a person or another tool wrote is lost, neither by a crash between two
steps nor by whoever writes over our part; what cannot be told apart is left to a person.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import is_dir, is_file, is_symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    How = Literal["file", "block", "chained", "legacy"]

EVENTS = (
    "post-checkout",
    "post-merge",
    "post-commit",
    "post-rewrite",
    "reference-transaction",
    "post-index-change",
)

CLAUDE_FILE = ".claude/settings.json"
AGENTS_FILE = "AGENTS.md"
"""Files of the main worktree that have hooks, and words, for coding agents."""
CLAUDE_BEFORE = "settings.json.before"
"""In our own directory: the first one's bytes from before we changed it."""

BEGIN = b"# >>> adw-worktree >>>\n"
END = b"# <<< adw-worktree <<<\n"
ALONE = b"#!/bin/sh\n"
ASIDE = ".adw-worktree-chained"
LEGACY = ".legacy"
"""How the name ends that pre-commit gives to a hook which was there before its own, and runs."""
_OLDER_CHAIN = b'[ ! -x "${0}%(aside)b" ] || exec "${0}%(aside)b" "$@"\n' % {
    b"aside": ASIDE.encode()
}
"""As earlier versions wrote it; it finds nothing once the file was given another name."""
_LFS_LINE = rb'#.*|command -v git-lfs .*|git lfs [a-z-]+ "\$@"|\s*'
_SHELL = rb"#!\s*\S*/(env\s+)?(ba|da|z|k|a)?sh(\s[^\n]*)?\n"
# Another program reads the file, too: `'''exec' python "$0"`, `eval 'exec perl -S $0'`.
_POLYGLOT = rb"""\A[^\n]*\n\s*["':]|\bexec\b[^\n]*\$\{?0"""


def block_in(path: Path) -> bytes | None:
    """Return our block in the hook at `path`, or None if there is no whole one."""
    parts = _parts(_content(path) or b"")
    return parts[1] if parts else None


def how_in(path: Path) -> How | None:
    """Return in what way our block stands in the hook at `path`; None if it does not."""
    parts = _parts(_content(path) or b"")
    if parts is None:
        return None
    if os.path.lexists(_aside(path)):
        return "chained"
    if path.name.endswith(LEGACY):
        return "legacy"
    return "file" if parts[0] + parts[2] == ALONE else "block"


def place_of(path: Path) -> Path:
    """Return the file that our block for the hook at `path` is in, or belongs into.

    That is another one where a hook manager has moved ours aside and runs it from there.
    """
    moved = path.with_name(path.name + LEGACY)
    if block_in(path) is None and is_file(path) and block_in(moved) is not None:
        return moved
    return path


def is_of_lfs(path: Path) -> bool:
    """Return whether the hook at `path` is that of Git LFS, with our block in it or without.

    Git LFS knows its own hooks by every byte, and refuses to install beside others.
    """
    content = _content(path) or b""
    parts = _parts(content)
    lines = (parts[0] + parts[2] if parts else content).split(b"\n")
    calls = any(line.startswith(b"git lfs ") for line in lines)
    return calls and all(re.fullmatch(_LFS_LINE, line) for line in lines)


def is_alone(path: Path) -> bool:
    """Return whether there is no hook at `path` but ours."""
    parts = _parts(_content(path) or b"")
    if parts is None:
        return not os.path.lexists(path)
    return parts[0] + parts[2] == ALONE and not os.path.lexists(_aside(path))


def obstacle(path: Path) -> str | None:
    """Return why the hook at `path` has to be put in order by a person first, or None."""
    content = _content(path)
    parts = _parts(content or b"")
    if content is not None and parts is None and (BEGIN in content or END in content):
        return "our block in it is damaged: take the rest of it out, then install again"
    aside = _aside(path)
    if (
        parts is None
        and os.path.lexists(path)
        and os.path.lexists(aside)
        and not _same(path, aside)
        and place_of(path) == path
    ):
        return f"it replaced ours, which ran {aside.name}: join the two, and delete that one"
    return None


def put_in(path: Path, block: bytes) -> None:
    """Put the block into the hook at `path`, or a hook of our own in front of it.

    Call it where `obstacle` finds none, and with nobody else changing hooks. Raises OSError.
    """
    path, name = place_of(path), path.name
    content = _content(path)
    parts = _parts(content or b"")
    if parts is not None:
        after = _chain(name) if parts[2] == _OLDER_CHAIN else parts[2]
        _rewrite(path, parts[0] + block + after)
    elif content is not None and _takes_block(path, content):
        first = content.index(b"\n") + 1
        _rewrite(path, content[:first] + block + content[first:])
    else:
        _set_aside(path)
        chained = os.path.lexists(_aside(path))
        data = ALONE + block + (_chain(name) if chained else b"")
        write_atomically(path, data, mode=0o755, shared=True)


def take_out(path: Path) -> None:
    """Take our block out of the hook at `path`; what others added meanwhile stays.

    Raises OSError.
    """
    for moved in _moved_aside(path):
        _take_out_moved(moved, path)
    if obstacle(path) is not None:
        return
    parts = _parts(_content(path) or b"")
    aside = _aside(path)
    rest = parts[0] + parts[2] if parts else None
    if os.path.lexists(aside) and (_only_chains(rest, path) or not os.path.lexists(path)):
        aside.rename(path)
        reached("hook.back")
    elif parts is None and os.path.lexists(aside):
        aside.unlink()  # the same file twice: it was being set aside
        reached("hook.once")
    elif rest == ALONE:
        path.unlink()
        reached("hook.removed")
    elif rest is not None:
        _rewrite(path, rest)


def _moved_aside(path: Path) -> list[Path]:
    """Return the files beside the hook, named after it, that other tools moved our block into."""
    beside = path.parent.glob(f"{path.name}.*") if is_dir(path.parent) else ()
    return sorted(one for one in beside if one != _aside(path) and block_in(one) is not None)


def _take_out_moved(moved: Path, path: Path) -> None:
    """Take our block out of a file that was the hook at `path`. Raises OSError."""
    parts = _parts(_content(moved) or b"")
    if parts is None:
        return
    rest, aside = parts[0] + parts[2], _aside(path)
    if _only_chains(rest, path) and os.path.lexists(aside) and os.path.lexists(path):
        aside.rename(moved)  # what ours ran is run in its place
        reached("hook.back")
    elif rest == ALONE or _only_chains(rest, path):
        moved.unlink()
        reached("hook.removed")
    else:
        _rewrite(moved, rest)


def _only_chains(rest: bytes | None, path: Path) -> bool:
    """Return whether a hook without our block does nothing but run the one that was set aside."""
    return rest in (ALONE + _chain(path.name), ALONE + _OLDER_CHAIN)


def _chain(name: str) -> bytes:
    """Return the line that runs the hook of that name which was set aside.

    It names the file: whoever moves ours does not take that along.
    """
    aside = b'"${0%%/*}/%b"' % os.fsencode(name + ASIDE)
    return b'[ ! -x %b ] || exec %b "$@"\n' % (aside, aside)


def _parts(content: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return what is before our block, the block, and what is after; None without a whole one."""
    before, opened, rest = content.partition(BEGIN)
    block, closed, after = rest.partition(END)
    if not opened or not closed or BEGIN in block:
        return None
    return before, opened + block + closed, after


def _takes_block(path: Path, content: bytes) -> bool:
    """Whether a hook is a shell script that runs, so that the block can stand in it."""
    if is_symlink(path) or not os.access(path, os.X_OK) or b"\r\n" in content:
        return False
    return re.match(_SHELL, content) is not None and re.search(_POLYGLOT, content) is None


def _set_aside(path: Path) -> None:
    """Give the hook at `path` its second name, under which ours runs it.

    Both names stand until ours is written over the first, so that at no time none runs.
    """
    aside = _aside(path)
    if not os.path.lexists(path) or os.path.lexists(aside):
        return
    try:
        os.link(path, aside, follow_symlinks=False)
        reached("hook.twice")
    except OSError:  # a file system without hard links
        path.rename(aside)


def _rewrite(path: Path, content: bytes) -> None:
    write_atomically(path, content, mode=path.stat().st_mode & 0o7777)


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ASIDE)


def _same(one: Path, other: Path) -> bool:
    return os.path.samestat(one.lstat(), other.lstat())


def _content(path: Path) -> bytes | None:
    """Return what the hook file holds; None if there is no regular file that can be read."""
    try:
        return path.read_bytes() if is_file(path) else None
    except OSError:
        return None

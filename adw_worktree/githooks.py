"""Managed git hooks: put in place beside what is there, taken out byte for byte, inspected.

What holds here: a file that git tracks is never changed, nor one that serves other repositories
too; what a person wrote around our block stays; a hook of another kind runs as before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal

from .atomic import write_atomically
from .errors import GitFailed
from .gitrepo import Repository, git_version, run_git
from .resources import shipped_text

EVENTS = (
    "post-checkout",
    "post-merge",
    "post-commit",
    "post-rewrite",
    "reference-transaction",
    "post-index-change",
)
CONFIG_GIT = (2, 54)
"""Since then hooks can stand in git's configuration, several for an event, in no file's way."""

_BEGIN = b"# >>> adw-worktree >>>\n"
_END = b"# <<< adw-worktree <<<\n"
_SHELL = re.compile(rb"#!\s*\S*/(env\s+)?(ba|da|z|k|a)?sh(\s[^\n]*)?\n")
_ASIDE = ".adw-worktree-chained"
_ALONE = b"#!/bin/sh\n"
_CHAIN = '[ ! -x "${0}%(aside)s" ] || exec "${0}%(aside)s" "$@"\n' % {"aside": _ASIDE}  # noqa: UP031

State = Literal["installed", "outdated", "absent", "foreign", "refused"]
How = Literal["file", "block", "chained", "config"]


@dataclass(frozen=True, slots=True)
class HookState:
    """What is in place for one event."""

    event: str
    path: str
    state: State
    how: How | None = None
    note: str | None = None
    """Why nothing was done, and what a person can do."""


def install(
    repo: Repository,
    *,
    command: Sequence[str],
    watched: Path | None = None,
    use_config: bool | None = None,
) -> list[HookState]:
    """Put the managed hooks in place; a second time brings them up to date.

    `command` runs this tool. `watched` is the directory that holds the worktrees. `use_config`
    says whether they stand in git's configuration; None leaves it to git's version. Raises
    GitFailed if a file cannot be written.
    """
    if use_config is None:
        use_config = git_version(repo.home) >= CONFIG_GIT
    blocks = {event: _block(repo, event, command, watched) for event in EVENTS}
    try:
        if use_config:
            _install_in_config(repo, blocks)
        else:
            _install_in_files(repo, blocks)
    except OSError as exc:
        raise GitFailed(f"the hook {exc.filename} cannot be written: {exc.strerror}") from exc
    return status(repo)


def uninstall(repo: Repository) -> list[HookState]:
    """Take the managed hooks out, every file as it was; what others added meanwhile stays."""
    try:
        _uninstall_from_config(repo)
        directory = _hooks_directory(repo)
        for event in EVENTS:
            _take_out(directory / event)
        exclude = repo.common_dir / "info" / "exclude"
        if exclude.is_file():
            _replace(exclude, _without_block(exclude.read_bytes(), b" hooks"))
    except OSError as exc:
        raise GitFailed(f"the hook {exc.filename} cannot be taken out: {exc.strerror}") from exc
    return status(repo)


def status(repo: Repository) -> list[HookState]:
    """Return what is in place for each event."""
    directory = _hooks_directory(repo)
    refusal = _refusal(repo, directory)
    return [_state(repo, directory / event, event, refusal) for event in EVENTS]


def _state(repo: Repository, path: Path, event: str, refusal: str | None) -> HookState:
    script = _script_directory(repo) / event
    if script.is_file() and event in _configured(repo):
        return HookState(event, str(script), "installed", "config")
    current = _bytes(path)
    if current is not None and _BEGIN in current:
        how: How = "block"
        if _aside(path).exists() or _aside(path).is_symlink():
            how = "chained"
        elif _without_block(current) == _ALONE:
            how = "file"
        state: State = "installed" if str(repo.common_dir).encode() in current else "outdated"
        return HookState(event, str(path), state, how)
    note = refusal or _tracked_note(repo, path)
    if note is not None:
        return HookState(event, str(path), "refused", None, note)
    return HookState(event, str(path), "absent" if not path.exists() else "foreign")


# ---- the text ----------------------------------------------------------------------------------


def _block(repo: Repository, event: str, command: Sequence[str], watched: Path | None) -> bytes:
    """Return the shipped hook with everything that is particular to this repository, quoted."""
    values = {
        "@EVENT@": event,
        "@COMMON@": quote(str(repo.common_dir)),
        "@WATCHED@": quote(str(watched or repo.common_dir)),
        "@COMMAND@": " ".join(quote(word) for word in command),
    }
    text = re.sub(
        "|".join(values), lambda found: values[found[0]], shipped_text("hooks", "git-hook.sh")
    )
    return text.encode(errors="surrogateescape")


def _without_block(data: bytes, kind: bytes = b"") -> bytes:
    """Return `data` without our block; as it is, if the block is not whole."""
    begin, end = (mark.replace(b"adw-worktree", b"adw-worktree" + kind) for mark in (_BEGIN, _END))
    before, opened, rest = data.partition(begin)
    _, closed, after = rest.partition(end)
    return before + after if opened and closed else data


# ---- in files ----------------------------------------------------------------------------------


def _install_in_files(repo: Repository, blocks: dict[str, bytes]) -> None:
    directory = _hooks_directory(repo)
    if _refusal(repo, directory) is not None:
        return
    directory.mkdir(parents=True, exist_ok=True)
    for event, block in blocks.items():
        path = directory / event
        if _tracked_note(repo, path) is None:
            _put_in(path, block)
            _hide(repo, path)


def _put_in(path: Path, block: bytes) -> None:
    """Put the block into the hook at `path`, or a hook of our own in front of it."""
    current = _bytes(path)
    if current is not None and _BEGIN in current:
        before = current.partition(_BEGIN)[0]
        rest = _without_block(current)[len(before) :]
        write_atomically(path, before + block + rest, mode=path.stat().st_mode & 0o7777)
    elif current is None and not path.is_symlink():
        write_atomically(path, _ALONE + block, mode=0o755)
    elif _takes_block(path, current):
        assert current is not None
        first = current.index(b"\n") + 1
        write_atomically(
            path, current[:first] + block + current[first:], mode=path.stat().st_mode & 0o7777
        )
    else:
        path.rename(_aside(path))
        write_atomically(path, _ALONE + block + _CHAIN.encode(), mode=0o755)


def _takes_block(path: Path, current: bytes | None) -> bool:
    """Whether a hook is a shell script that runs, so that the block can stand in it."""
    if current is None or path.is_symlink() or not os.access(path, os.X_OK):
        return False
    return _SHELL.match(current) is not None and b"\r\n" not in current


def _take_out(path: Path) -> None:
    current = _bytes(path)
    if current is None or _BEGIN not in current:
        return
    rest = _without_block(current)
    if _aside(path).exists() or _aside(path).is_symlink():
        _aside(path).rename(path)
    elif rest == _ALONE:
        path.unlink()
    else:
        _replace(path, rest)


def _replace(path: Path, data: bytes) -> None:
    if path.read_bytes() != data:
        write_atomically(path, data, mode=path.stat().st_mode & 0o7777)


def _aside(path: Path) -> Path:
    return path.with_name(path.name + _ASIDE)


def _bytes(path: Path) -> bytes | None:
    """Return what the hook file holds; None if there is no regular file."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return b""


def _hooks_directory(repo: Repository) -> Path:
    """Return where git looks for hooks, `core.hooksPath` honoured."""
    answer = run_git(["rev-parse", "--path-format=absolute", "--git-path", "hooks"], repo.home)
    return Path(answer.stdout.removesuffix("\n"))


def _refusal(repo: Repository, directory: Path) -> str | None:
    """Return why no hook can be put into `directory` at all, or None."""
    if directory.exists() and not directory.is_dir():
        return f"core.hooksPath is {directory}: hooks are switched off"
    places = [repo.common_dir, *([repo.main] if repo.main else [])]
    if not any(directory.is_relative_to(place) for place in places):
        return (
            f"{directory} serves other repositories too (core.hooksPath); git >= 2.54 needs no file"
        )
    return None


def _tracked_note(repo: Repository, path: Path) -> str | None:
    """Return why a tracked hook is left alone; None if it is not tracked."""
    if repo.main is None or not path.is_relative_to(repo.main):
        return None
    listed = run_git(["ls-files", "-z", "--", str(path)], repo.main, check=False)
    if not listed.stdout:
        return None
    return "tracked by git; add the block of another event's hook yourself, or use git >= 2.54"


def _hide(repo: Repository, path: Path) -> None:
    """Keep a hook file of ours that lies in the main worktree out of `git status`."""
    if repo.main is None or path.is_relative_to(repo.common_dir):
        return
    if not path.is_relative_to(repo.main):
        return
    ignored = run_git(["check-ignore", "--quiet", "--", str(path)], repo.main, check=False)
    if ignored.returncode == 0:
        return
    exclude = repo.common_dir / "info" / "exclude"
    data = exclude.read_bytes() if exclude.is_file() else b""
    before = _without_block(data, b" hooks")
    begin, end = (mark.replace(b"adw-worktree", b"adw-worktree hooks") for mark in (_BEGIN, _END))
    lines = data.partition(begin)[2].partition(end)[0]
    name = "".join(
        f"\\{char}" if char in "\\*?[]!# " else char
        for char in path.relative_to(repo.main).as_posix()
    )
    lines += f"/{name}\n/{name}{_ASIDE}\n".encode(errors="surrogateescape")
    exclude.parent.mkdir(exist_ok=True)
    # In front, so that a file without a newline at its end comes back as it was.
    write_atomically(exclude, begin + lines + end + before)


# ---- in git's configuration --------------------------------------------------------------------


def _install_in_config(repo: Repository, blocks: dict[str, bytes]) -> None:
    directory = _script_directory(repo)
    directory.mkdir(parents=True, exist_ok=True)
    configured = set(_configured(repo))
    for event, block in blocks.items():
        script = directory / event
        write_atomically(script, _ALONE + block, mode=0o755)
        if event not in configured:
            name = f"hook.adw-worktree-{event}"
            run_git(["config", "--local", f"{name}.command", quote(str(script))], repo.home)
            run_git(["config", "--local", f"{name}.event", event], repo.home)


def _uninstall_from_config(repo: Repository) -> None:
    for event in _configured(repo):
        run_git(["config", "--local", "--remove-section", f"hook.adw-worktree-{event}"], repo.home)
    directory = _script_directory(repo)
    for event in EVENTS:
        (directory / event).unlink(missing_ok=True)
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()


def _configured(repo: Repository) -> Iterator[str]:
    """Yield the events that git's configuration has a managed hook for."""
    pattern = r"^hook\.adw-worktree-.*\.event$"
    listed = run_git(["config", "--local", "-z", "--get-regexp", pattern], repo.home, check=False)
    for item in listed.stdout.split("\0"):
        event = item.partition("\n")[2]
        if event in EVENTS:
            yield event


def _script_directory(repo: Repository) -> Path:
    return repo.tool_dir / "hooks"

"""What coding agents read: our part put into their files, and taken out again byte for byte.

What holds here: a file that cannot be read for what it is stays as it is; what a person wrote or
changed around our part stays.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from adw_worktree.errors import FileUnusable
from adw_worktree.integrations.hook_file import AGENTS_FILE, CLAUDE_BEFORE, CLAUDE_FILE
from adw_worktree.repo.repository import Repository
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_symlink
from adw_worktree.system.sharing import make_directories
from adw_worktree.system.shipped import shipped_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    State = Literal["installed", "absent", "damaged"]

BEGIN = b"<!-- >>> adw-worktree >>> -->\n"
JOINED = b"\n<!-- >>> adw-worktree (the line break above is ours) >>> -->\n"
"""In place of BEGIN in an empty file, or after a last line that has no end: had back like that."""
END = b"<!-- <<< adw-worktree <<< -->\n"

_EVENTS = {"WorktreeCreate": "create", "WorktreeRemove": "remove"}
_MARK = "claude-hook"


class FileState(NamedTuple):
    """Whether our part is in a file."""

    path: Path
    state: State
    note: str | None = None
    """Why that cannot be told."""


# ---- Claude Code's settings --------------------------------------------------------------------


def install_claude(repo: Repository, command: str) -> FileState:
    """Have Claude Code call us for its worktrees; `command` runs this tool, as a shell reads it.

    Raises FileUnusable if its settings are no JSON object, with nothing changed.
    """
    path = repo.home / CLAUDE_FILE
    before = _content(path)
    present = _parsed(path, before)
    document = _without_ours(present)
    hooks = document.setdefault("hooks", {})
    for event, action in _EVENTS.items():
        ours = {"hooks": [{"type": "command", "command": f"{command} {_MARK} {action}"}]}
        hooks[event] = [*hooks.get(event, []), ours]
    after = _written(document, before)
    if not (_is_in(present) and exists(_kept(repo))):
        _keep(repo, before)
    _write(path, after)
    return FileState(path, "installed")


def uninstall_claude(repo: Repository) -> FileState:
    """Take our part out: the very bytes from before if nothing else has changed since.

    Raises FileUnusable.
    """
    path = repo.home / CLAUDE_FILE
    now = _content(path)
    present = _parsed(path, now)
    if _is_in(present):
        kept = _kept(repo)
        document = _without_ours(present)
        if exists(kept) and document == _parsed(path, kept.read_bytes() or None):
            _restore(path, kept.read_bytes())
        else:
            _write(path, _written(document, now))
    _kept(repo).unlink(missing_ok=True)
    return FileState(path, "absent")


def claude_state(repo: Repository) -> FileState:
    """Return whether Claude Code calls us."""
    path = repo.home / CLAUDE_FILE
    return _state(path, lambda: _is_in(_parsed(path, _content(path))))


def _parsed(path: Path, data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    hint = f"mend {path} by hand, and repeat"
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise FileUnusable(f"{path} is no JSON: {exc}", hint=hint) from exc
    hooks = document.get("hooks", {}) if isinstance(document, dict) else None
    if not isinstance(hooks, dict) or not all(isinstance(one, list) for one in hooks.values()):
        raise FileUnusable(f"{path} has no settings as Claude Code reads them", hint=hint)
    return document  # type: ignore[no-any-return]


def _is_of_ours(group: object) -> bool:
    """Whether a group of hooks is the one that we put in."""
    found = group.get("hooks") if isinstance(group, dict) else None
    return (
        isinstance(found, list)
        and len(found) == 1
        and isinstance(found[0], dict)
        and f" {_MARK} " in str(found[0].get("command"))
    )


def _is_in(document: dict[str, Any]) -> bool:
    return any(
        _is_of_ours(group)
        for event in _EVENTS
        for group in document.get("hooks", {}).get(event, [])
    )


def _without_ours(document: dict[str, Any]) -> dict[str, Any]:
    """Return the settings without our hooks, and without what is empty for it."""
    if not _is_in(document):
        return document
    hooks = {
        event: [group for group in groups if not (event in _EVENTS and _is_of_ours(group))]
        for event, groups in document["hooks"].items()
    }
    left = {event: groups for event, groups in hooks.items() if groups or event not in _EVENTS}
    rest = {key: value for key, value in document.items() if key != "hooks"}
    return {**document, "hooks": left} if left else rest


def _written(document: dict[str, Any], like: bytes | None) -> bytes:
    """Return the settings as JSON, indented as the file was."""
    first = re.search(rb"\n([ \t]+)", like or b"")
    indent = first[1].decode() if first else "  "
    return json.dumps(document, indent=indent, ensure_ascii=False).encode() + b"\n"


# ---- what was there before ---------------------------------------------------------------------


def _kept(repo: Repository) -> Path:
    return repo.tool_dir / CLAUDE_BEFORE


def _keep(repo: Repository, before: bytes | None) -> None:
    """Keep the bytes that uninstalling is to bring back; none stands for no file."""
    make_directories(_kept(repo).parent)
    write_atomically(_kept(repo), before or b"", shared=True)
    reached("agent-file.kept")


def _restore(path: Path, before: bytes) -> None:
    if before:
        _write(path, before)
        return
    path.unlink(missing_ok=True)
    reached("agent-file.removed")
    _remove_if_empty(path.parent)


def _remove_if_empty(directory: Path) -> None:
    if directory.name == Path(CLAUDE_FILE).parent.name and not any(directory.iterdir()):
        directory.rmdir()


# ---- AGENTS.md ---------------------------------------------------------------------------------


def install_agents(repo: Repository) -> FileState:
    """Tell agents how worktrees are made here, in a section of AGENTS.md. Raises FileUnusable."""
    path = repo.home / AGENTS_FILE
    content = _content(path)
    before, ours, after = _split(content or b"")
    is_open = content is not None and not before.endswith(b"\n")
    begin = JOINED if ours.startswith(JOINED) or (is_open and not ours) else BEGIN
    section = begin + shipped_text("templates/agents", "agents.md").encode() + END
    _write(path, before + section + after)
    return FileState(path, "installed")


def uninstall_agents(repo: Repository) -> FileState:
    """Take the section out, every other byte as it was. Raises FileUnusable."""
    path = repo.home / AGENTS_FILE
    before, ours, after = _split(_content(path) or b"")
    if ours.startswith(JOINED):
        _write(path, before + after)
    elif ours:
        _restore(path, before + after)
    return FileState(path, "absent")


def agents_state(repo: Repository) -> FileState:
    """Return whether the section is there."""
    path = repo.home / AGENTS_FILE
    return _state(path, lambda: bool(_split(_content(path) or b"")[1]))


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what is before our section, the section, and what is after it."""
    before, opened, rest = data.partition(JOINED if JOINED in data else BEGIN)
    inside, closed, after = rest.partition(END)
    return (before, opened + inside + closed, after) if opened and closed else (data, b"", b"")


# ---- files -------------------------------------------------------------------------------------


def _state(path: Path, is_in: Callable[[], bool]) -> FileState:
    try:
        return FileState(path, "installed" if is_in() else "absent")
    except FileUnusable as exc:
        return FileState(path, "damaged", exc.message)


def _content(path: Path) -> bytes | None:
    """Return the file's bytes, None if there is none. Raises FileUnusable."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise FileUnusable.because(f"{path} cannot be read", exc) from exc


def _write(path: Path, data: bytes) -> None:
    try:
        if is_symlink(path):
            raise FileUnusable(
                f"{path} is a symbolic link, through which nothing is written",
                hint="put a file in its place, and repeat",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if exists(path) else 0o644
        write_atomically(path, data, mode=mode)
        reached("agent-file.written")
    except OSError as exc:
        raise FileUnusable.because(f"{path} cannot be written", exc) from exc


def shell_words(command: Sequence[str]) -> str:
    """Return how this tool is run from a file that others have, too: by name, if that is found."""
    from shlex import join
    from shutil import which

    return "adw-worktree" if which("adw-worktree", path=os.environ.get("PATH")) else join(command)

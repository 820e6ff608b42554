"""Keeping what we write out of `git status`, through the common directory's `info/exclude`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from adw_worktree.errors import LedgerError, remedy
from adw_worktree.project import Project
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held
from adw_worktree.system.paths import exists, is_dir

BEGIN = "# >>> adw-worktree >>>"
END = "# <<< adw-worktree <<<"


def ensure_excluded(project: Project, worktree: Path | None) -> None:
    """Make git ignore the ledger, the env files and the directory that holds `worktree`.

    Called before any of them is written. Without a worktree, the ledger and the env files.
    Writes only when a pattern is missing. A path with a line break gets no pattern: it would be
    several. Raises LedgerError if the file cannot be written.
    """
    _ensure(project, _patterns(project, worktree))


def exclude_names(project: Project, names: Iterable[str]) -> None:
    """Make git ignore files and links of these names, relative to the top, in every worktree.

    Raises LedgerError.
    """
    _ensure(project, [f"/{_literal(name)}" for name in names if "\n" not in name])


def _ensure(project: Project, wanted: list[str]) -> None:
    path = project.repo.common_dir / "info" / "exclude"
    if _missing(path, wanted):
        lock = project.repo.tool_dir / "exclude.lock"
        with held(lock, project.settings.lock_timeout, f"the file {path}"):
            missing = _missing(path, wanted)
            if missing:
                _append(path, missing)


def _patterns(project: Project, worktree: Path | None) -> list[str]:
    """Return the patterns, anchored to the top where they are meant for one place.

    By default all worktrees lie in one directory of ours; a setting may put them among a person's
    own files, so there each is named by itself.
    """
    patterns = [_literal(project.settings.env_file)]
    main, ledger = project.repo.main, project.pool.ledger.path
    if main is None:
        return patterns
    if ledger.is_relative_to(main):
        patterns.append(f"/{_literal(ledger.relative_to(main).as_posix())}*")
    if worktree is None:
        return patterns
    own = worktree.parent if project.settings.worktree_path is None else worktree
    if worktree.is_relative_to(main) and own != main:
        patterns.append(f"/{_literal(own.relative_to(main).as_posix())}/")
    return patterns


def _literal(name: str) -> str:
    """Return the gitignore pattern that matches `name` to the letter (gitignore(5))."""
    return "".join(f"\\{char}" if char in "\\*?[]!# " else char for char in name)


def _missing(path: Path, wanted: list[str]) -> list[str]:
    try:
        present = path.read_bytes().decode(errors="surrogateescape").split("\n")
    except OSError:
        present = []
    return [pattern for pattern in wanted if pattern not in present and "\n" not in pattern]


def _append(path: Path, patterns: list[str]) -> None:
    try:
        if not is_dir(path.parent):
            path.parent.mkdir(exist_ok=True)
            reached("exclude.directory")
        before = path.read_bytes() if exists(path) else b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        block = "\n".join([BEGIN, *patterns, END]) + "\n"
        write_atomically(path, before + block.encode(errors="surrogateescape"))
    except OSError as exc:
        raise LedgerError(
            f"{path} cannot be written: {exc.strerror}", hint=remedy(exc, path.parent)
        ) from exc

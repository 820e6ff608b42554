"""Keeping what we write out of `git status`, through the common directory's `info/exclude`.

What holds here: a pattern covers what is ours and nothing else. A directory is named as a whole
only if nothing but worktrees lies in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from adw_worktree.errors import LedgerError, remedy
from adw_worktree.project import Project
from adw_worktree.repo import exclude_file
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.repository import admin_directory
from adw_worktree.system.locks import held

Patterns = dict[str, bool]
"""Whether git is to ignore what matches a pattern, or we no longer have it do that."""


def ensure_excluded(project: Project, *worktrees: Path | None) -> None:
    """Make git ignore the ledger, the env files and the directories that hold `worktrees`.

    Called before any of them is written. Without a worktree, the ledger and the env files.
    Writes only when a pattern is missing. A path with a line break gets no pattern: it would be
    several. Raises LedgerError if the file cannot be written.
    """
    _ensure(project, _patterns(project, worktrees))


def exclude_names(project: Project, names: Iterable[str]) -> None:
    """Make git ignore files and links of these names, relative to the top, in every worktree.

    Raises LedgerError.
    """
    _ensure(project, {f"/{_literal(name)}": True for name in names})


def _ensure(project: Project, patterns: Patterns) -> None:
    encoded = {
        pattern.encode(errors="surrogateescape"): wanted
        for pattern, wanted in patterns.items()
        if "\n" not in pattern
    }
    if _changed(exclude_file.load_exclude(project.repo), encoded) is None:
        return
    path = exclude_file.exclude_file(project.repo)
    if exclude_file.is_tracked(project.repo):
        lines = " ".join(sorted(one for one, wanted in patterns.items() if wanted))
        project.notices.append(
            f"git shows what adw-worktree writes: .git/info/exclude leads to {path}, which git "
            f"tracks; add to it: {lines}"
        )
        return
    lock = project.repo.tool_dir / "exclude.lock"
    with held(lock, project.settings.lock_timeout, f"the file {path}"):
        data = _changed(exclude_file.load_exclude(project.repo), encoded)
        if data is not None:
            _write(project, path, data)


def _write(project: Project, path: Path, data: bytes) -> None:
    try:
        exclude_file.write_exclude(project.repo, data)
    except OSError as exc:
        raise LedgerError(
            f"{path} cannot be written: {exc.strerror}", hint=remedy(exc, path.parent)
        ) from exc


def _changed(data: bytes, patterns: dict[bytes, bool]) -> bytes | None:
    """Return the file's content with `patterns` in our block; None if it may stay as it is."""
    anywhere = {line.rstrip(b"\r") for line in data.split(b"\n")}
    ours = list(dict.fromkeys(exclude_file.block_lines(data)))
    missing = [one for one, wanted in patterns.items() if wanted and one not in anywhere]
    stale = {one for one, wanted in patterns.items() if not wanted and one in ours}
    if not missing and not stale and exclude_file.count_blocks(data) < 2:
        return None
    return exclude_file.with_block(data, [*(one for one in ours if one not in stale), *missing])


def shown_notes(project: Project, worktree: Path) -> list[str]:
    """Return what to tell a person of an env file that git shows, and would commit."""
    env_file = project.settings.env_file
    admin = admin_directory(worktree)
    if admin is None or not is_shown(Checkout(admin, worktree), env_file):
        return []
    return [
        f"git shows {env_file}: a line of {worktree / '.gitignore'} takes it back in; put "
        f"/{env_file} at the end there, or `git add` may commit it"
    ]


def is_shown(checkout: Checkout, name: str) -> bool:
    """Return whether `.gitignore` has git show the file `name`; cheap if it takes nothing back."""
    try:
        lines = (checkout.directory / ".gitignore").read_bytes().split(b"\n")
    except OSError:
        return False
    if not any(line.startswith(b"!") for line in lines):
        return False
    command = ["check-ignore", "--quiet", "--no-index", "--", name]
    return run_git(command, checkout, check=False).returncode == 1


# ---- patterns ----------------------------------------------------------------------------------


def _patterns(project: Project, worktrees: Iterable[Path | None]) -> Patterns:
    """Return the patterns, each anchored to the top: it is meant for one place."""
    env_file = _literal(project.settings.env_file)
    patterns = {f"/{env_file}": True, env_file: False}  # at any depth, as earlier versions had it
    main, ledger = project.repo.main, project.pool.ledger.path
    if main is None:
        return patterns
    if ledger.is_relative_to(main):
        patterns[f"/{_literal(ledger.relative_to(main).as_posix())}*"] = True
    inside = {one for one in worktrees if one is not None and one.is_relative_to(main)}
    return patterns | _patterns_of(project, main, inside)


def _patterns_of(project: Project, main: Path, worktrees: set[Path]) -> Patterns:
    """Return those for worktrees inside the main one.

    By default all worktrees lie in one directory of ours. It may be the project's own, too, and a
    setting or flag may put them among a person's files: there each is named by itself.
    """
    trees = project.trees if project.settings.worktree_path is None else None
    named = {one for one in worktrees if one.parent != trees}
    patterns: Patterns = {}
    if trees is not None and named != worktrees:
        whole = _directory(main, trees)
        patterns[whole] = _is_all_ours(project, main, trees, whole)
        if not patterns[whole]:
            named = worktrees | {path for path, is_ours in _content(trees) if is_ours}
    return patterns | {_directory(main, path): True for path in sorted(named)}


def _is_all_ours(project: Project, main: Path, directory: Path, whole: str) -> bool:
    """Return whether nothing but worktrees belongs into `directory`.

    Once it is excluded as `whole`, a stray file that nobody tracks is none of the project's.
    """
    if exclude_file.is_shared(project.repo):
        return False
    ours = exclude_file.block_lines(exclude_file.load_exclude(project.repo))
    excluded = whole.encode(errors="surrogateescape") in ours
    has_strangers = any(not is_ours for _, is_ours in _content(directory))
    if excluded != has_strangers:
        return excluded
    listed = run_git(
        ["--literal-pathspecs", "ls-files", "-z", "--", directory.relative_to(main).as_posix()],
        project.repo.checkout,
        check=False,
    )
    return not listed.stdout


def _content(directory: Path) -> list[tuple[Path, bool]]:
    """Return what lies in `directory`, and whether that is a worktree; empty directories are not
    told, since git does not show them."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    found = []
    for name in names:
        path = directory / name
        is_worktree = os.path.lexists(path / ".git")
        if is_worktree or not _is_empty(path):
            found.append((path, is_worktree))
    return found


def _is_empty(path: Path) -> bool:
    try:
        return not os.listdir(path)
    except OSError:
        return False


def _directory(main: Path, path: Path) -> str:
    return f"/{_literal(path.relative_to(main).as_posix())}/"


def _literal(name: str) -> str:
    """Return the gitignore pattern that matches `name` to the letter (gitignore(5))."""
    return "".join(f"\\{char}" if char in "\\*?[]!# " else char for char in name)

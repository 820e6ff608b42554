"""Where things lie: the state directory, the user's settings, ledgers and worktrees."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from adw_worktree.errors import PathOccupied, SettingsError
from adw_worktree.settings.model import Settings
from adw_worktree.system.paths import exists, is_dir, is_symlink

INCLUDE_FILE = ".worktreeinclude"
"""Patterns as in `.gitignore`, in the main worktree; other tools read it, too."""
PLACEHOLDER = r"\{([^{}]*)\}"
"""A placeholder of a template."""


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the machine-wide state is kept; it may not exist yet.

    Raises SettingsError if there is no telling, or if nothing can be written there.
    """
    environ = os.environ if environ is None else environ
    own = environ.get("ADW_STATE_HOME")
    if own and not Path(own).is_absolute():
        raise SettingsError(
            f"ADW_STATE_HOME is {own!r}: a relative path would mean another pool of slots "
            "in every directory",
            hint="set ADW_STATE_HOME to an absolute path",
        )
    directory = Path(own) if own else base_directory("state", environ)
    if directory is None:
        raise _homeless("the state directory", "ADW_STATE_HOME")
    _require_writable(directory)
    return directory


def user_config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the user's own settings would be. Raises SettingsError if HOME is needed."""
    environ = os.environ if environ is None else environ
    directory = base_directory("config", environ)
    if directory is None:
        raise _homeless("the user's settings file", "XDG_CONFIG_HOME")
    return directory / "config.toml"


def worktree_path(
    settings: Settings, *, adw_id: str, branch: str | None, home: Path, bare: bool, repo_name: str
) -> Path:
    """Return where the worktree of `adw_id` goes; `branch` is None for a detached one.

    A relative template starts at the main worktree, or at the directory that holds a bare
    repository. A `/` in the branch becomes `-`. Raises SettingsError if the place cannot be one.
    """
    if settings.worktree_path is None:
        return _default_trees(home, bare) / adw_id
    named = (branch or adw_id).replace("/", "-")
    values = {"adw_id": adw_id, "branch": named, "repo": repo_name, "home": str(home)}
    start = home.parent if bare else home
    path = Path(os.path.normpath(start / fill(settings.worktree_path, values)))
    inner = path.relative_to(start) if path.is_relative_to(start) else path
    if home.is_relative_to(path) or in_git_directory(inner.parts):
        raise _misplaced(path, "would replace the repository or lie inside its .git directory")
    if bare and path.is_relative_to(home):
        raise _misplaced(path, "would lie inside the bare repository")
    return path


def branch_name(settings: Settings, adw_id: str) -> str:
    """Return the branch that a new worktree of `adw_id` gets."""
    return fill(settings.branch_name, {"adw_id": adw_id})


def ledger_path(settings: Settings, *, home: Path, common_dir: Path, bare: bool) -> Path:
    """Return the repository's ledger; a bare repository's is in our directory inside of it."""
    if bare:
        return common_dir / "adw-worktree" / (settings.ledger or "port_allocations.json")
    return home / (settings.ledger or "agents/port_allocations.json")


def base_directory(kind: str, environ: Mapping[str, str]) -> Path | None:
    """Return the tool's directory for `state` or `config`; None if HOME does not say where."""
    given = Path(environ.get(f"XDG_{kind.upper()}_HOME", ""))
    if given.is_absolute():  # the XDG specification: ignore a relative one
        return given / "adw-worktree"
    if sys.platform in ("darwin", "win32"):
        import platformdirs

        find = {"state": platformdirs.user_state_path, "config": platformdirs.user_config_path}
        return find[kind]("adw-worktree")
    user = Path(environ.get("HOME", ""))
    below = {"state": ".local/state", "config": ".config"}[kind]
    return user / below / "adw-worktree" if user.is_absolute() else None


def _homeless(what: str, variable: str) -> SettingsError:
    return SettingsError(
        f"{what} has no place: HOME is not set to an absolute path",
        hint=f"set HOME, or {variable} to an absolute path",
    )


def _require_writable(directory: Path) -> None:
    """Raise SettingsError if `directory` is neither writable nor can be made."""
    places = (directory, *directory.parents)
    nearest = next((place for place in places if os.path.exists(place)), directory)
    if not is_dir(nearest):
        reason = f"{nearest} is not a directory"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        reason = f"{nearest} is not writable"
    else:
        return
    raise SettingsError(
        f"the state directory {directory} cannot be used: {reason}",
        hint="set ADW_STATE_HOME to a directory of your own",
    )


def _default_trees(home: Path, bare: bool) -> Path:
    if not bare:
        return home / "trees"
    if home.name in (".git", ".bare"):
        return home.parent / "trees"
    return home.with_name(f"{home.name.removesuffix('.git')}.trees")


def _misplaced(path: Path, reason: str) -> SettingsError:
    return SettingsError(f"worktree_path: {path} {reason}", hint="choose another worktree_path")


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders in one pass, so that a value with braces stays what it is."""
    return re.sub(PLACEHOLDER, lambda found: values.get(found[1], found[0]), template)


def in_git_directory(parts: Sequence[str]) -> bool:
    """Whether a path of these parts leads into a `.git`."""
    # Some file systems take .GIT for .git.
    return any(part.casefold() == ".git" for part in parts)


def require_vacant(path: Path, other: str) -> None:
    """Raise PathOccupied unless there is nothing at `path`, or an empty directory."""
    try:
        if is_symlink(path):
            what = "is a symbolic link"
        elif is_dir(path):
            what = "exists and is not empty" if any(path.iterdir()) else ""
        else:
            what = "exists and is no directory" if exists(path) else ""
    except OSError as exc:
        raise PathOccupied(f"{path} cannot be looked into: {exc.strerror}", hint=other) from exc
    if what:
        raise PathOccupied(f"{path} {what}", hint=f"move it away, or {other}")


OR_ELSEWHERE = ", or choose another state directory with ADW_STATE_HOME"

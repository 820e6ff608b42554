"""The files beside spares: a record for each that is ready, locks, and the mark of fillers.

The mark, `fill.mark`, tells fillers whether all spares were dropped since they were started: it
holds a random word, another after each `spares drop`. A filler is given the word of the moment at
which it was asked for; once there is another one, it makes no spare any more, and takes away the
one that it is at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from adw_worktree.repo.repository import Repository, worktree_of_admin
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.locks import make_directory
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_file


class Spare(NamedTuple):
    """A worktree that waits to be handed out."""

    name: str
    """Its directory, and git's admin directory of it."""
    commit: str
    """What is checked out in it."""
    prepared: str
    """Digest of the `prepare` commands that ran in it at that commit; empty for none."""


def ready(repo: Repository) -> list[Spare]:
    """Return the spares that can be taken."""
    names = [name.removesuffix(".json") for name in names_in(repo) if name.endswith(".json")]
    return [spare for spare in (_load(repo, name) for name in names) if spare is not None]


def names_in(repo: Repository) -> list[str]:
    """Return the names of all files and directories among the spares."""
    try:
        return sorted(os.listdir(repo.spares_dir))
    except (FileNotFoundError, NotADirectoryError):
        return []


def record_of(repo: Repository, name: str) -> Path:
    """Return the file that says that a spare is ready."""
    return repo.spares_dir / f"{name}.json"


def lock_of(repo: Repository, name: str) -> Path:
    """Return the lock of whoever takes, removes or works in what has that name."""
    return repo.spares_dir / f"{name}.lock"


def fill_lock(repo: Repository) -> Path:
    """Return the lock of whoever makes or drops spares."""
    return repo.spares_dir / "fill.lock"


def save(repo: Repository, spare: Spare) -> None:
    """Write down that a spare is ready."""
    document = json.dumps({"schema_version": 1, **spare._asdict()}, indent=2)
    write_atomically(
        record_of(repo, spare.name), document.encode() + b"\n", mode=0o600, shared=True
    )


def _load(repo: Repository, name: str) -> Spare | None:
    """Return the spare that the record tells of, if it is whole."""
    try:
        document = json.loads(record_of(repo, name).read_bytes())
        spare = Spare(*(str(document[key]) for key in ("name", "commit", "prepared")))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = spare.name == name and is_file(repo.spares_dir / name / ".git")
    return spare if whole and leads_here(repo, name) else None


def leads_here(repo: Repository, name: str) -> bool:
    """Whether git's admin directory of that name is that of a spare."""
    return worktree_of_admin(repo.admin_root / name) == repo.spares_dir / name


# ---- the mark ----------------------------------------------------------------------------------


class DroppedMeanwhile(Exception):
    """All spares were dropped after a filling was asked for."""


_NONE = "none"
"""The mark of a repository whose spares were never dropped."""


def load_mark(repo: Repository) -> str:
    """Return the mark that is valid now; one that cannot be read is that of no filler."""
    try:
        return mark_file(repo).read_text("ascii")
    except (FileNotFoundError, NotADirectoryError):
        return _NONE
    except (OSError, ValueError):
        return ""


def require_mark(repo: Repository, mark: str) -> None:
    """Raise DroppedMeanwhile if all spares were dropped since `mark`."""
    if load_mark(repo) != mark:
        raise DroppedMeanwhile


def renew_mark(repo: Repository) -> None:
    """Have every filler that was asked for until now make no more spares.

    Raises AdwError, OSError.
    """
    make_directory(mark_file(repo))
    write_atomically(mark_file(repo), os.urandom(8).hex().encode(), mode=0o600, shared=True)


def mark_file(repo: Repository) -> Path:
    """Return the file of the mark."""
    return repo.spares_dir / "fill.mark"

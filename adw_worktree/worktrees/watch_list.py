"""What there is to watch: the repositories of the registry, and the directories that tell of them.

What holds here: nothing is changed, and no process started. A repository that cannot be looked into
is passed over; it may come back.

For each repository these directories tell of every way in which a worktree can vanish:

- git's `worktrees`, from which `git worktree remove` and `prune` delete an entry;
- the directories that its worktrees lie in, which change with an `rm -rf` of one. Not the worktrees
  themselves: the kernel tells of a directory's own end only when nobody works in it any more, and
  a server may;
- the one that holds the common git directory, which changes with an `rm -rf` of the repository.

Where one of them is missing, the nearest directory above that is there tells when it appears.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from adw_worktree.errors import LedgerError
from adw_worktree.pool import registry
from adw_worktree.pool.receipts import has_receipt
from adw_worktree.repo.repository import admin_directories, worktree_of_admin


class Watchlist(NamedTuple):
    """What is to be watched just now."""

    repositories: dict[Path, registry.Entry]
    """By common git directory, where they are now."""
    places: dict[Path, frozenset[Path]]
    """Directories to watch, links resolved, and the repositories whose worktrees may be gone when
    something was deleted there; none for a directory that only tells when another one appears."""
    lost: list[registry.Entry]
    """Whose repositories are gone, or moved out of sight."""
    damaged: list[LedgerError]
    """Entries of the registry that cannot be read."""


def make_watchlist(state_dir: Path) -> Watchlist:
    """Return what the registry in `state_dir` asks to watch."""
    entries, damaged = registry.readable_entries(state_dir)
    repositories: dict[Path, registry.Entry] = {}
    lost = []
    for entry in entries:
        located = registry.locate(entry)
        if located is None:
            lost.append(entry)
        elif registry.is_there(located):
            repositories[located.common_dir] = located
    places: defaultdict[Path, set[Path]] = defaultdict(set)
    places[_nearest(registry.ledgers(state_dir))] |= set()
    for entry in repositories.values():
        for directory in _telling(entry):
            nearest = _nearest(directory)
            places[nearest] |= {entry.common_dir} if nearest == _resolved(directory) else set()
    shown = {place: frozenset(whose) for place, whose in places.items()}
    return Watchlist(repositories, shown, lost, damaged)


def touched(watchlist: Watchlist, deleted: Iterable[Path]) -> set[Path]:
    """Return the repositories that what was deleted may concern."""
    found: set[Path] = set()
    for path in deleted:
        for place in (path, path.parent):
            found |= watchlist.places.get(place, frozenset())
    return found


def _telling(entry: registry.Entry) -> set[Path]:
    """Return the directories that tell of worktrees that vanish, whether they are there or not."""
    admin_root = entry.common_dir / "worktrees"
    found = {entry.common_dir.parent, admin_root}
    found |= {Path(lease.path).parent for lease in entry.leases.values() if lease.path}
    try:
        for admin in admin_directories(admin_root):
            worktree = worktree_of_admin(admin) if has_receipt(admin) else None
            if worktree is not None:
                found.add(worktree.parent)  # where it was moved to
    except OSError:
        pass  # not ours to look into
    return found


def _nearest(directory: Path) -> Path:
    """Return the directory itself or, if it is missing, the nearest above it that is there."""
    places = (directory, *directory.parents)
    return _resolved(next((place for place in places if os.path.isdir(place)), Path("/")))


def _resolved(directory: Path) -> Path:
    return Path(os.path.realpath(directory))

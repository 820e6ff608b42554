"""Moving the store from this machine's file to a server, and back: only while nobody works."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.running.membership import places_here
from adw_worktree.orchestration.runs.restoring import nobody_works
from adw_worktree.orchestration.store.copying import adapt_to_file, adapt_to_server, copy_store
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import places
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.project import open_project
from adw_worktree.repo.known_by import known_by


def move_store(
    state_dir: Path, source: Database, target: Database, others: Mapping[str, Path]
) -> dict[str, int]:
    """Copy all from one store to the other; return how many rows of each table.

    `others` are locks of whoever else has the stores open, by what they are called. Raises Refused,
    StoreError.
    """
    with nobody_works(state_dir, others):
        copied = copy_store(source, target)
        if target.is_shared:
            adapt_to_server(target, this_host(state_dir).name, _known(places(target)))
        else:
            adapt_to_file(target, places_here(state_dir))
        return copied


def _known(found: list[str]) -> dict[str, str]:
    """Return what each repository is known by on every host, where it has a remote."""
    known = {}
    for place in found:
        with suppress(AdwError, OSError):
            project = open_project(Path(place))
            known[place] = known_by(project.repo, project.settings.remote)
    return known

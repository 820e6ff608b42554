"""A board at work: what its routes share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

from fastapi import Depends
from starlette.requests import HTTPConnection

from adw_worktree.board.access.keys import Keys
from adw_worktree.board.contents.live import Live
from adw_worktree.errors import NotARepository
from adw_worktree.orchestration.runs.summon import attend
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import places
from adw_worktree.pool.registry import readable_entries
from adw_worktree.project import Project, open_project


class Board(NamedTuple):
    """A board at work."""

    state_dir: Path
    keys: Keys
    live: Live
    home: Path | None = None
    """The repository that it was started in, if any: where features are added by default."""
    read_only: bool = False

    @contextmanager
    def store(self) -> Iterator[Database]:
        """Open the store for the block. A connection is used by one thread. Raises StoreError."""
        database = open_store(self.state_dir)
        try:
            attend(database, self.state_dir)
            yield database
        finally:
            database.close()

    def project(self, repository: str | None) -> Project:
        """Return the repository at a path, by default that in which the board was started.

        Raises NotARepository unless it has slots on this machine, or the board began there.
        """
        with self.store() as database:
            known = self.repositories(database)
        wanted = known[0] if repository is None and known else repository
        if wanted not in known:
            raise NotARepository(
                "no repository was named"
                if wanted is None
                else f"{wanted} is no repository that has an ADW on this machine",
                hint=f"choose one of: {', '.join(known)}" if known else "start the board in one",
            )
        return open_project(Path(wanted))

    def repositories(self, database: Database) -> list[str]:
        """Return the repositories that features can be of: where they were, or where ADWs are."""
        homes = [] if self.home is None else [str(self.home)]
        entries, _ = readable_entries(self.state_dir)
        pools = [one.common_dir for one in entries]
        held = [str(one.parent if one.name == ".git" else one) for one in pools]
        return list(dict.fromkeys([*homes, *places(database), *held]))


def _board_of(connection: HTTPConnection) -> Board:
    board: Board = connection.app.state.board
    return board


Here = Annotated[Board, Depends(_board_of)]
"""The board that answers."""

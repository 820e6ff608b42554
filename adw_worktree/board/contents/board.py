"""A board at work: what its routes share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

from fastapi import Depends
from starlette.requests import HTTPConnection

from adw_worktree.board.access.accounts import Accounts
from adw_worktree.board.access.denied import Denied
from adw_worktree.board.access.keys import Keys
from adw_worktree.board.access.places import Place
from adw_worktree.board.access.visitor import Visitor
from adw_worktree.board.contents.live import Live
from adw_worktree.board.contents.rows import find_queued
from adw_worktree.errors import NotARepository
from adw_worktree.orchestration.runs.summon import attend
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import find_feature
from adw_worktree.orchestration.store.opening import kept_store
from adw_worktree.orchestration.store.records import Attempt, Feature, Phase, attempts, places
from adw_worktree.orchestration.store.sharing import may_steer
from adw_worktree.pool.registry import readable_entries
from adw_worktree.project import Project, open_project

_few = threading.BoundedSemaphore(2)


class Board(NamedTuple):
    """A board at work."""

    state_dir: Path
    keys: Keys
    live: Live
    place: Place
    home: Path | None = None
    """The repository that it was started in, if any: where features are added by default."""
    read_only: bool = False
    accounts: Accounts | None = None
    """None if it has no users: then it is for whoever the machine belongs to."""
    visitor: Visitor = Visitor()
    """Who asks now."""

    @contextmanager
    def store(self) -> Iterator[Database]:
        """Open the store for the block. A connection is used by one thread. Raises StoreError."""
        database = kept_store(self.state_dir)
        attend(database, self.state_dir)
        yield database

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Open the store for the block, in which an answer is put together. Raises StoreError.

        Few do so at once: what one thread puts together holds up all others, and many of them,
        taking turns, hold up everything.
        """
        with _few, self.store() as database:
            yield database

    def feature(self, database: Database, name: str) -> Feature:
        """Return a feature that the visitor may see. Raises UnknownPhase."""
        return find_feature(database, name, self.visitor.viewer)

    def phase(self, database: Database, name: str) -> tuple[Feature, Phase]:
        """Return a phase that the visitor may see, and its feature. Raises UnknownPhase."""
        return find_queued(database, name, self.visitor.viewer)

    def tried(self, database: Database, name: str) -> tuple[Feature, Phase, list[Attempt]]:
        """Return a phase that the visitor may see, its feature and its attempts.

        Raises UnknownPhase.
        """
        feature, phase = self.phase(database, name)
        return feature, phase, attempts(database, "phase_id = ?", [phase.id])

    def steered_feature(self, database: Database, name: str) -> Feature:
        """Return a feature that the visitor may change. Raises UnknownPhase, Denied."""
        feature = self.feature(database, name)
        self._require_steering(database, feature)
        return feature

    def steered_phase(self, database: Database, name: str) -> tuple[Feature, Phase]:
        """Return a phase that the visitor may change, and its feature.

        Raises UnknownPhase, Denied.
        """
        feature, phase = self.phase(database, name)
        self._require_steering(database, feature)
        return feature, phase

    def may_steer(self, database: Database, feature: Feature) -> bool:
        """Return whether the visitor may change a feature."""
        visitor = self.visitor
        return visitor.may_change and may_steer(database, visitor.viewer, feature)

    def _require_steering(self, database: Database, feature: Feature) -> None:
        if not self.may_steer(database, feature):
            raise Denied(403, "not-allowed", f"feature {feature.slug} is shown to you, and changed "
                         "by others", "ask whoever shares it to let you steer it")  # fmt: skip

    def require_admin(self) -> None:
        """Raise Denied unless the visitor sees all."""
        if not self.visitor.is_admin:
            raise Denied(403, "not-allowed", "that is for admins", "ask an admin of this board")

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
    return board._replace(visitor=connection.state.visitor)


Here = Annotated[Board, Depends(_board_of)]
"""The board that answers."""

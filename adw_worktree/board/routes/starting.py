"""What starts work is counted, for each user and in all."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from adw_worktree.board.access import limits
from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.denied import TooMany
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import Feature, features
from adw_worktree.orchestration.store.users import begin_generation, last_generation

_DRAFTING_SECONDS = 30
"""After which a plan that is being drafted may be there."""


def _count_start(board: Here) -> Board:
    """Return the board, after having counted a start. Raises TooMany."""
    if board.visitor.user_id is not None:
        whose = (str(board.visitor.user_id),)
        with board.store() as database:
            seconds = limits.seconds_to_wait(
                database,
                limits.Counted(limits.STARTS, whose),
                limits.Counted(limits.ALL_STARTS, ()),
            )
        if seconds is not None:
            raise TooMany("starts of work", seconds)
    return board


Starting = Annotated[Board, Depends(_count_start)]
"""The board that answers, to what starts work."""


def require_one_generation(board: Board, database: Database, feature: Feature) -> None:
    """Note that a user has a plan drafted. Raises TooMany if another one of theirs is."""
    user_id = board.visitor.user_id
    if user_id is None:
        return
    before = last_generation(database, user_id)
    if before is not None and features(database, "id = ? AND drafting = 'running'", [before]):
        raise TooMany("plans drafted at once", _DRAFTING_SECONDS)
    begin_generation(database, user_id, feature.id)

"""What starts work is counted, for each user and in all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends

from adw_worktree.board.access import limits
from adw_worktree.board.access.denied import TooMany
from adw_worktree.board.contents.board import Board, Here
from adw_worktree.orchestration.runs.drafts import is_drafting
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import Feature, features
from adw_worktree.orchestration.store.users import last_generation, note_generation

_beginning = threading.Lock()
DRAFTING_SECONDS = 30
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


@contextmanager
def one_generation(board: Board, database: Database, feature: Feature) -> Iterator[None]:
    """Begin in the block to have a plan drafted. Raises TooMany if another one of the user's is."""
    user_id = board.visitor.user_id
    with _beginning:
        before = last_generation(database, user_id) if user_id is not None else None
        for one in features(database, "id = ?", [before]):
            if one.drafting == "running" or is_drafting(board.state_dir, one):
                raise TooMany("plans drafted at once", DRAFTING_SECONDS)
        yield
        if user_id is not None:
            note_generation(database, user_id, feature.id)

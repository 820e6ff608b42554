"""A board on a store of its own, filled with features, for as long as something is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adw_worktree.orchestration.plan.feature_file import FeatureFile
from adw_worktree.orchestration.store.features import Origin, add_feature
from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import kill_all, store
from tests.support.repositories import make_repo
from tests.support.sealed import sealed


@contextmanager
def board_with(scratch: Path, features: int, phases: int) -> Iterator[BoardProcess]:
    """Serve a board with so many features, each with so many phases, none of them started."""
    with sealed(scratch):
        adw = Adw(make_repo(scratch / "repo"))
        _fill(adw.directory, features, phases)
        board = BoardProcess(adw)
        board.get("/home")
        try:
            yield board
        finally:
            board.end()
            kill_all()


def _fill(home: Path, features: int, phases: int) -> None:
    database = store()
    for number in range(1, features + 1):
        document = FeatureFile.model_validate(
            {
                "slug": f"feature-{number}",
                "title": f"Feature {number}",
                "phases": [
                    {
                        "number": phase,
                        "title": f"Phase {phase} of {number}",
                        "run": ("true",),
                        "depends_on": () if phase % 10 == 1 else (phase - 1,),
                    }
                    for phase in range(1, phases + 1)
                ],
            }
        )
        origin = Origin("root", str(home), "bench.toml", "", "you")
        add_feature(database, document, origin, starts=False)
    database.close()

"""A board on a store of its own, filled with features, for as long as something is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adw_worktree.board.access.accounts import Accounts, hashed
from adw_worktree.board.access.keys import load_keys
from adw_worktree.orchestration.plan.feature_file import FeatureFile
from adw_worktree.orchestration.store.features import Origin, add_feature
from adw_worktree.orchestration.store.users import register
from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import kill_all, state_dir, store
from tests.support.repositories import make_repo
from tests.support.sealed import sealed


@contextmanager
def board_with(scratch: Path, features: int, phases: int, *options: str) -> Iterator[BoardProcess]:
    """Serve a board with so many features, each with so many phases, none of them started."""
    with sealed(scratch):
        adw = Adw(make_repo(scratch / "repo"))
        _fill(adw.directory, features, phases)
        board = BoardProcess(adw, *options)
        board.get("/home")
        try:
            yield board
        finally:
            board.end()
            kill_all()


def users(count: int) -> list[dict[str, str]]:
    """Make so many users with whom all features are shared; return what each one sends."""
    accounts = Accounts(load_keys(state_dir()).user_key)
    database = store()
    kept = hashed("a password that nobody needs here")
    found = [register(database, f"{number}@example.com", kept, None) for number in range(count)]
    with database.transaction():
        database.execute(
            "INSERT INTO shares (feature_id, user_id, may)"
            " SELECT f.id, u.id, 'steer' FROM features f CROSS JOIN users u"
        )
    database.close()
    tokens = [accounts.session(one).token for one in found if one is not None]
    return [{"Authorization": f"Bearer {token}"} for token in tokens]


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

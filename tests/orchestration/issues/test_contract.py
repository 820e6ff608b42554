"""Our requests are those that GitHub's published description of its API has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adw_worktree.orchestration.issues.github import GitHub
from adw_worktree.orchestration.issues.repository import GitHubRepository
from adw_worktree.orchestration.store.deliveries import Undeliverable
from tests.support import github_api
from tests.support.forge import TOKEN

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MARK = "<!-- adw-worktree of the tests -->"


WRONG: list[Callable[[GitHub], object]] = [
    lambda github: github.create(None, "text", []),  # type: ignore[arg-type]
    lambda github: github.create("title", "text", [{"nam": 1}, 2]),  # type: ignore[list-item]
    lambda github: github.comment(1, None),  # type: ignore[arg-type]
    lambda github: github.close(1, "solved"),  # type: ignore[arg-type]
    lambda github: github.close("one", "completed"),  # type: ignore[arg-type]
]
"""Each of our bodies and paths, with a mistake in it."""


@pytest.mark.thorough
def test_every_request_is_as_described_and_wrong_ones_would_be_refused(tmp_path: Path) -> None:
    programs = github_api.programs()
    if programs is None:
        pytest.skip("npm cannot get Prism and the description of GitHub's API here")
    with github_api.described(*programs, tmp_path) as api:
        repository = GitHubRepository(api, "127.0.0.1", "acme", "app", is_known=True)
        with GitHub(repository, TOKEN) as github:
            assert github.find(SINCE, MARK) is None
            made = github.create("x.2: API", f"{MARK}\ntext", ["feature-1", "phase-2"])
            assert made.number == 1347  # that of the example
            assert made.html_url == "https://github.com/octocat/Hello-World/issues/1347"
            assert not github.has_comment(made.number, MARK)
            assert github.has_comment(made.number, "Me too")  # the example's
            github.comment(made.number, f"{MARK}\ntext")
            github.close(made.number, "completed")
            github.close(made.number, "not_planned")
            github.reopen(made.number)
            for wrong in WRONG:
                with pytest.raises(Undeliverable, match="answered 422"):
                    wrong(github)

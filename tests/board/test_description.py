"""What the API says of itself is true: Schemathesis asks it for all that it describes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import phase, start, work

_ADDS = "/api/v1/planned-features$"
"""Takes plans, which may have mistakes that no schema describes."""


@pytest.mark.thorough
@pytest.mark.parametrize(
    "what",
    [
        ["--exclude-path-regex", _ADDS],
        ["--include-path-regex", _ADDS, "--exclude-checks", "positive_data_acceptance"],
    ],
    ids=["all others", "what adds features"],
)
def test_the_description_of_the_api_is_true(board: BoardProcess, adw: Adw, what: list[str]) -> None:
    start(adw, "x", phase(1), phase(2, "exit 1", attempts=1))
    work(adw)
    hold(board, adw, what)


@pytest.mark.thorough
def test_so_it_is_where_there_are_users(users_board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1))
    work(adw)
    hold(users_board, adw, ["--include-path-regex", "auth|users|invitations|shares"])


def hold(board: BoardProcess, adw: Adw, what: list[str]) -> None:
    """Hold that what the API answers is what it says of itself."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{board.address}/openapi.json"),
            *("--header", f"Authorization: Bearer {board.token}"),
            *("--max-examples", "15", "--checks", "all", "--no-color", *what),
        ],
        capture_output=True,
        text=True,
        cwd=adw.directory.parent,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert "generated" in ran.stdout

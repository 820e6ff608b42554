"""What `status` says of leases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.support.command_line import Adw
from tests.support.repositories import git, make_repo


def standings(rows: list[dict[str, Any]]) -> dict[str, tuple[str, bool, str | None]]:
    return {row["adw_id"]: (row["state"], row["locked"], row["path"]) for row in rows}


def test_status_and_list_agree_on_how_a_lease_stands(adw: Adw, tmp_path: Path) -> None:
    """A script that frees or waits for a worktree goes by its state, whichever command it asked."""
    for adw_id in ("seen", "moved", "locked", "by-git"):
        adw("create", adw_id)
    adw("reserve", "slot-only")
    (adw.directory / "trees" / "moved").rename(adw.directory / "trees" / "by-hand")
    adw("lock", "locked")
    git("worktree", "move", "trees/by-git", "trees/other", cwd=adw.directory)
    listed = standings([row for row in adw.json("list")["worktrees"] if row["adw_id"] is not None])
    assert listed["moved"][0] == "unknown"
    assert listed["locked"][:2] == ("active", True)
    assert {listed[name][0] for name in ("seen", "by-git")} == {"active"}

    def shown(allocations: dict[str, Any]) -> dict[str, tuple[str, bool, str | None]]:
        return standings([{"adw_id": name, **one} for name, one in allocations.items()])

    other = make_repo(tmp_path / "other")
    assert shown(adw.json("status")["allocations"]) == listed
    assert shown(adw.json("status", cwd=other)["elsewhere"][str(adw.directory)]) == listed
    assert re.search(r"^locked +\d+ .* active, locked +this", adw("status").stdout, re.MULTILINE)

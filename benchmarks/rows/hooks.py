"""git with and without the managed hooks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..machine import Room, settle
from ..measure import Scene, Way, interleave
from ..peers import Installed
from ..scenes import SERVICES, Workshop, grow
from .plan import Plan, runs

PLAIN = "without hooks"
HOOKED = "with hooks"


def hooks(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare git with and without the managed hooks."""
    scenes = []
    for worktrees in plan.hooked:
        room = shop.room(ADW_SLOTS="1000", ADW_SERVICES=SERVICES)
        repos = {PLAIN: shop.repository(100), HOOKED: shop.repository(100)}
        for repo in repos.values():
            _branch_off(room, repo)
            grow(repo, room, worktrees)
        room.adw("hooks", "install", cwd=repos[HOOKED])
        ways = [
            Way(
                label,
                {
                    "git status": runs(room, repo, "git", "status"),
                    "git checkout": partial(_check_out, room, repo),
                    "git commit": partial(_commit, room, repo),
                },
            )
            for label, repo in repos.items()
        ]
        for command, timings in interleave(ways, plan.times(50), settle=settle).items():
            name = f"{command}, {worktrees} worktree{'s' if worktrees > 1 else ''}"
            scenes.append(Scene("hooks", name, timings, PLAIN))
    return scenes


def _branch_off(room: Room, repo: Path) -> None:
    """Make a branch `other` with ten files that differ."""
    room.git("checkout", "--quiet", "-b", "other", cwd=repo)
    for file in sorted(repo.glob("part-0000/*"))[:10]:
        file.write_text("another text\n")
    room.git("commit", "--quiet", "--all", "-m", "other", cwd=repo)
    room.git("checkout", "--quiet", "main", cwd=repo)


def _check_out(room: Room, repo: Path, number: int) -> None:
    room.git("checkout", "--quiet", "main" if number % 2 else "other", cwd=repo)


def _commit(room: Room, repo: Path, _number: int) -> None:
    room.git("commit", "--quiet", "--allow-empty", "-m", "another", cwd=repo)

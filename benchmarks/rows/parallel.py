"""Many creates at once."""

from __future__ import annotations

from collections.abc import Sequence

from ..machine import ADW, settle
from ..measure import Failed, Scene, Way, interleave
from ..peers import Installed
from ..scenes import Workshop
from .plan import Plan


def parallel(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare creates at once with raw git's one after another, which at once would fail."""
    count, files = plan.at_once, plan.at_once_files
    baseline = f"{count} × git worktree add, one after another"
    git_room, git_repo = shop.room(), shop.repository(files)
    room, repo = shop.room(), shop.repository(files)

    def one_by_one(number: int) -> None:
        for each in range(count):
            name = f"w{number}-{each}"
            git_room.git("worktree", "add", "--quiet", "-b", name, f"trees/{name}", cwd=git_repo)

    def at_once(number: int) -> None:
        started = [
            room.start(*ADW, "create", f"w{number}-{each}", cwd=repo) for each in range(count)
        ]
        failed = sum(process.wait() != 0 for process in started)
        if failed:
            raise Failed(f"{failed} of {count} creates at once failed")

    def git_clear(number: int) -> None:
        for each in range(count):
            git_room.git("worktree", "remove", "--force", f"trees/w{number}-{each}", cwd=git_repo)

    def clear(number: int) -> None:
        for each in range(count):
            room.adw("remove", f"w{number}-{each}", cwd=repo)

    ways = [
        Way(baseline, {"parallel": one_by_one}, after=git_clear),
        Way(f"{count} × adw-worktree create, at once", {"parallel": at_once}, after=clear),
    ]
    timings = interleave(ways, plan.times(5), settle=settle)["parallel"]
    return [Scene("parallel", f"{files:,} files", timings, baseline)]

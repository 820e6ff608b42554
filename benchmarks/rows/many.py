"""Looking at many worktrees."""

from __future__ import annotations

from collections.abc import Sequence

from ..machine import ADW, say, settle
from ..measure import Scene, Way, interleave
from ..peers import Installed
from ..scenes import SERVICES, Workshop, grow
from .plan import Plan, runs

GIT_LIST = "git worktree list"


def many(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare looking at 1, 10, 100 and 1,000 worktrees."""
    room = shop.room(ADW_SLOTS=str(max(plan.counts)), ADW_SERVICES=SERVICES)
    repo = shop.repository(1)
    commands = {
        GIT_LIST: ["git", "worktree", "list", "--porcelain"],
        **{f"adw-worktree {word}": [*ADW, word] for word in ("list", "status", "reconcile")},
    }
    ways = [Way(label, {"many": runs(room, repo, *command)}) for label, command in commands.items()]
    scenes = []
    for wanted in plan.counts:
        say(f"  {wanted} worktrees")
        grow(repo, room, wanted)
        timings = interleave(ways, plan.times(10 if wanted < 500 else 5), settle=settle)["many"]
        scenes.append(Scene("many", f"{wanted:,} worktrees", timings, GIT_LIST, wanted))
    return scenes

"""What a command costs before it does anything, and what a shell waits for after each Tab."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..machine import ADW, settle
from ..measure import Scene, Way, interleave
from ..peers import Installed
from ..scenes import SERVICES, Workshop, grow
from .plan import Plan, runs

NOTHING = "python -c pass"


def startup(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare what a command costs before it does anything with a bare Python's start."""
    room, repo = shop.room(), shop.repository(10)
    room.adw("create", "a", cwd=repo)
    settle()
    commands = {
        "git rev-parse": ["git", "rev-parse"],
        NOTHING: [sys.executable, "-c", "pass"],
        **{
            f"adw-worktree {words}": [*ADW, *words.split()]
            for words in ("--version", "path a", "env a", "reconcile --background")
        },
    }
    ways = [
        Way(label, {"startup": runs(room, repo, *command)}) for label, command in commands.items()
    ]
    timings = interleave(ways, plan.times(20), settle=settle)["startup"]
    return [Scene("startup", "10 files, 1 worktree", timings, NOTHING)]


def completion(shop: Workshop, plan: Plan, _peers: Sequence[Installed]) -> list[Scene]:
    """Compare what a shell waits for after each Tab with a bare Python's start."""
    room, repo = shop.room(ADW_SLOTS="1000", ADW_SERVICES=SERVICES), shop.repository(1)
    grow(repo, room, plan.completed)
    asked = {
        "a command: rem": ["rem"],
        "an ADW id: remove": ["remove", ""],
        "a branch: create x --from": ["create", "x", "--from", ""],
    }
    commands = {
        NOTHING: [sys.executable, "-c", "pass"],
        **{label: [*ADW, "complete", "--", *words] for label, words in asked.items()},
    }
    ways = [
        Way(label, {"completion": runs(room, repo, *command)})
        for label, command in commands.items()
    ]
    timings = interleave(ways, plan.times(30), settle=settle)["completion"]
    return [Scene("completion", f"{plan.completed} worktrees", timings, NOTHING)]

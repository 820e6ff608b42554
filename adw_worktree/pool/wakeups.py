"""Waking the coordinator of phases when slots are freed, and after it died.

What holds here: this costs a look at one or two names where no phase ever ran. A bell that hangs
there with nobody to hear it was left by a coordinator that was killed with work before it.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from adw_worktree.pool.state_directory import COORDINATOR_BELL
from adw_worktree.system import background
from adw_worktree.system.bells import ALL, hang_unheard, ring

WORKTREES = "worktrees"
"""What the coordinator is told when worktrees have gone: a word that is no attempt's token."""

ATTEMPT_VARIABLES = ("ADW_ATTEMPT", "ADW_PHASE", "ADW_FEATURE")
"""Variables that say of a process which attempt it belongs to: a coordinator belongs to none."""


def coordinator_bell(state_dir: Path) -> Path:
    """Return the bell of the coordinator on this host."""
    return state_dir / COORDINATOR_BELL


def slots_bell(state_dir: Path) -> Path:
    """Return the bell that hangs while a phase waits for a free slot."""
    return state_dir / "phases" / "slots.bell"


def slots_were_freed(state_dir: Path) -> None:
    """Let the coordinator know that slots were freed, or worktrees are gone."""
    ring(slots_bell(state_dir))
    revive_coordinator(state_dir, WORKTREES)


def revive_coordinator(state_dir: Path, word: str = ALL) -> None:
    """Have the coordinator look at its phases; start one if it was killed before they were done."""
    if ring(coordinator_bell(state_dir), word) is False:
        start_coordinator(state_dir)


def start_coordinator(state_dir: Path) -> None:
    """Start a coordinator in the background; one that finds another at work ends at once.

    If it is killed before it hears anything, its bell tells the next command.
    """
    with suppress(OSError):
        hang_unheard(coordinator_bell(state_dir))
    command = [sys.executable, "-m", "adw_worktree", "work", "--until-idle", "--quiet"]
    background.start(command, state_dir, without=ATTEMPT_VARIABLES)

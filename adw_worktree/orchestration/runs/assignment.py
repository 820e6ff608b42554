"""What a runner is told of its attempt."""

from __future__ import annotations

from pathlib import Path

from adw_worktree.orchestration.runs.run_directory import RunDirectory, run_directory
from adw_worktree.orchestration.store.attempts import Claimed, Task
from adw_worktree.orchestration.store.records import Attempt, Feature, Phase, name_of
from adw_worktree.system.named_tuple import NamedTuple


class Assignment(NamedTuple):
    """An attempt, and what it is about."""

    state_dir: Path
    feature: Feature
    phase: Phase
    attempt: Attempt
    earlier: tuple[Attempt, ...] = ()
    """The phase's attempts before this one, the first one first."""
    task: Task | None = None
    """None for a phase of commands."""

    @property
    def name(self) -> str:
        """What a person calls the phase."""
        return name_of(self.feature, self.phase)

    @property
    def run(self) -> RunDirectory:
        """The attempt's directory."""
        return run_directory(self.state_dir, self.attempt.token)

    @property
    def interrupted(self) -> list[RunDirectory]:
        """The directories of the attempts that this one goes on with, the last one first.

        Agents go on with whatever was done; commands that have failed are run anew.
        """
        found = []
        for attempt in reversed(self.earlier):
            if self.task is None and attempt.end_reason not in (
                "lost",
                "cancelled",
                "no-slot",
                "handed-back",
            ):
                break
            found.append(run_directory(self.state_dir, attempt.token))
        return found


def assignment_of(state_dir: Path, claimed: Claimed) -> Assignment:
    """Return what a runner is told of a claimed attempt."""
    return Assignment(state_dir, *claimed)

"""What a stage works with, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.orchestration.runs.processes import TOKEN_VARIABLE, end_processes
from adw_worktree.orchestration.stages.commands import GRACE_SECONDS, Surroundings
from adw_worktree.orchestration.stages.turns import ShippingTurn
from adw_worktree.orchestration.store.attempts import End
from adw_worktree.orchestration.workflows.progress import Progress
from adw_worktree.orchestration.workflows.workflow import Stage, Workflow
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.worktrees.files.variables import hook_variables, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

_MOST_FAILURE_BYTES = 16 * 1024


class Bench(NamedTuple):
    """The worktree of an attempt, and all that its stages need."""

    project: Project
    lease: Lease
    assignment: Assignment
    around: Surroundings
    workflow: Workflow
    environ: dict[str, str]
    turn: ShippingTurn

    @property
    def worktree(self) -> Path:
        """The attempt's worktree."""
        return Path(str(self.lease.path))

    @property
    def admin(self) -> Path:
        """Git's own directory for that worktree."""
        return self.project.repo.admin_root / str(self.lease.admin_id)


class Turn(NamedTuple):
    """One run of a stage."""

    stage: Stage
    progress: Progress
    position: int
    """Its number in the attempt, from 1."""
    log: int
    """A file descriptor for all that is printed."""
    log_name: str


class Outcome(NamedTuple):
    """What came of a stage."""

    status: Literal["passed", "failed", "moved", "waiting", "ended"]
    """`failed` may be handed back to an agent; `ended` ends the attempt."""
    end: End
    """How the attempt ends, if it ends here."""
    failure: str = ""
    """What an agent is to know of it."""


PASSED = Outcome("passed", End("completed", exit_code=0))


def environment(project: Project, lease: Lease, assignment: Assignment) -> dict[str, str]:
    """Return what the phase's commands and agents find in their environment."""
    return {
        **clean_environment(),
        **variables(project, lease),
        **hook_variables(project, lease),
        "ADW_FEATURE": assignment.feature.slug,
        "ADW_PHASE": assignment.name,
        TOKEN_VARIABLE: assignment.attempt.token,
    }


@contextmanager
def process_tree(bench: Bench) -> Iterator[Surroundings]:
    """Let what is started in the block inherit the attempt's lock, and end what is left of it."""
    run = bench.around.run
    tree = run.lock("tree")
    if tree is None:
        raise BlockingIOError("processes of this attempt run already")
    try:
        yield bench.around._replace(tree=tree)
    finally:
        os.close(tree)
        # Else there is nobody left who holds it; but an agent's program may not hand it on.
        if bench.assignment.task is not None or run.is_locked("tree"):
            end_processes(run, bench.worktree, grace=GRACE_SECONDS)


def tail(run: Path, log_name: str, start: int = 0) -> str:
    """Return the end of a log, from byte `start` on at the earliest, as an agent gets it."""
    with (run / log_name).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _MOST_FAILURE_BYTES))
        return file.read().decode(errors="replace").strip()

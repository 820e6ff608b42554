"""The runner: the process that carries one attempt, from its worktree to its end.

What holds here: the runner needs the store only to ship. It holds the attempt's lock from before it
is born until all is done; how the attempt ended is written down before the lock is free, and what
could not be written is an attempt that is lost, which the next one makes good.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from adw_worktree.errors import (
    AdwError,
    BranchUnusable,
    PoolExhausted,
    SlotUnavailable,
    StaleAttempt,
)
from adw_worktree.orchestration.running.forked import live
from adw_worktree.orchestration.running.tidying import clear_mark, in_turn, mark_untidy, tidy
from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.orchestration.runs.host_lease import heed_lease
from adw_worktree.orchestration.runs.issue_file import keep_issue
from adw_worktree.orchestration.runs.processes import end_processes
from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.stages.calls import conclude_killed
from adw_worktree.orchestration.stages.commands import GRACE_SECONDS, NO_TREE, Surroundings
from adw_worktree.orchestration.stages.executor import execute
from adw_worktree.orchestration.stages.issue import issue_of
from adw_worktree.orchestration.stages.shipping import ensure_branch, landed_before
from adw_worktree.orchestration.stages.stage import Bench, environment
from adw_worktree.orchestration.stages.turns import ShippingTurn
from adw_worktree.orchestration.store.attempts import End
from adw_worktree.orchestration.workflows.progress import after_shipping
from adw_worktree.orchestration.workflows.workflow import Workflow, from_json, of_commands
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project, open_project
from adw_worktree.repo.refs import branch_commit, loose_commit
from adw_worktree.settings.places import branch_name
from adw_worktree.system.bells import hang
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish

_LESS_URGENT = 10
_WRITE_AGAIN_SECONDS = (0.1, 1.0, 10.0)


def become_runner(assignment: Assignment, *, descriptors: list[int]) -> NoReturn:
    """Carry the attempt in this process, which was forked for it, and end the process.

    `descriptors` are the attempt's lock, and what is at its end once the coordinator is dead.
    """
    _, lifeline = descriptors

    def carry() -> None:
        _conclude(assignment, _carry(assignment, lifeline))

    _live(assignment.run, descriptors, carry)


def become_undertaker(run: RunDirectory, *, descriptors: list[int]) -> NoReturn:
    """End what a dead runner has left running, write that it was lost, and end this process."""

    def bury() -> None:
        while not end_processes(run, worktree_in(run), grace=GRACE_SECONDS):
            # The phase would run twice at once. It may be another user's, or hang in the kernel.
            print("a process of this attempt cannot be ended", file=sys.stderr, flush=True)
        try:
            conclude_killed(run)
        finally:  # whatever it had printed
            run.write_end(End("lost", "its runner was killed"))

    _live(run, descriptors, bury)


def become_tidier(assignment: Assignment, *, descriptors: list[int]) -> NoReturn:
    """Give back what a completed attempt still holds, and end this process."""

    _live(assignment.run, descriptors, partial(_give_back, assignment, completed=True))


def rehearse(assignment: object) -> None:
    """Look at what the runner of a like attempt will look at; change nothing."""
    if not isinstance(assignment, Assignment):
        return
    project = open_project(Path(assignment.feature.place))
    loose_commit(project.repo.common_dir, assignment.feature.branch)
    for lease in project.pool.leases().values():
        if _is_alive(project, lease):
            environment(project, lease, assignment)
            return


def _live(run: RunDirectory, descriptors: list[int], work: Callable[[], None]) -> NoReturn:
    """Do the work for an attempt in a session of our own, and end the process."""

    def begin() -> None:
        run.write_pid()
        work()

    live(run.path / "runner.log", descriptors, begin)


def worktree_in(run: RunDirectory) -> Path | None:
    """Return the worktree that an attempt noted; None if it got none."""
    paths = run.noted("worktree", "path")
    return Path(paths[0]) if paths else None


# ---- the attempt -------------------------------------------------------------------------------


def _carry(assignment: Assignment, lifeline: int) -> End:
    """Take the attempt through its stages; return how it ended."""
    run = assignment.run
    around = Surroundings(assignment.state_dir, run, hang(run.bell), lifeline, NO_TREE)
    heed_lease(assignment.state_dir, run)
    try:
        project = open_project(Path(assignment.feature.place))
        landed, workflow = landed_before(project, assignment), _workflow(assignment)
        if landed is not None and after_shipping(workflow).stage is None:
            return landed
        lease = _worktree(project, assignment)
        if assignment.task is not None:
            keep_issue(assignment, issue_of(project, lease, assignment))
        environ = environment(project, lease, assignment)
        turn = ShippingTurn(assignment.state_dir, assignment.feature.id)
        bench = Bench(project, lease, assignment, around, workflow, environ, turn)
        return execute(bench, landed)
    except (PoolExhausted, SlotUnavailable) as exc:
        return End("no-slot", exc.message)
    except StaleAttempt as exc:
        return End("lost", exc.message)
    except AdwError as exc:
        hint = f" ({exc.hint})" if exc.hint else ""
        return End("command-failed", f"{exc.message}{hint}")


def _workflow(assignment: Assignment) -> Workflow:
    """Return the workflow that the attempt goes through."""
    if assignment.task is not None:
        return from_json(assignment.task.workflow)
    phase = assignment.phase
    return of_commands(tuple(phase.command_lines), phase.timeout_seconds)


def _worktree(project: Project, assignment: Assignment) -> Lease:
    """Return the lease of the attempt's worktree, made from the tip of the feature's branch."""
    tip, adw_id = ensure_branch(project, assignment), assignment.phase.adw_id
    present = project.pool.leases().get(adw_id)
    if present is not None and _is_alive(project, present):
        assignment.run.append("worktree", path=present.path, base_commit=tip)
        return present
    branch = branch_name(project.settings, adw_id)
    goes_on = present is not None or branch_commit(project.repo.home, branch) is not None
    if goes_on and not assignment.earlier and present is None:
        raise BranchUnusable(
            f"branch {branch} exists, and is of no phase",
            hint=f"git branch -m {branch} {branch}-kept, then adw-worktree phase retry "
            f"{assignment.name}",
        )
    wish = Wish() if goes_on else Wish(base=f"refs/heads/{assignment.feature.branch}")
    made = create(project, adw_id, wish, output=2)
    reached("attempt.worktree")
    assignment.run.append("worktree", path=made.lease.path, base_commit=made.base_commit or tip)
    return made.lease


def _is_alive(project: Project, lease: Lease) -> bool:
    """Return whether the worktree of a lease is there, and `create` has nothing to do."""
    finding = project.pool.finding(lease)
    return (
        lease.state == "active"
        and finding.verdict == "alive"
        and str(finding.path) == lease.path
        and exists(Path(str(lease.path)) / project.settings.env_file)
    )


# ---- its end -----------------------------------------------------------------------------------


def _conclude(assignment: Assignment, ended: End) -> None:
    """Write the end down, let it be known, and tidy up."""
    run, completed = assignment.run, ended.reason == "completed"
    if completed:
        mark_untidy(assignment.state_dir, assignment.attempt.token)
    _write_end(run, ended)
    summon(assignment.state_dir, assignment.attempt.token)
    os.nice(_LESS_URGENT)  # the next phase starts meanwhile
    _give_back(assignment, completed=completed)


def _give_back(assignment: Assignment, *, completed: bool) -> None:
    """End what still runs of the attempt; take away what one that is completed holds."""
    end_processes(assignment.run, worktree_in(assignment.run), grace=GRACE_SECONDS)
    if completed:
        with in_turn(assignment.state_dir):
            tidy(assignment)
        clear_mark(assignment.state_dir, assignment.attempt.token)


def _write_end(run: RunDirectory, ended: End) -> None:
    """Write the end; on a disk that is full, again after a while. Raises OSError in the end."""
    for seconds in _WRITE_AGAIN_SECONDS:
        try:
            run.write_end(ended)
            return
        except OSError as exc:
            print(f"the end cannot be written: {exc}", file=sys.stderr)
            time.sleep(seconds)
    run.write_end(ended)

"""Shipping: the commits of an attempt land on the branch of its feature.

What holds here: the store is asked whether the attempt still counts right before anything lands;
the commit that is to land is in the journal before, so that whoever comes after a crash can tell
whether it has landed, and nothing is done twice.
"""

from __future__ import annotations

from adw_worktree.errors import (
    AdwError,
    BranchUnusable,
    DirtyWorktree,
    Diverged,
    HookFailed,
    MergeConflict,
    StaleAttempt,
    StoreError,
)
from adw_worktree.orchestration.running.assignment import Assignment
from adw_worktree.orchestration.store.attempts import End, require_current
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.branches import make_branch
from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import (
    branch_commit,
    head_branch,
    is_ancestor,
    loose_commit,
    resolve_base,
)
from adw_worktree.system.faults import reached
from adw_worktree.worktrees.finish.finish import Terms, finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.orchestration.phases.states import EndReason

_REASONS: tuple[tuple[type[AdwError], EndReason], ...] = (
    (StaleAttempt, "cancelled"),
    (MergeConflict, "conflict"),
    (Diverged, "conflict"),
    (DirtyWorktree, "needs-person"),
    (HookFailed, "gate-failed"),
)


def ensure_branch(project: Project, assignment: Assignment) -> str:
    """Return the commit of the feature's branch, which is made if it is missing.

    Raises BranchUnusable.
    """
    branch = assignment.feature.branch
    for _ in range(2):  # a phase beside this one may make it first
        commit = loose_commit(project.repo.common_dir, branch)
        commit = commit or branch_commit(project.repo.home, branch)
        if commit is not None:
            return commit
        base = assignment.feature.base or project.settings.base
        start = resolve_base(project.repo.home, base)
        if start is None:
            raise BranchUnusable(
                f"there is no commit {base!r} for feature {assignment.feature.slug} to start from",
                hint="name another with base in the feature file, or with the setting base",
            )
        try:
            make_branch(project.repo, branch, start, base)
        except BranchUnusable:
            if branch_commit(project.repo.home, branch) is None:
                raise
    raise AssertionError("the branch was made and is not there")


def landed_before(project: Project, assignment: Assignment) -> End | None:
    """Return the end of an attempt whose work had landed when it was lost; None if it had not."""
    interrupted = assignment.interrupted
    tip = branch_commit(project.repo.home, assignment.feature.branch) if interrupted else None
    for run in interrupted if tip is not None else ():
        for head in run.noted("shipping", "head"):
            if is_ancestor(project.repo.home, head, str(tip)):
                return End("completed", "its work had landed already", 0, tip)
    return None


def ship(project: Project, lease: Lease, assignment: Assignment, *, output: int) -> End:
    """Merge the attempt's branch into that of its feature, and return the attempt's end.

    `output` is a file descriptor for what hooks print. The worktree stays.
    """
    try:
        return _ship(project, lease, assignment, output)
    except AdwError as exc:
        kinds = (reason for kind, reason in _REASONS if isinstance(exc, kind))
        return End(next(kinds, "command-failed"), f"shipping: {exc.message}")


def _ship(project: Project, lease: Lease, assignment: Assignment, output: int) -> End:
    branch = head_branch(project.repo.admin_root / str(lease.admin_id))
    into = assignment.feature.branch
    commits = 0 if branch is None else _commits_beyond(project, into, branch)
    if assignment.phase.changes == "none":
        if commits:
            text = f'{branch} has {commits} commits, though the phase says changes = "none"'
            return End("needs-person", text)
        return End("completed", exit_code=0)
    if branch is None or not commits:
        return End("no-changes", f"{into} has all of {branch}: the phase made no commits")
    _require_current(assignment)
    head = branch_commit(project.repo.home, branch)
    assignment.run.append("shipping", head=head, into=into)
    reached("ship.before")
    finished = finish(project, lease, Terms(into=into, keep=True), output=output)
    reached("ship.landed")
    assignment.run.append("landed", commit=finished.commit)
    return End("completed", exit_code=0, head_commit=finished.commit)


def _require_current(assignment: Assignment) -> None:
    """Raise StaleAttempt if somebody else has the phase by now, or it was cancelled."""
    store = open_store(assignment.state_dir)
    try:
        require_current(store, assignment.attempt.token)
    except StoreError as exc:
        exc.message = f"the store cannot say whether this attempt still counts: {exc.message}"
        raise
    finally:
        store.close()


def _commits_beyond(project: Project, base: str, branch: str) -> int:
    here = {loose_commit(project.repo.common_dir, name) for name in (base, branch)}
    if len(here) == 1 and None not in here:
        return 0  # most often, where a phase makes no commits
    command = ["rev-list", "--count", f"refs/heads/{base}..refs/heads/{branch}", "--"]
    return int(run_git(command, project.repo.home).stdout)

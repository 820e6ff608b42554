"""Shipping: the commits of an attempt land on the branch of its feature.

What holds here: the store is asked whether the attempt still counts right before anything lands;
the commit that is to land is in the journal before, so that whoever comes after a crash can tell
whether it has landed, and nothing is done twice.
"""

from __future__ import annotations

import time
from contextlib import closing

from adw_worktree.errors import (
    AdwError,
    BranchUnusable,
    DirtyWorktree,
    Diverged,
    HookFailed,
    MergeConflict,
    StaleAttempt,
    StoreError,
    StoreUnavailable,
    TargetMoved,
)
from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.orchestration.stages.attention import attentively
from adw_worktree.orchestration.stages.commands import Interrupted
from adw_worktree.orchestration.stages.sharing import Shared, shared
from adw_worktree.orchestration.stages.stage import PASSED, Bench, Outcome, Turn
from adw_worktree.orchestration.store.attempts import End, require_current
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.project import Project
from adw_worktree.repo.branches import make_branch
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import (
    branch_commit,
    head_branch,
    is_ancestor,
    loose_commit,
    resolve_base,
)
from adw_worktree.system.faults import reached
from adw_worktree.worktrees.files.own_files import work_in
from adw_worktree.worktrees.finish.finish import Terms, finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.orchestration.phases.states import EndReason

_MOST_TRIES = 20
_AGAIN_SECONDS = 1.0
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
    share = shared(project, assignment)
    if share is not None:
        return share.tip()
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
    """Return the end of an attempt whose work had landed when it was lost; None if it had not.

    Where hosts share code, no earlier attempt can land from now on. Raises StaleAttempt, GitFailed.
    """
    if assignment.feature.added_on is not None:
        # One that lands nothing needs no marker.
        share = shared(project, assignment) if assignment.phase.changes != "none" else None
        return share.begin() if share is not None else None
    interrupted = assignment.interrupted
    tip = branch_commit(project.repo.home, assignment.feature.branch) if interrupted else None
    for run in interrupted if tip is not None else ():
        for head in run.noted("shipping", "head"):
            if is_ancestor(project.repo.home, head, str(tip)):
                return End("completed", "its work had landed already", 0, tip)
    return None


def ship(bench: Bench, turn: Turn) -> Outcome:
    """Merge the attempt's branch into that of its feature. The worktree stays."""
    try:
        return _ship(bench, turn.log)
    except Interrupted as exc:
        return Outcome("ended", exc.end)
    except AdwError as exc:
        kinds = (reason for kind, reason in _REASONS if isinstance(exc, kind))
        end = End(next(kinds, "command-failed"), f"shipping: {exc.message}")
        return Outcome("failed" if end.reason == "conflict" else "ended", end, exc.message)


def _ship(bench: Bench, output: int) -> Outcome:
    """Land the work, where hosts share code on their remote as well, in our turn on this host."""
    lands = bench.assignment.phase.changes != "none"
    share = shared(bench.project, bench.assignment) if lands else None
    if share is None:
        return _land(bench, None, output)
    for _ in range(_MOST_TRIES):
        try:
            with share.turn():
                return attentively(bench, lambda: _land(bench, share, output))
        except TargetMoved:
            if bench.assignment.task is not None:
                return _bring_up_to_date(bench)
    text = f"{share.branch.branch} moved on whenever it was merged with"
    return Outcome("ended", End("conflict", text))


def _land(bench: Bench, share: Shared | None, output: int) -> Outcome:
    """Land the work. Raises TargetMoved if hosts share code, and another was quicker."""
    project, lease, assignment = bench.project, bench.lease, bench.assignment
    before = share.branch_tip() if share is not None else None
    into, branch = assignment.feature.branch, head_branch(bench.admin)
    if assignment.task is not None and branch != lease.branch:
        text = f"the worktree is on {branch or 'no branch'}, and {lease.branch} was tested"
        return Outcome("ended", End("needs-person", text))
    commits = 0 if branch is None else _commits_beyond(project, into, branch)
    if assignment.phase.changes == "none":
        if commits:
            text = f'{branch} has {commits} commits, though the phase says changes = "none"'
            return Outcome("ended", End("needs-person", text))
        return PASSED
    if branch is None or not commits:
        text = f"{into} has all of {branch}: the phase made no commits"
        return Outcome("ended", End("no-changes", text))
    home, terms = project.repo.home, Terms(into=into, keep=True)
    head = branch_commit(home, branch)
    if assignment.task is not None:
        tip = branch_commit(home, into)
        if head is None or (tip is not None and not is_ancestor(home, tip, head)):
            if share is not None:
                raise TargetMoved(f"{into} has moved on", hint="repeat")
            return _bring_up_to_date(bench)
        # What lands is what was tested, and with nothing that the tests did not see.
        # Files that checks have left, such as caches, are nobody's work: all of it was committed.
        terms = terms._replace(source=head, onto=tip, leftovers=True)
    _require_current(assignment)
    assignment.run.append("shipping", head=head, into=into)
    reached("ship.before")
    try:
        finished = finish(project, lease, terms, output=output)
    except TargetMoved:
        if assignment.task is None or share is not None:
            raise
        return _bring_up_to_date(bench)
    if share is not None:
        share.publish(str(before), finished.commit)
    reached("ship.landed")
    assignment.run.append("landed", commit=finished.commit)
    return Outcome("passed", End("completed", exit_code=0, head_commit=finished.commit))


def _bring_up_to_date(bench: Bench) -> Outcome:
    """Merge the feature's branch, which moved on, into the attempt's, for the tests to see both.

    A conflict changes nothing.
    """
    into, checkout = bench.assignment.feature.branch, Checkout(bench.admin, bench.worktree)
    attentively(bench, bench.turn.wait)
    work = work_in(bench.project, bench.worktree, checkout.git_directory)
    if work._replace(untracked=0):
        raise DirtyWorktree(
            f"the worktree {bench.worktree} has uncommitted work",
            hint=f"commit it, then adw-worktree phase retry {bench.assignment.name}",
        )
    message = f"Merge {into} into {bench.lease.branch}"
    merged = run_git(["merge", "-m", message, f"refs/heads/{into}"], checkout, check=False)
    if merged.returncode == 0:
        reached("ship.merged")
        return Outcome("moved", End("conflict", f"{into} moved on whenever it was tested"))
    files = run_git(["diff", "--name-only", "--diff-filter=U", "-z"], checkout).stdout
    run_git(["merge", "--abort"], checkout, check=False)
    names = [name for name in files.split("\0") if name]
    what = ", ".join(names[:20]) or (merged.stderr or merged.stdout).strip()
    text = f"{bench.lease.branch} and {into} conflict: {what}"
    return Outcome("failed", End("conflict", f"shipping: {text}"), text)


def _require_current(assignment: Assignment) -> None:
    """Raise StaleAttempt if somebody else has the phase by now, or it was cancelled.

    A server that is away is waited for: until it is back, or the host's lease is over.
    """
    while True:
        try:
            with closing(open_store(assignment.state_dir)) as store:
                require_current(store, assignment.attempt.token)
            return
        except StoreUnavailable:
            time.sleep(_AGAIN_SECONDS)
        except StoreError as exc:
            exc.message = f"the store cannot say whether this attempt still counts: {exc.message}"
            raise


def _commits_beyond(project: Project, base: str, branch: str) -> int:
    here = {loose_commit(project.repo.common_dir, name) for name in (base, branch)}
    if len(here) == 1 and None not in here:
        return 0  # most often, where a phase makes no commits
    command = ["rev-list", "--count", f"refs/heads/{base}..refs/heads/{branch}", "--"]
    return int(run_git(command, project.repo.home).stdout)

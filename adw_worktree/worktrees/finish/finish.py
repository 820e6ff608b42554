"""`finish`: a branch is merged back, and its worktree, slot and branch are taken back.

What holds here: whatever can refuse is asked first, the merge is made where nobody works, and the
hooks run before the target moves. That is one step; until it is taken everything is as it was, and
after it the work is in the target, whatever becomes of the removal.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from adw_worktree.errors import (
    AdwError,
    BranchUnusable,
    DirtyWorktree,
    LockedWorktree,
    TargetMoved,
    UnknownAdw,
    WorktreeUnavailable,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import branch_commit, head_branch
from adw_worktree.repo.work import require_linked
from adw_worktree.settings.approvals import require_trusted
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists
from adw_worktree.worktrees.files.own_files import work_in
from adw_worktree.worktrees.files.variables import hook_variables
from adw_worktree.worktrees.finish.advance import advance, require_room
from adw_worktree.worktrees.finish.merge import Manner, Merged, Sides, WayOn, merge_aside
from adw_worktree.worktrees.finish.target import checked_out_at, require_still, require_target
from adw_worktree.worktrees.lookup import require_path
from adw_worktree.worktrees.remove import Removed, foresee, remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.user_hooks import run_hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.worktrees.finish.merge import Way

PRE_FINISH = "pre-finish"
"""The moment whose commands say whether the branch is fit to be merged: the tests."""

_ATTEMPTS = 20


class Terms(NamedTuple):
    """What the caller asks of a finish."""

    into: str | None = None
    """None: the branch of the setting `base`."""
    source: str | None = None
    """The commit of the merged branch that was tested; None: whichever it is."""
    onto: str | None = None
    """The commit of that branch that the work was tested with; None: whichever it is."""
    way: Way | None = None
    message: str | None = None
    keep: bool = False
    """Whether the worktree stays."""
    stop: bool = False
    """Whether servers in the worktree are ended."""
    leftovers: bool = False
    """Whether files that git does not know may lie in the worktree: nothing of them is merged."""
    hooks: bool = True

    @property
    def manner(self) -> Manner:
        """How both sides are brought together; a message asks for a commit to bear it."""
        way = self.way or ("merge" if self.message is not None else None)
        return Manner(way, self.message, self.hooks)


class Finished(NamedTuple):
    """What a finish did."""

    branch: str
    into: str
    way: Way | None
    """None: the target had all of the branch."""
    commit: str
    """Of the target, now."""
    commits: int
    """Of the branch, that the target lacked; of a rebase, those that it made of them."""
    removed: Removed | None
    """None if the worktree was to stay."""
    notes: Sequence[str] = ()


def finish(
    project: Project, lease: Lease, terms: Terms | None = None, *, output: int | None = None
) -> Finished:
    """Merge the branch that the worktree of `lease` is on, and remove the worktree.

    `output` is a file descriptor for what hooks print. Raises MergeConflict, HookFailed or another
    AdwError with everything as it was; if only the removal fails, its error says what was merged.
    """
    terms = terms or Terms()
    path = require_path(project, lease)
    _require_clean(project, path, lease, terms)
    branch = _require_branch(project, lease, path)
    into = require_target(project, terms.into)
    if into == branch:
        raise BranchUnusable(
            f"{lease.adw_id} is itself on branch {branch}",
            hint="choose another branch to merge into with --into",
        )
    require_still(project, into)
    _require_permission(project, lease, terms)
    way_on = _way_on(lease, path, into, terms)
    sides = _sides(project, branch, into, terms)
    merged = merge_aside(project, sides, terms.manner, way_on)
    notes: list[str] = []
    if merged.way is not None:
        notes = _judge(project, lease, path, merged, terms, output)
        merged = _land(project, merged, terms, way_on, output)
    commits = _landed(project, merged)
    removed = None if terms.keep else _remove(project, lease, path, merged, terms, output)
    if terms.keep and merged.way in ("squash", "rebase"):
        notes.append(
            f"{branch} is as it was; to go on from {into}: "
            f"git -C {shlex.quote(str(path))} reset --keep {shlex.quote(into)}"
        )
    return Finished(branch, into, merged.way, merged.commit, commits, removed, notes)


def _landed(project: Project, merged: Merged) -> int:
    """Return how many commits the target got from the branch."""
    sides = merged.sides
    if merged.way is None:
        return 0
    return _commits_between(
        project, sides.target, merged.commit if merged.way == "rebase" else sides.commit
    )


def _commits_between(project: Project, before: str, after: str) -> int:
    """Return how many commits `after` has that `before` lacks."""
    command = ["rev-list", "--count", f"{before}..{after}", "--"]
    return int(run_git(command, project.repo.home).stdout)


def _judge(
    project: Project, lease: Lease, path: Path, merged: Merged, terms: Terms, output: int | None
) -> list[str]:
    """Have the hooks say whether the branch is fit; return what they did not see. Raises
    HookFailed, or DirtyWorktree if they leave something uncommitted."""
    into = merged.sides.into
    place = checked_out_at(project, into)
    if place is not None:
        require_room(place, merged)  # before the tests take their time
    if not terms.hooks or PRE_FINISH not in project.settings.hooks:
        return []
    here = lease._replace(path=str(path), branch=merged.sides.branch)
    variables = {**hook_variables(project, here), "ADW_INTO": into}
    run_hooks(PRE_FINISH, project.settings, cwd=path, variables=variables, output=output)
    _require_clean(project, path, lease, terms)
    unseen = _commits_between(project, merged.sides.commit, merged.sides.target)
    if not unseen:
        return []
    commits = "a commit" if unseen == 1 else f"{unseen} commits"
    return [f"{into} has {commits} that the {PRE_FINISH} hooks ran without: try it as it is now"]


def _land(
    project: Project, merged: Merged, terms: Terms, way_on: WayOn, output: int | None
) -> Merged:
    """Move the target; where either side moved on, merge anew first. Raises TargetMoved."""
    for _ in range(_ATTEMPTS):
        sides = _sides(project, merged.sides.branch, merged.sides.into, terms)
        if sides != merged.sides:
            merged = merge_aside(project, sides, terms.manner, way_on)
        if merged.way is None or advance(project, merged, hooks=terms.hooks, output=output):
            return merged
    raise TargetMoved(
        f"{merged.sides.into} moved on whenever {merged.sides.branch} was merged with it, "
        f"{_ATTEMPTS} times; nothing was changed",
        hint="repeat when fewer merge into it",
    )


def _way_on(lease: Lease, path: Path, into: str, terms: Terms) -> WayOn:
    """Return what a person does where git cannot bring both together."""
    git, way = f"git -C {shlex.quote(str(path))}", terms.manner.way
    rebase = (
        f"{git} rebase {shlex.quote(into)}; solve what conflicts, then {git} rebase --continue; "
        f"then {_again(lease, terms)}"
    )
    # For a merge in any case, git may be set to fast-forwards only.
    merge = shlex.join(["merge", *(["--no-ff"] if way == "merge" else []), into])
    ways = [_again(lease, terms._replace(way=other)) for other in ("rebase", "merge")]
    return WayOn(
        conflict=rebase
        if way == "rebase"
        else f"{git} {merge}; solve and commit what conflicts; then {_again(lease, terms)}",
        diverged=rebase if way == "squash" else ", or ".join(ways),
        failure="mend that, or if a hook of git's refused: "
        f"{_again(lease, terms._replace(hooks=False))}",
    )


def _again(lease: Lease, terms: Terms) -> str:
    """Return the command that asks for the same."""
    words = ["adw-worktree", "finish", lease.adw_id]
    words += ["--into", terms.into] if terms.into is not None else []
    words += [f"--{terms.way}"] if terms.way is not None else []
    words += ["-m", terms.message] if terms.message is not None else []
    flags = {"--keep": terms.keep, "--stop": terms.stop, "--no-hooks": not terms.hooks}
    return shlex.join([*words, *(flag for flag, given in flags.items() if given)])


def _sides(project: Project, branch: str, into: str, terms: Terms) -> Sides:
    """Return where both branches are now.

    Raises BranchUnusable if one has no commit, TargetMoved if the target is not where it was.
    """
    commit, target = (branch_commit(project.repo.home, name) for name in (branch, into))
    if commit is None or target is None:
        raise BranchUnusable(
            f"branch {branch if commit is None else into} has no commit",
            hint="commit something on it, and repeat",
        )
    if terms.source not in (None, commit):
        raise TargetMoved(
            f"{branch} has moved on to {commit[:12]} since it was tested; nothing was changed",
            hint="test it again",
        )
    if terms.onto not in (None, target):
        raise TargetMoved(
            f"{into} has moved on to {target[:12]} since {branch} was tested with it; nothing was "
            "changed",
            hint="test it again",
        )
    return Sides(branch, commit, into, target)


def _remove(
    project: Project, lease: Lease, path: Path, merged: Merged, terms: Terms, output: int | None
) -> Removed:
    """Remove the worktree, with its branch if that is still what was merged."""
    consent = Consent(
        delete_branch="integrated",
        stop=terms.stop,
        hooks=terms.hooks,
        landed=merged.sides.commit,
    )
    try:
        return remove(project, lease.adw_id, consent, output=output)
    except AdwError as exc:
        gone = isinstance(exc, (UnknownAdw, WorktreeUnavailable)) and not exists(path)
        if gone:  # another finish of the same came before
            return Removed(False, lease.adw_id, None, None, None)
        at = f"{merged.sides.into} at {merged.commit[:12]}"
        exc.message = f"{lease.adw_id} is merged into {at}, but its worktree stays: {exc.message}"
        raise


# ---- what is asked first -----------------------------------------------------------------------


def _require_branch(project: Project, lease: Lease, path: Path) -> str:
    """Return the branch that the worktree is on, whichever it was made with."""
    branch = head_branch(project.repo.admin_root / str(lease.admin_id))
    if branch is None:
        free = branch_commit(project.repo.home, lease.adw_id) is None
        name = lease.adw_id if free else "NEW_BRANCH"
        raise BranchUnusable(
            f"the worktree {path} is on no branch",
            hint=f"git -C {shlex.quote(str(path))} switch -c {name}, then repeat",
        )
    return branch


def _require_clean(project: Project, path: Path, lease: Lease, terms: Terms) -> None:
    work = work_in(project, path, require_linked(project.repo, path))
    if terms.leftovers:
        work = work._replace(untracked=0)
    if work:
        raise DirtyWorktree(
            f"the worktree {path} has uncommitted work: {work}",
            hint=f"commit it, then {_again(lease, terms)}",
        )


def _require_permission(project: Project, lease: Lease, terms: Terms) -> None:
    """Raise what would keep hooks from running, or the worktree from being removed."""
    if terms.hooks:
        common_dir = project.repo.common_dir
        require_trusted(project.settings, project.state_dir, common_dir, [PRE_FINISH])
    if not terms.keep:
        # What is uncommitted was looked at, and where the commits will be is known.
        consent = Consent(force=True, hooks=terms.hooks)
        (prospect,) = foresee(project, [lease.adw_id], consent)
        if isinstance(prospect.refusal, LockedWorktree):
            hint = f"adw-worktree unlock {lease.adw_id}, then adw-worktree finish {lease.adw_id}"
            prospect.refusal.hint = hint
        if prospect.refusal is not None:
            raise prospect.refusal

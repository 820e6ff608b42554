"""The branch that is merged into: which it is, where it is checked out, whether it may move."""

from __future__ import annotations

from adw_worktree.errors import BranchUnusable, DirtyWorktree, WorktreeUnavailable
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout
from adw_worktree.repo.in_use import is_worked_on
from adw_worktree.repo.refs import branch_commit, head_branch, is_branch_name, named_ref
from adw_worktree.repo.repository import admin_directories, worktrees_of
from adw_worktree.repo.unfinished import unfinished
from adw_worktree.repo.work import require_linked
from adw_worktree.system.paths import is_dir

_CHOOSE = "choose a local branch with --into"


def require_target(project: Project, wanted: str | None) -> str:
    """Return the branch to merge into: `wanted`, else that of the setting `base`, or what the main
    worktree is on.

    Raises BranchUnusable if that is no local branch.
    """
    home = project.repo.home
    name = wanted if wanted is not None else _default_target(project)
    if not is_branch_name(home, name) or branch_commit(home, name) is None:
        raise BranchUnusable(f"there is no local branch {name} to merge into", hint=_CHOOSE)
    return name


def _default_target(project: Project) -> str:
    base, home = project.settings.base, project.repo.home
    if is_branch_name(home, base) and branch_commit(home, base) is not None:
        return base
    if base == "HEAD":
        on = head_branch(project.repo.common_dir)
        if on is None:
            raise BranchUnusable(f"{home} is on no branch to merge into", hint=_CHOOSE)
        return on
    ref = named_ref(home, base) or ""
    if ref.startswith("refs/heads/"):
        return ref.removeprefix("refs/heads/")
    from adw_worktree.repo.remotes import branch_on_remote, remotes

    on_remote = branch_on_remote(ref, remotes(project.repo))
    if on_remote is not None:
        return on_remote
    raise BranchUnusable(f"the setting base is {base}, which is no branch", hint=_CHOOSE)


def require_still(project: Project, branch: str) -> None:
    """Raise unless the branch can move: nothing waits for its user on it.

    Raises DirtyWorktree, or WorktreeUnavailable if it is checked out where nothing can be seen.
    """
    repo = project.repo
    for directory in (repo.common_dir, *admin_directories(repo.admin_root)):
        if is_worked_on(directory, branch):
            raise DirtyWorktree(
                f"{unfinished(directory)} of branch {branch} is in progress ({directory})",
                hint="finish or abort it, then repeat",
            )
    place = checked_out_at(project, branch)
    if place is None:
        return
    operation = unfinished(place.git_directory)
    if operation is not None:
        raise DirtyWorktree(
            f"{operation} is in progress in {place.directory}, where {branch} is checked out",
            hint="finish or abort it, then repeat",
        )


def checked_out_at(project: Project, branch: str) -> Checkout | None:
    """Return the worktree that has the branch checked out. Raises WorktreeUnavailable."""
    entries = worktrees_of(project.repo)
    places = [one.path for one in entries if one.branch == branch]
    if not places:
        return None
    if len(places) > 1 or not is_dir(places[0]):
        where = " and at ".join(map(str, places))
        how = "more than once" if len(places) > 1 else "out of sight"
        raise WorktreeUnavailable(
            f"branch {branch} is checked out {how}, at {where}",
            hint="git worktree list, or choose another branch with --into",
        )
    if places[0] == entries[0].path:
        return project.repo.checkout
    return Checkout(require_linked(project.repo, places[0]), places[0])

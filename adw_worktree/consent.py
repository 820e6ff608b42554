"""What may be lost in a removal: each risk has a consent of its own, and is refused without it.

What holds here: nothing is changed. `force` is for uncommitted work, `delete_branch="always"` for
commits that are nowhere else, `unlock` for a locked worktree.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Literal, NamedTuple

from .errors import (
    DirtyWorktree,
    LockedWorktree,
    UnmergedBranch,
    WorktreeInside,
    WorktreeUnavailable,
)
from .gitrepo import WorktreeEntry, admin_directory, branch_commit
from .model import Lease
from .project import Project
from .userhooks import require_trusted
from .verdict import Finding
from .workstate import Uncommitted, is_integrated, is_on_a_ref, own_admin, uncommitted


class Consent(NamedTuple):
    """What may be lost."""

    force: bool = False
    """Uncommitted work."""
    delete_branch: Literal["never", "integrated", "always"] = "never"
    unlock: bool = False
    """The lock that somebody put on the worktree."""
    stop: bool = False
    """Servers that run inside the worktree."""
    hooks: bool = True
    landed: str | None = None
    """The commit of the branch that the caller knows to be elsewhere: only there it is deleted."""


class Target(NamedTuple):
    """What a name or a directory stands for: a worktree, a lease, or both."""

    lease: Lease | None
    entry: WorktreeEntry | None
    inside: tuple[Path, ...] = ()
    """Other worktrees that lie inside this one."""

    @property
    def name(self) -> str:
        """How a person calls it, as a shell reads it."""
        return (
            self.lease.adw_id if self.lease else quote(str(self.entry.path if self.entry else "?"))
        )


def require_consent(
    project: Project, target: Target, entry: WorktreeEntry, consent: Consent
) -> Uncommitted | None:
    """Raise the refusal of what `consent` does not cover, if there is one.

    Returns what is uncommitted, None if that was not looked at.
    """
    if target.lease is not None:
        if target.lease.state == "pending":
            raise unavailable(target.lease, Finding("unknown", "in the making"))
        if consent.hooks:
            moments = ("pre-remove", "post-remove")
            require_trusted(project.settings, project.state_dir, project.repo.common_dir, moments)
    again = f"adw-worktree remove {target.name}"
    if target.inside:
        inside = quote(str(target.inside[0]))
        raise WorktreeInside(
            f"the worktree {target.inside[0]} lies inside {entry.path}",
            hint=f"adw-worktree remove {inside}, or git worktree move {inside} NEW_PATH",
        )
    if entry.locked is not None and not consent.unlock:
        why = f" ({entry.locked})" if entry.locked else ""
        raise LockedWorktree(f"the worktree {entry.path} is locked{why}", hint=f"{again} --unlock")
    work: Uncommitted | None = None
    if entry.path.exists():
        admin = own_admin(project.repo, entry.path)
        work = None if consent.force else uncommitted(entry.path, admin)
        if work:
            raise dirty(project, target, entry, work)
    elif target.lease is not None and not consent.force:
        raise unavailable(target.lease, project.pool.finding(target.lease))
    _check_commits(project, entry, consent, again)
    return work


def dirty(
    project: Project, target: Target, entry: WorktreeEntry, work: Uncommitted
) -> DirtyWorktree:
    """Return the refusal of a worktree with uncommitted work."""
    days = project.settings.trash_days
    price = f"; restore can bring it back for {days:g} days" if days else "; it is lost then"
    lost, first = "", ""
    if admin_directory(entry.path) is None:  # a commit there would be one in the repository around
        lost, first = (
            " has lost its .git file, and",
            f"git -C {quote(str(project.repo.home))} worktree repair, then ",
        )
    return DirtyWorktree(
        f"the worktree {entry.path}{lost} has uncommitted work: {work}",
        hint=f"{first}commit it, or adw-worktree remove {target.name} --force{price}",
    )


def _check_commits(project: Project, entry: WorktreeEntry, consent: Consent, again: str) -> None:
    if consent.delete_branch == "always" or commits_are_elsewhere(project, entry, consent):
        return
    if entry.branch is None:
        head = str(entry.head)[:12]
        raise UnmergedBranch(
            f"the worktree {entry.path} is detached at {head}, a commit on no branch",
            hint=f"git branch NAME {head}, or {again} -D; the commit is lost then",
        )
    raise UnmergedBranch(
        f"branch {entry.branch} has commits that are nowhere else",
        hint=f"merge it, leave out -d to keep it, or {again} -D; they are lost then",
    )


def commits_are_elsewhere(project: Project, entry: WorktreeEntry, consent: Consent) -> bool:
    """Whether every commit of the worktree has a name when it is gone as the caller wants it."""
    if entry.branch is None:
        return entry.head is None or is_on_a_ref(project.repo, entry.head)
    if consent.delete_branch == "never":
        return True
    if (
        consent.landed is not None
        and branch_commit(project.repo.home, entry.branch) == consent.landed
    ):
        return True
    return is_integrated(project.repo, entry.branch, project.settings.base)


def unavailable(lease: Lease, finding: Finding) -> WorktreeUnavailable:
    """Return the refusal of a worktree that is neither there nor gone."""
    if lease.state == "pending":
        return WorktreeUnavailable(
            f"another process is making the worktree of {lease.adw_id}",
            hint="wait until it is done, and repeat",
        )
    return WorktreeUnavailable(
        f"the worktree of {lease.adw_id} is not known to be gone: {finding.reason}",
        hint="adw-worktree reconcile, or to give it up: "
        f"adw-worktree remove {lease.adw_id} --force",
    )

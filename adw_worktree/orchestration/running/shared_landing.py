"""Landing where hosts share code: what is merged is what the remote has, and goes back there.

What holds here: nobody's commits are pushed but those that the feature has already. The base here
has to follow that of the remote, or the merge is not begun.
"""

from __future__ import annotations

from contextlib import suppress
from shlex import quote

from adw_worktree.errors import BranchUnusable, GitFailed
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.project import Project
from adw_worktree.repo.git import NO_HOOKS, run_git
from adw_worktree.repo.refs import branch_commit, is_ancestor
from adw_worktree.repo.shared_branch import MARKERS, SharedBranch, shared_branch
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.worktrees.finish.target import checked_out_at


class SharedLanding(NamedTuple):
    """The landing of a feature whose branch is on a remote."""

    project: Project
    feature: Feature
    branch: SharedBranch

    def prepare(self, into: str) -> str | None:
        """Have feature and base be here as they are on the remote; return where the base is there.

        None if the remote has no such base: it is not pushed then. Raises BranchUnusable,
        GitFailed.
        """
        tip = self.branch.see().tip
        if tip is not None:
            self.branch.follow(tip)
        base = self._base(into)
        there = base.see().tip
        if there is None:
            return None
        if not base.has(there):
            base.fetch(base.ref)
        here = branch_commit(self.project.repo.home, into)
        git = f"git -C {quote(str(self.project.repo.home))}"
        if here is None or is_ancestor(self.project.repo.home, here, there):
            self._forward(base, there)
        elif not self._adds_nothing(here, there, tip):
            raise BranchUnusable(
                f"{into} has commits here that {base.remote} and {self.branch.branch} lack: they "
                "would be pushed with the feature",
                hint=f"{git} push {quote(base.remote)} {quote(into)}, or repeat on another host",
            )
        return there

    def publish(self, into: str, before: str, commit: str) -> None:
        """Push what was merged, and take the feature's branch and markers off the remote.

        Raises GitFailed if the base has moved on there.
        """
        base, git = self._base(into), f"git -C {quote(str(self.project.repo.home))}"
        done = base.push({base.ref: (before, commit)})
        if base.see().tip != commit:
            raise GitFailed(
                f"{self.feature.slug} is merged here, and {base.remote} does not take {into}: "
                f"{done.stderr.strip()[-300:]}",
                hint=f"{git} pull {quote(base.remote)} {quote(into)}, then "
                f"{git} push {quote(base.remote)} {quote(into)}",
            )
        with suppress(GitFailed):  # they are in nobody's way
            self._clear()

    def _clear(self) -> None:
        mine = f"{MARKERS}{self.feature.id}-*"
        self.branch.push(
            {ref: (commit, None) for ref, commit in self.branch.like(self.branch.ref, mine).items()}
        )

    def _adds_nothing(self, here: str, there: str, tip: str | None) -> bool:
        """Return whether the base here has what the remote's has, and more that the feature has."""
        home = self.project.repo.home
        return is_ancestor(home, there, here) and tip is not None and is_ancestor(home, here, tip)

    def _forward(self, base: SharedBranch, there: str) -> None:
        place = checked_out_at(self.project, base.branch)
        if place is None:
            base.follow(there)
        else:
            run_git([*NO_HOOKS, "merge", "--ff-only", "--quiet", there], place, timeout=None)

    def _base(self, into: str) -> SharedBranch:
        return self.branch._replace(branch=into)


def shared_landing(project: Project, feature: Feature) -> SharedLanding | None:
    """Return how a feature lands whose hosts share code; None if its store has one host."""
    if feature.added_on is None:
        return None
    branch = shared_branch(project.repo, project.settings.remote, feature.branch)
    return SharedLanding(project, feature, branch)

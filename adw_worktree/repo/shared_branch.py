"""A branch that hosts share by a remote, and a marker there that says who may add to it.

What holds here: the remote is the truth. The branch moves there from exactly the commit that was
merged with, and together with the marker, or not at all (`push --atomic` with leases); the branch
of the same name here follows. Who was away, and has lost the marker to another, cannot push.

The marker is a ref of its own, outside of branches and tags. It leads to a commit without files,
whose message is a JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from adw_worktree.errors import BranchUnusable
from adw_worktree.repo.git import NO_HOOKS, GitResult, run_git
from adw_worktree.repo.refs import branch_commit, is_ancestor, loose_commit
from adw_worktree.repo.remotes import preferred_remote
from adw_worktree.repo.repository import Repository
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SECONDS = 120.0
_ALONE: Mapping[str, str] = {
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER")
       for what, text in (("NAME", "adw-worktree"), ("EMAIL", "adw-worktree@localhost"))},
}  # fmt: skip
MARKERS = "refs/adw-worktree/phases/"
"""Where the markers are, on the remote."""


class Seen(NamedTuple):
    """What the remote has now, each None if it has none."""

    tip: str | None
    marker: str | None


class SharedBranch(NamedTuple):
    """A branch, its remote, and what the marker there is called."""

    repo: Repository
    remote: str
    branch: str
    name: str
    """Of the marker."""

    @property
    def ref(self) -> str:
        """The ref of the branch, here and there."""
        return f"refs/heads/{self.branch}"

    @property
    def marker(self) -> str:
        """The ref of the marker."""
        return f"{MARKERS}{self.name}"

    def see(self) -> Seen:
        """Return what the remote has. Raises GitFailed."""
        found = self.there(self.ref, self.marker)
        return Seen(found.get(self.ref), found.get(self.marker))

    def there(self, *refs: str) -> dict[str, str]:
        """Return the commits of those of the refs that the remote has. Raises GitFailed."""
        return {ref: commit for ref, commit in self.like(*refs).items() if ref in refs}

    def like(self, *patterns: str) -> dict[str, str]:
        """Return the remote's refs that end as a pattern does, and their commits.

        Raises GitFailed.
        """
        told = self._git("ls-remote", "--", self.remote, *patterns).stdout
        return {ref: commit for commit, _, ref in (line.partition("\t")
                for line in told.splitlines())}  # fmt: skip

    def fetch(self, *refs: str) -> None:
        """Have the commits of refs of the remote here. Raises GitFailed."""
        alone = ["--no-tags", "--no-write-fetch-head", "--refmap=", "--no-recurse-submodules"]
        self._git("fetch", "--quiet", *alone, "--", self.remote, *refs)

    def has(self, commit: str) -> bool:
        """Return whether a commit is here, with all before it."""
        command = ["cat-file", "-e", f"{commit}^{{commit}}"]
        return run_git(command, self.repo.home, check=False).returncode == 0

    def follow(self, tip: str) -> None:
        """Have the branch here be where it is there. Raises GitFailed, BranchUnusable.

        What it has here alone was never accepted there: it is the merge of a branch that stays.
        """
        # Most often it is: then git need not be asked.
        if loose_commit(self.repo.common_dir, self.branch) == tip:
            return
        if not self.has(tip):
            self.fetch(self.ref)
        here = branch_commit(self.repo.home, self.branch)
        if here == tip:
            return
        place = _checked_out(self.repo, self.branch)
        if place is not None:
            raise BranchUnusable(
                f"{self.branch} is checked out at {place}, and has moved on at {self.remote}",
                hint=f"git -C {place} switch --detach",
            )
        reason = ["--create-reflog", "-m", f"{self.remote} is at {tip[:12]}"]
        before = here or "0" * len(tip)
        command = ["update-ref", *reason, self.ref, tip, before]
        run_git(command, self.repo.checkout, shielded=True)

    def text(self, marker: str) -> dict[str, Any]:
        """Return what a marker says, nothing if it is none of ours. Raises GitFailed."""
        if not self.has(marker):
            self.fetch(self.marker)
        told = run_git(["cat-file", "commit", marker], self.repo.home, check=False).stdout
        try:
            found = json.loads(told.partition("\n\n")[2])
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def write_marker(self, text: Mapping[str, object]) -> str:
        """Return a marker that says this; it is nowhere yet. Raises GitFailed."""
        tree = self._git("mktree", stdin="").stdout.strip()
        return self._git("commit-tree", "-m", json.dumps(text), tree).stdout.strip()

    def push(self, changes: Mapping[str, tuple[str | None, str | None]]) -> GitResult:
        """Move refs of the remote, each from one commit to another, all of them or none.

        None is a ref that is not there. Returns what git says: whether it was done is seen by
        looking, since an answer may be lost.
        """
        leases = [f"--force-with-lease={ref}:{old or ''}" for ref, (old, _) in changes.items()]
        moves = [f"{new or ''}:{ref}" for ref, (_, new) in changes.items()]
        reached("push.before")
        done = self._git(
            "push", "--atomic", "--porcelain", "--no-verify", *leases, "--", self.remote, *moves,
            check=False,
        )  # fmt: skip
        reached("push.after")
        return done

    def contains(self, tip: str, commit: str) -> bool:
        """Return whether `tip`, a commit of the remote's branch, has `commit` in it."""
        if not self.has(tip):
            self.fetch(self.ref)
        return is_ancestor(self.repo.home, commit, tip)

    def _git(self, *command: str, check: bool = True, stdin: str | None = None) -> GitResult:
        return run_git(
            [*NO_HOOKS, *command],
            self.repo.checkout,
            check=check,
            stdin=stdin,
            timeout=_SECONDS,
            variables=_ALONE,
        )


def _checked_out(repo: Repository, branch: str) -> str | None:
    """Return the worktree that is on a branch, None if none is."""
    listed = run_git(["worktree", "list", "--porcelain", "-z"], repo.home, check=False).stdout
    for entry in listed.split("\0\0"):
        lines = dict(line.partition(" ")[::2] for line in entry.split("\0") if line)
        if lines.get("branch") == f"refs/heads/{branch}":
            return lines.get("worktree")
    return None


def shared_branch(
    repo: Repository, setting: str | None, branch: str, name: str = ""
) -> SharedBranch:
    """Return a branch at the remote that is meant, where the setting `remote` is `setting`.

    `name` is that of the marker; what does not land alone needs none.
    """
    return SharedBranch(repo, preferred_remote(repo, setting), branch, name)

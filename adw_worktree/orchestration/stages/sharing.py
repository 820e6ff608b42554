"""Code of phases that hosts share: it travels by a remote that all of them have.

What holds here: an attempt that takes over from another puts its marker on the remote when it
begins; the work of each lands there together with its marker, in one step, and only if no later
attempt has put its own. So an attempt that another host has taken over cannot land any more,
whatever it believes; and one that has landed is seen to have landed by the next, wherever that
runs.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from shlex import quote

from adw_worktree.errors import BranchUnusable, GitFailed, StaleAttempt, TargetMoved
from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.orchestration.runs.host_lease import is_trusted
from adw_worktree.orchestration.store.attempts import End
from adw_worktree.project import Project
from adw_worktree.repo.refs import loose_commit, resolve_base
from adw_worktree.repo.shared_branch import Seen, SharedBranch, shared_branch
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before a push or a look is repeated that failed for a reason of the network."""


class Shared(NamedTuple):
    """An attempt, and the branch that it is to land on."""

    project: Project
    assignment: Assignment
    branch: SharedBranch

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only one on this host who moves the feature's branch, for the block."""
        state_dir, feature = self.assignment.state_dir, self.assignment.feature
        path = state_dir / "phases" / f"share-{feature.id}.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    # ---- beginning --------------------------------------------------------------------

    def begin(self) -> End | None:
        """Put our marker in place; return the end of the attempt if the phase has landed before.

        The first attempt takes over from none, and needs no marker before it lands. Raises
        StaleAttempt if a later attempt has begun, or could have, GitFailed.
        """
        told = ""
        if not is_trusted(self.assignment.state_dir):
            raise self._stale()
        if self.assignment.attempt.number == 1:
            return None
        for pause in (0.0, *_PAUSES_SECONDS):
            time.sleep(pause)
            try:
                seen = self.branch.see()
                text = self.branch.text(seen.marker) if seen.marker is not None else {}
            except GitFailed as exc:
                told = exc.stderr
                continue
            if self._is_of_phase(text):
                landed = text.get("landed")
                if isinstance(landed, str) and seen.tip and self.branch.contains(seen.tip, landed):
                    return End("completed", "its work had landed already", 0, landed)
                number = text.get("attempt")
                if isinstance(number, int) and number > self.assignment.attempt.number:
                    raise self._stale()
                if text.get("is") == self._digest:
                    return None
            mine = self.branch.write_marker(self._text())
            done = self.branch.push({self.branch.marker: (seen.marker, mine)})
            if done.returncode == 0:
                return None
            told = done.stderr
        raise _not_taken(self.branch, told)

    def tip(self) -> str:
        """Return what `branch_tip` does, in a turn of its own.

        If the branch here is where the store has last heard of it, all that the phase depends on is
        in it, and the remote need not be asked.
        """
        known = self.assignment.feature.tip
        here = loose_commit(self.project.repo.common_dir, self.branch.branch)
        if known is not None and here == known:
            return known
        with self.turn():
            return self.branch_tip()

    def branch_tip(self) -> str:
        """Return the commit of the feature's branch on the remote; the branch here is at it then.

        It is made there if it is missing. In our turn. Raises GitFailed, BranchUnusable.
        """
        told = ""
        for pause in (0.0, *_PAUSES_SECONDS):
            time.sleep(pause)
            try:
                tip = self.branch.see().tip
                if tip is None:
                    told = self.branch.push({self.branch.ref: (None, self._start())}).stderr
                    tip = self.branch.see().tip
                if tip is not None:
                    self.branch.follow(tip)
                    return tip
            except GitFailed as exc:
                told = exc.stderr
        raise _not_taken(self.branch, told)

    def _start(self) -> str:
        """Return the commit that the feature starts from: its base, as the remote has it."""
        feature = self.assignment.feature
        base = feature.base or self.project.settings.base
        refs = ["HEAD"] if base == "HEAD" else [f"refs/heads/{base}", f"refs/tags/{base}"]
        for ref, commit in self.branch.there(*refs).items():
            if not self.branch.has(commit):
                self.branch.fetch(ref)
            return resolve_base(self.project.repo.home, commit) or commit
        here = resolve_base(self.project.repo.home, base)
        if here is None:
            raise BranchUnusable(
                f"neither {self.branch.remote} nor this host has {base!r}, from which feature "
                f"{feature.slug} is to start",
                hint="name another with base in the feature file, or with the setting base",
            )
        return here

    # ---- landing ----------------------------------------------------------------------

    def publish(self, before: str, commit: str) -> None:
        """Have the branch on the remote go from `before` to `commit`; in our turn.

        Raises StaleAttempt if a later attempt has begun, TargetMoved if others have landed
        meanwhile; the branch here is at the remote's then. Raises GitFailed if the remote cannot be
        reached for a minute.
        """
        landed = self.branch.write_marker(self._text(landed=commit))
        told = ""
        for pause in (0.0, *_PAUSES_SECONDS):
            time.sleep(pause)
            try:
                seen = self.branch.see()
                if seen.marker == landed:
                    return
                self._require_ours(seen, before)
                told = self.branch.push(
                    {self.branch.ref: (before, commit), self.branch.marker: (seen.marker, landed)}
                ).stderr
                if self.branch.see().marker == landed:
                    return
            except GitFailed as exc:
                told = exc.stderr
        raise _not_taken(self.branch, told)

    def _require_ours(self, seen: Seen, before: str) -> None:
        """Raise StaleAttempt if the marker is another's, TargetMoved if the branch has moved on.

        The branch here is at the remote's then.
        """
        text = self.branch.text(seen.marker) if seen.marker is not None else {}
        is_first = self.assignment.attempt.number == 1
        is_ours = text.get("is") == self._digest or (is_first and not self._is_of_phase(text))
        if is_ours and seen.tip == before:
            return
        if seen.tip is not None:
            self.branch.follow(seen.tip)
        if not is_ours:
            raise self._stale()
        raise TargetMoved(
            f"{self.branch.branch} has moved on at {self.branch.remote}", hint="repeat"
        )

    # ---- the marker -------------------------------------------------------------------

    @property
    def _digest(self) -> str:
        """What tells our attempt, and does not give its token away."""
        return sha256(self.assignment.attempt.token.encode()).hexdigest()[:32]

    def _text(self, **more: str) -> dict[str, Any]:
        phase, attempt = self.assignment.phase, self.assignment.attempt
        return {
            "phase": [phase.feature_id, phase.id, phase.created_at],
            "attempt": attempt.number,
            "is": self._digest,
            **more,
        }

    def _is_of_phase(self, text: dict[str, Any]) -> bool:
        return bool(text.get("phase") == self._text()["phase"])

    def _stale(self) -> StaleAttempt:
        return StaleAttempt(
            f"another attempt of {self.assignment.name} has begun: this one lands nothing",
            hint=f"adw-worktree phase show {self.assignment.name}",
        )


def publish_start(project: Project, branch: str, base: str) -> str:
    """Have a feature's branch be on the remote, from `base` as this host has it, if it is not.

    So phases start from what the person sees who starts the feature, pushed or not. Returns where
    it is there. Raises BranchUnusable, GitFailed.
    """
    there = shared_branch(project.repo, project.settings.remote, branch)
    start = resolve_base(project.repo.home, base)
    if start is None:
        raise BranchUnusable(
            f"there is no commit {base!r} for {branch} to start from",
            hint="name another with base in the feature file, or with the setting base",
        )
    tip = there.see().tip
    if tip is not None:
        return tip
    done = there.push({there.ref: (None, start)})
    tip = there.see().tip
    if tip is None:
        raise _not_taken(there, done.stderr)
    return tip


def _not_taken(branch: SharedBranch, told: str) -> GitFailed:
    return GitFailed(
        f"{branch.remote} does not take {branch.branch}: {told.strip()[-300:]}",
        hint=f"git -C {quote(str(branch.repo.home))} push {quote(branch.remote)} "
        f"{quote(branch.branch)}, which says more",
        stderr=told,
    )


def shared(project: Project, assignment: Assignment) -> Shared | None:
    """Return how an attempt shares its code; None if its store has one host."""
    if assignment.feature.added_on is None:
        return None
    feature = assignment.feature
    name = f"{feature.id}-{assignment.phase.adw_id}"
    branch = shared_branch(project.repo, project.settings.remote, feature.branch, name)
    return Shared(project, assignment, branch)

"""Fault points: the steps at which a test can end the process, or have the step fail.

Every step that changes something outside of the process calls `reached` with a name of its own. The
variable ADW_FAULT says what happens there, in this process and in those that it starts:

- `POINT=ACTION`, `POINT:N=ACTION`: ACTION when POINT is reached for the Nth time (default: first).
  `any` is every point, so that `any:N` is the Nth of them all.
- `trace:FILE`: append the name of each point to FILE when it is reached.

Several are separated by commas: that is how a step fails, and the undoing of it is killed.

Without the variable `reached` does nothing.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

from adw_worktree.errors import UsageError

VARIABLE = "ADW_FAULT"

POINTS = (
    "atomic.made",
    "atomic.written",
    "atomic.renamed",
    "atomic.synced",
    "atomic.discarded",
    "lock.directory",
    "lock.taken",
    "lock.released",
    "creator.locked",
    "creator.filled",
    "creator.dropped",
    "state.directory",
    "ledger.directory",
    "ledger.set-aside",
    "place.recorded",
    "place.set-aside",
    "registry.forgotten",
    "trust.set-aside",
    "exclude.directory",
    "stamp.written",
    "stamp.removed",
    "fetch.before",
    "fetch.after",
    "fetched-drop.before",
    "fetched-drop.after",
    "branch-make.before",
    "branch-make.after",
    "track.before",
    "track.after",
    "branch-drop.before",
    "branch-drop.after",
    "branch-config.after",
    "worktree-parents.made",
    "worktree-add.before",
    "worktree-add.after",
    "fill.before",
    "fill.after",
    "post-checkout.before",
    "post-checkout.after",
    "submodules.before",
    "submodules.after",
    "worktree-remove.before",
    "worktree-remove.after",
    "worktree-repair.before",
    "worktree-repair.after",
    "user-hook.before",
    "user-hook.after",
    "lease.pending",
    "receipt.written",
    "env.written",
    "lease.active",
    "agent-file.kept",
    "agent-file.written",
    "agent-file.removed",
    "include.copied",
    "include.linked",
    "include.directory",
    "program.written",
    "program.dropped",
    "database-copy.before",
    "database.copied",
    "database.named",
    "database.closed",
    "database.resting",
    "database.dropped",
    "undo.begun",
    "undo.directory",
    "background.begun",
    "spare.claimed",
    "spare.placed",
    "spare.unlocked",
    "spare.attached",
    "spare.directory",
    "spare.locked",
    "spare.outdated",
    "spare.forgotten",
    "scratch.directory",
    "scratch.locked",
    "merge.before",
    "merge.after",
    "land.before",
    "land.after",
    "background.started",
    "unit.started",
    "unit.ended",
    "unit.removed",
    "hook.twice",
    "hook.once",
    "hook.back",
    "hook.removed",
    "trash-ref.before",
    "trash-ref.after",
    "trash-unref.before",
    "trash-unref.after",
    "trash.deleted",
    "trash.expired",
    "trash.given-up",
    "trash.directory",
    "retire.admin",
    "retire.aside",
    "retire.admin-root",
    "retire.settled",
    "retire.parent",
    "retire.tree",
    "copy.part",
    "copy.whole",
    "retire.tree-back",
    "retire.admin-back",
    "visit.noted",
    "rename.noted",
    "rename.claimed",
    "rename.moved",
    "rename.unmarked",
    "rename.forgotten",
    "branch-rename.before",
    "branch-rename.after",
    "branch-rename.head",
    "branch-rename.section",
    "restore.begun",
    "restore.parent",
    "restore.admin-root",
    "restore.admin",
    "restore.making",
    "restore.receipt",
    "restore.unmade",
    "restore.tree",
    "restore.place",
    "restore.admin-back",
    "restore.tree-back",
    "restore.aside",
    "restore.given-up",
)

PHASE_POINTS = (
    "store.commit",
    "store.committed",
    "coordinator.idle",
    "claim.committed",
    "runner.forked",
    "attempt.worktree",
    "command.before",
    "command.started",
    "journal.written",
    "stage.started",
    "call.before",
    "call.noted",
    "ship.merged",
    "push.before",
    "push.after",
    "ship.before",
    "ship.landed",
    "end.before",
    "end.written",
    "end.committed",
    "event.delivered",
    "verify.looked",
    "issue.created",
    "issue.commented",
    "backup.written",
    "restore.kept",
)
"""Those of the processes that carry phases, and of copies of their store."""

_SIGNALS = {
    "kill": signal.SIGKILL,
    "term": signal.SIGTERM,
    "int": signal.SIGINT,
    "hup": signal.SIGHUP,
    "stop": signal.SIGSTOP,
}
_ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO}
_ANY = "any"

_counts: Counter[str] = Counter()


def require_valid() -> None:
    """Raise UsageError if the variable is set to what means nothing."""
    for wish in os.environ.get(VARIABLE, "trace:").split(","):
        if not wish.startswith("trace:"):
            _parse(wish)


def _parse(wish: str) -> tuple[str, int, str]:
    """Return point, count and action."""
    place, _, action = wish.partition("=")
    point, _, count = place.partition(":")
    if point not in (*POINTS, *PHASE_POINTS, _ANY) or action not in (*_SIGNALS, *_ERRORS):
        raise UsageError(f"{VARIABLE} is {wish!r}: no POINT[:N]=ACTION", hint=f"unset {VARIABLE}")
    if count and (not count.isdecimal() or int(count) < 1):
        raise UsageError(
            f"{VARIABLE} is {wish!r}: {count!r} is no count from 1 on", hint=f"unset {VARIABLE}"
        )
    return point, int(count or 1), action


def _act(name: str) -> None:
    _counts[name] += 1
    for wish in os.environ.get(VARIABLE, "trace:/dev/null").split(","):
        _follow(wish, name)


def _follow(wish: str, name: str) -> None:
    if wish.startswith("trace:"):
        with open(wish.removeprefix("trace:"), "a") as file:
            file.write(f"{name}\n")
        return
    point, count, action = _parse(wish)
    seen = _counts.total() if point == _ANY else _counts[name]
    if point not in (name, _ANY) or seen != count:
        return
    if action in _ERRORS:
        raise OSError(_ERRORS[action], os.strerror(_ERRORS[action]))
    os.kill(os.getpid(), _SIGNALS[action])


if VARIABLE in os.environ:

    def reached(name: str) -> None:
        """Do at this point what the variable asks for."""
        _act(name)

else:

    def reached(name: str) -> None:
        """Do nothing: the variable was not set when this module was imported."""

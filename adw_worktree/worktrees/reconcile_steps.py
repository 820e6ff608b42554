"""What `reconcile` does about what it found, each kind with as few writes of the ledger as can be.

What holds here: an action that fails stops no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from adw_worktree.errors import AdwError, UnknownAdw
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import tied
from adw_worktree.pool.receipts import write_receipt
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.worktrees.adopt_together import Done, adopt, settle
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.files.furnish import furnish
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.reconcile_plan import Action
from adw_worktree.worktrees.without_tree import prune_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.worktrees.reconcile_plan import Kind

_ORDER: tuple[Kind, ...] = (
    "undo",
    "finish",
    "release",
    "move",
    "refresh",
    "receipt",
    "env",
    "reassign",
    "adopt",
    "prune",
    "drop",
    "keep",
)
"""What frees slots is done before what needs some."""


def apply_actions(project: Project, actions: Sequence[Action]) -> Iterator[Done]:
    """Do what `actions` say; yield each as it was done."""
    for kind, some in groupby(in_order(actions), key=attrgetter("kind")):
        yield from _apply_alike(project, kind, list(some))


def in_order(actions: Sequence[Action]) -> list[Action]:
    """Return the actions in the order in which they are done."""
    return sorted(actions, key=lambda action: _ORDER.index(action.kind))


def _apply_alike(project: Project, kind: Kind, actions: Sequence[Action]) -> Iterator[Done]:
    if kind in ("undo", "finish"):
        yield from _heal(project, actions)
    elif kind == "release":
        yield from _release(project, actions)
    elif kind in ("move", "refresh", "receipt"):
        yield from _update(project, actions)
    elif kind == "adopt":
        yield from adopt(project, actions)
    else:
        yield from (_apply_one(project, action) for action in actions)


def _apply_one(project: Project, action: Action) -> Done:
    lease, seen = action.lease, action.seen
    try:
        if lease is not None and action.kind == "prune":
            prune_entry(project, project.repo.admin_root / str(lease.admin_id), lease)
        elif lease is not None and seen is not None and action.kind == "env":
            furnish(project, _current(action, lease), seen.path)
        elif lease is not None and seen is not None and action.kind == "reassign":
            moved = project.pool.reassign(tied(lease, seen.path, seen.admin))
            ensure_excluded(project, seen.path)
            settle(project, moved, seen)
            return action._replace(slot=moved.slot, lease=moved), None
    except (AdwError, OSError) as exc:
        return action, exc
    return action, None


def _heal(project: Project, actions: Sequence[Action]) -> Iterator[Done]:
    """Finish or undo what dead processes left, all of it."""
    failed: dict[str, AdwError] = {}
    failure = _failure_of(lambda: failed.update(heal(project).failed))
    for action in actions:
        token = action.lease.token if action.lease is not None else ""
        yield action, failure or failed.get(token)


def _release(project: Project, actions: Sequence[Action]) -> Iterator[Done]:
    leases = [action.lease for action in actions if action.lease is not None]
    seen_absent = [lease for lease in leases if lease.has_worktree]
    aged = [lease for lease in leases if not lease.has_worktree]
    failure = None
    if seen_absent:
        failure = _failure_of(lambda: project.pool.release(*seen_absent, doubtful=True))
    if aged:
        failure = _failure_of(lambda: project.pool.release(*aged)) or failure
    yield from ((action, failure) for action in actions)


def _update(project: Project, actions: Sequence[Action]) -> Iterator[Done]:
    """Do what changes leases, and then write all that changed together."""
    changed: list[tuple[Action, Lease]] = []
    for action in actions:
        try:
            changed.append((action, _changed(project, action)))
        except (AdwError, OSError) as exc:
            yield action, exc
    leases = [lease for _, lease in changed]
    failure = _failure_of(lambda: project.pool.update(*leases)) if leases else None
    for action, lease in changed:
        if isinstance(failure, UnknownAdw):  # of one of them
            yield action, _failure_of(partial(project.pool.update, lease))
        else:
            yield action, failure


def _changed(project: Project, action: Action) -> Lease:
    """Return the lease as it is to be written. Raises AdwError, OSError."""
    lease, seen = action.lease, action.seen
    assert lease is not None
    if action.kind == "move" and action.path is not None:
        _point_at(project.repo.admin_root / str(lease.admin_id), action.path)
        reached("worktree-repair.before")
        run_git(["worktree", "repair", "--", str(action.path)], project.repo.checkout)
        reached("worktree-repair.after")
        return lease._replace(path=str(action.path))
    current = _current(action, lease)
    if action.kind == "receipt" and seen is not None:
        write_receipt(seen.admin, current)
    return current


def _current(action: Action, lease: Lease) -> Lease:
    """Return the lease with what its worktree is now. Raises OSError."""
    seen = action.seen
    assert seen is not None
    return tied(lease, seen.path, seen.admin)._replace(branch=seen.branch)


def _failure_of(call: Callable[[], object]) -> AdwError | OSError | None:
    """Return why `call` failed; None if it did not."""
    try:
        call()
    except (AdwError, OSError) as exc:
        return exc
    return None


def _point_at(admin: Path, worktree: Path) -> None:
    """Name `worktree` in git's admin directory. Raises OSError, the old name whole.

    `git worktree repair` empties the file before it writes: on a full disk it would stay empty, and
    git would prune the worktree. It leaves a right one alone.
    """
    named = (admin / "gitdir").read_bytes()
    if not named.strip() or named.startswith(b"/"):  # a relative one is left to git
        write_atomically(admin / "gitdir", os.fsencode(worktree / ".git") + b"\n", shared=True)

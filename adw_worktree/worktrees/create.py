"""`create`: lease, branch, worktree, env file, files, hooks. All of it, or nothing.

The order is the design: the lease is written first as `pending`, with everything that undoing
needs; a file lock says that this process is at work; the env file is there before anything can
start that reads it; `active` comes last.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from adw_worktree.adw_id import check_adw_id
from adw_worktree.errors import (
    AdwError,
    BranchUnusable,
    DatabaseFailed,
    FileUnusable,
    GitFailed,
    HookFailed,
    LibraryMissing,
    PathOccupied,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import tied
from adw_worktree.pool.receipts import write_receipt
from adw_worktree.pool.wanted_slot import require_slot
from adw_worktree.project import Project
from adw_worktree.repo.branches import make_branch, track
from adw_worktree.repo.git import Checkout
from adw_worktree.repo.repository import admin_directory
from adw_worktree.repo.sparse import checkout_here
from adw_worktree.repo.worktrees import (
    add_worktree,
    check_out,
    fill_submodules,
    remove_worktree,
    run_post_checkout,
)
from adw_worktree.settings.approvals import require_trusted
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.sharing import make_directories
from adw_worktree.worktrees.create_lock import creating, mark_filled, wait_for_creator
from adw_worktree.worktrees.create_plan import Plan, Wish, drop_fetched, plan_creation
from adw_worktree.worktrees.files.env_file import write
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.files.furnish import bring_along, furnish
from adw_worktree.worktrees.files.variables import env_text, hook_variables, require_template
from adw_worktree.worktrees.heal import heal, stale_entries
from adw_worktree.worktrees.user_hooks import PREPARE, run_hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.worktrees.spare_files import Spare


class Created(NamedTuple):
    """An ADW's worktree, and whether this call made it."""

    created: bool
    lease: Lease
    env_file: Path
    notes: Sequence[str] = ()
    base: str | None = None
    """The branch, tag, request or commit that it was made from; None if branch or worktree were
    there."""
    base_commit: str | None = None


def create(
    project: Project, adw_id: str, wish: Wish | None = None, *, output: int | None = None
) -> Created:
    """Make the worktree of `adw_id` with its lease and env file, or return the one it has.

    `output` is a file descriptor for what git and hooks print; None drops it. Safe to call from
    many threads and processes. On any error or signal everything is undone.

    Raises AdwError subclasses: PoolExhausted, BranchUnusable, PathOccupied, HookFailed, …
    """
    check_adw_id(adw_id)
    wish = wish or Wish()
    waited_for: str | None = None
    while True:
        healed = heal(project)
        present = project.pool.leases().get(adw_id)
        if present is not None and present.has_worktree:
            if present.state == "active":
                return _again(project, present, wish)
            if present.token == waited_for and present.token in healed.failed:
                raise healed.failed[present.token]
            wait_for_creator(project.pool, present)
            waited_for = present.token
            continue
        if present is not None:
            require_slot(project.pool, present, wish.slot, making=True)
        try:
            made = _try_create(project, adw_id, wish, present, output)
        except (BranchUnusable, PathOccupied):
            # What was in the way may be another's of the same id, which came between.
            between = project.pool.leases().get(adw_id)
            if between is None or not between.has_worktree:
                raise
            continue
        if made is not None:
            return made


def _again(project: Project, lease: Lease, wish: Wish) -> Created:
    """Return the worktree that is there; mend its env file if that is missing or a copy."""
    finding = project.pool.finding(lease)
    if finding.verdict != "alive" or finding.path is None:
        from adw_worktree.worktrees.remove_checks import unavailable

        raise unavailable(project, lease, finding)
    require_slot(project.pool, lease, wish.slot, making=True)
    held = lease._replace(path=str(finding.path))
    lease = _ensure_database(project, held)
    if lease != held:
        project.pool.update(lease)
        write_receipt(project.repo.admin_root / str(lease.admin_id), lease)
    from adw_worktree.worktrees.create_again import unheeded

    notes = unheeded(project, lease, wish, finding.path) + furnish(project, lease, finding.path)
    return Created(False, lease, finding.path / project.settings.env_file, notes)


def _try_create(
    project: Project, adw_id: str, wish: Wish, reserved: Lease | None, output: int | None
) -> Created | None:
    """Make the worktree; None if another process leased the id first."""
    if wish.hooks:
        moments = ("pre-create", PREPARE, "post-create")
        require_trusted(project.settings, project.state_dir, project.repo.common_dir, moments)
    require_template(project)
    for admin, gone in stale_entries(project):
        if adw_id == gone.adw_id:
            from adw_worktree.worktrees.without_tree import prune_entry

            prune_entry(project, admin, gone)  # it would keep the path and the branch from use
    token = os.urandom(16).hex()
    with creating(project.pool, token, lambda: wish.pr is None or drop_fetched(project, token)):
        plan = plan_creation(project, adw_id, wish, token)
        return _lease_and_make(project, plan, adw_id, wish, reserved, token, output)


def _lease_and_make(
    project: Project,
    plan: Plan,
    adw_id: str,
    wish: Wish,
    reserved: Lease | None,
    token: str,
    output: int | None,
) -> Created | None:
    draft = Lease(
        adw_id=adw_id,
        slot=-1,
        ports={},
        allocated_at=datetime.now(UTC),
        state="pending",
        token=token,
        path=str(plan.path),
        branch=plan.branch,
        new_branch_at=plan.commit if plan.new_branch else None,
    )
    ensure_excluded(project, plan.path)  # before there is a ledger for `git status` to show
    try:
        if reserved is not None:
            lease = project.pool.upgrade(reserved, draft)
        else:
            lease = project.pool.reserve(adw_id, wanted=wish.slot, draft=draft)
        if lease is None or lease.token != token:
            return None
        reached("lease.pending")
        return _make(project, plan, lease, output)
    except BaseException as exc:
        _undo(project, plan, draft._replace(reserved=reserved is not None or None), exc)
        if isinstance(exc, OSError):
            failure = FileUnusable.because(f"the worktree {plan.path} cannot be made", exc)
            for note in getattr(exc, "__notes__", []):
                failure.add_note(note)
            raise failure from exc
        raise


def _make(project: Project, plan: Plan, lease: Lease, output: int | None) -> Created:
    """Take the steps from a pending lease to an active one."""
    _run_hooks(project, "pre-create", lease, project.repo.home, plan.hooks, output)
    if plan.new_branch and plan.branch is not None:
        lease = _make_branch(project, plan, lease)
    lease = _ensure_database(project, lease)
    lease, spare = _add(project, plan, lease, output)
    env_file = write(plan.path, project.settings.env_file, env_text(project, lease))
    reached("env.written")
    checkout = Checkout(project.repo.admin_root / str(lease.admin_id), plan.path)
    if spare is None:
        check_out(checkout, output=output)
    hook_status = run_post_checkout(checkout, plan.commit, output=output) if plan.hooks else 0
    if project.settings.submodules:
        fill_submodules(project.repo, checkout, output=output)
    notes = bring_along(project, plan.path, output)
    notes += furnish(project, lease, plan.path)  # again: it may know more now
    mark_filled(project.pool, lease.token)
    notes += _finish_hooks(project, plan, lease, spare, hook_status, output)
    lease = lease._replace(state="active", new_branch_at=None, reserved=None)
    write_receipt(project.repo.admin_root / str(lease.admin_id), lease)
    project.pool.update(lease)
    reached("lease.active")
    commit = plan.commit if plan.started_from is not None else None
    return Created(True, lease, env_file, notes, plan.started_from, commit)


def _undo(project: Project, plan: Plan, draft: Lease, cause: BaseException) -> None:
    """Undo the creation; what cannot be undone now is left to the next command, and said."""
    from adw_worktree.worktrees.create_undo import undo_creation

    try:
        # The ledger knows whether, and as what, the lease was written before it was interrupted.
        lease = project.pool.leases().get(draft.adw_id)
        if lease is None or lease.token != draft.token:
            return
        if lease.state == "active":
            # Pending again first: if that cannot be written, the worktree is whole, and stays.
            lease = lease._replace(
                state="pending",
                new_branch_at=draft.new_branch_at,
                reserved=draft.reserved,
            )
            project.pool.update(lease)
        undo_creation(project, lease, plan.made_parents)
        no_server = isinstance(cause, DatabaseFailed | LibraryMissing)
        if project.settings.postgres is not None and not no_server:
            from adw_worktree.worktrees.database import sweep_databases

            sweep_databases(project)
    except (AdwError, OSError) as exc:
        cause.add_note(f"not all of it could be undone: {exc}; adw-worktree reconcile")


def _ensure_database(project: Project, lease: Lease) -> Lease:
    if project.settings.postgres is None:
        return lease
    from adw_worktree.worktrees.database import ensure_database

    return ensure_database(project, lease)


def _make_branch(project: Project, plan: Plan, lease: Lease) -> Lease:
    assert plan.branch is not None
    try:
        make_branch(project.repo, plan.branch, plan.commit, plan.base)
    except BranchUnusable:
        # Somebody made it since we looked: it is not ours to delete.
        project.pool.update(lease._replace(new_branch_at=None))
        raise
    track(project.repo, project.settings, plan.branch, plan.base, plan.asked_in)
    return lease


def _add(
    project: Project, plan: Plan, lease: Lease, output: int | None
) -> tuple[Lease, Spare | None]:
    """Make the worktree and tie the lease to it: a spare with its files, or one without files."""
    make_directories(plan.path.parent, like=project.repo.common_dir)
    reached("worktree-parents.made")
    spare = _place_spare(project, plan, output) if project.settings.spares else None
    if spare is None:
        target = plan.branch or plan.commit
        here = checkout_here(project.repo)  # whose sparse checkout git passes on
        detach = plan.branch is None
        add_worktree(project.repo, project.settings, plan.path, target, detach, here=here)
    admin = admin_directory(plan.path)
    if admin is None:
        raise GitFailed(f"git made no worktree at {plan.path}", hint="adw-worktree doctor")
    lease = tied(lease, plan.path, admin)
    write_receipt(admin, lease)
    reached("receipt.written")
    project.pool.update(lease)
    return lease, spare


def _place_spare(project: Project, plan: Plan, output: int | None) -> Spare | None:
    """Have a spare be the worktree of `plan`; None, with nothing there, if that cannot be."""
    from adw_worktree.worktrees import spares
    from adw_worktree.worktrees.spare_place import place

    with spares.taken(project, plan.path, plan.commit) as spare:
        if spare is None:
            return None
        try:
            checkout = Checkout(place(project, spare.name, plan.path), plan.path)
        except OSError:
            return None
    try:
        spares.attach(checkout, plan.branch, plan.commit, output=output)
    except GitFailed:
        remove_worktree(project.repo, plan.path, force=True, unlock=True)
        return None
    return spare


def _finish_hooks(
    project: Project,
    plan: Plan,
    lease: Lease,
    spare: Spare | None,
    hook_status: int,
    output: int | None,
) -> list[str]:
    """Run the prepare and post-create hooks; with `keep`, what fails becomes a note."""
    try:
        if hook_status != 0:
            raise HookFailed(
                f"git's post-checkout hook failed in {plan.path} (exit status {hook_status})",
                hint="mend the hook, or repeat with --no-hooks or --keep",
            )
        if plan.hooks and PREPARE in project.settings.hooks:
            _prepare(project, plan, spare, output)
        _run_hooks(project, "post-create", lease, plan.path, plan.hooks, output)
    except HookFailed as exc:
        if not plan.keep:
            raise
        return [
            f"{exc.message}; the worktree was kept, to go on by hand: "
            f"adw-worktree run {lease.adw_id} -- sh"
        ]
    return []


def _prepare(project: Project, plan: Plan, spare: Spare | None, output: int | None) -> None:
    """Run the `prepare` hooks, unless they did in the spare that was taken."""
    from adw_worktree.worktrees.prepare import prepare
    from adw_worktree.worktrees.spares import is_prepared

    if not is_prepared(project, spare, plan.commit):
        prepare(project, plan.path, output)


def _run_hooks(
    project: Project, moment: str, lease: Lease, cwd: Path, wanted: bool, output: int | None
) -> None:
    if wanted:
        variables = hook_variables(project, lease)
        run_hooks(moment, project.settings, cwd=cwd, variables=variables, output=output)

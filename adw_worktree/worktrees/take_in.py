"""Giving a worktree that is there and has no lease what `create` gives to one that it makes.

What holds here: all of it, or nothing. Nothing in the worktree is changed but what we write into
it, and no file of a person's is written over. The receipt is there before the lease: without it,
whoever looks meanwhile takes the worktree for another's, and frees the slot.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from shlex import quote

from adw_worktree.errors import AdwError, AdwIdTaken, PathOccupied, SettingsError
from adw_worktree.pool.claims import Claim
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.pool.ledger import tied
from adw_worktree.pool.receipts import RECEIPT, receipt_mode, write_receipt
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.paths import exists
from adw_worktree.worktrees.files.exclude import ensure_excluded
from adw_worktree.worktrees.files.furnish import furnish
from adw_worktree.worktrees.files.variables import require_template
from adw_worktree.worktrees.reconcile_plan import Seen


def take_in(
    project: Project,
    seen: Seen,
    wanted: Lease,
    *,
    keep_slot: bool = False,
    reserved: Lease | None = None,
) -> tuple[Lease, list[str]]:
    """Lease a slot to a worktree and furnish it; return the lease, and what to tell a person.

    `wanted` has the ADW id, the token and, with `keep_slot`, the slot, which it gets unless
    somebody else holds that. `reserved` is a lease without a worktree whose slot it gets. Raises
    AdwError and OSError, with nothing changed.
    """
    require_template(project)
    require_env_file_free(project, seen)
    ensure_excluded(project, seen.path)
    ports = wanted.ports or ports_of(max(wanted.slot, 0), project.settings.services)
    draft = tied(wanted, seen.path, seen.admin)._replace(
        ports=ports, state="active", new_branch_at=None
    )
    receipt = seen.admin / RECEIPT
    before = receipt.read_bytes() if exists(receipt) else None
    try:
        write_receipt(seen.admin, draft)
        reached("receipt.written")
        lease = _lease(project, draft, keep_slot, reserved)
        return lease, settle(project, lease, seen)
    except BaseException:
        _give_back(project, draft, reserved, receipt, before)
        raise


def settle(project: Project, lease: Lease, seen: Seen) -> list[str]:
    """Write what a worktree with `lease` has: receipt, env file, files for programs.

    Returns what to tell a person.
    """
    ensure_excluded(project, seen.path)
    write_receipt(seen.admin, lease)
    reached("receipt.written")
    notes = furnish(project, lease, seen.path)
    reached("env.written")
    return notes


def _lease(project: Project, draft: Lease, keep_slot: bool, reserved: Lease | None) -> Lease:
    if reserved is not None:
        upgraded = project.pool.upgrade(reserved, draft)
        lease = upgraded and upgraded._replace(reserved=None)
        if lease is not None:
            project.pool.update(lease)
    else:
        leave_receipt = partial(write_receipt, project.repo.admin_root / str(draft.admin_id))
        [answer] = project.pool.adopt([Claim(draft, keep_slot, leave_receipt)])
        if not isinstance(answer, Lease):
            raise answer
        lease = answer
    if lease is None or lease.token != draft.token:
        raise id_taken(Path(draft.path or ""), draft.adw_id)
    if project.settings.postgres is None:
        return lease
    from adw_worktree.worktrees.database import ensure_database

    lease = ensure_database(project, lease)
    project.pool.update(lease)
    return lease


def id_taken(worktree: Path, adw_id: str) -> AdwIdTaken:
    """Return the error for an ADW id that another worktree or reservation has."""
    return AdwIdTaken(
        f"{worktree} cannot be adopted as {adw_id}: another ADW is called that",
        hint=f"adw-worktree adopt {quote(str(worktree))} --as ANOTHER_ID",
    )


def require_env_file_free(project: Project, seen: Seen) -> None:
    """Raise PathOccupied or SettingsError unless the env file is ours to write."""
    env_file = project.settings.env_file
    path = seen.path / env_file
    if seen.header is None and exists(path) and not seen.has_receipt:
        raise PathOccupied(
            f"{path} is there, and not ours",
            hint="move it away, or choose another name with the setting env_file",
        )
    command = ["--literal-pathspecs", "ls-files", "-z", "--", env_file]
    if exists(path) and run_git(command, Checkout(seen.admin, seen.path)).stdout:
        raise SettingsError(
            f"{path} is tracked by git, and would be overwritten",
            hint=f"git -C {quote(str(seen.path))} rm --cached {quote(env_file)}, or choose another "
            "name with the setting env_file",
        )


def _give_back(
    project: Project, draft: Lease, reserved: Lease | None, receipt: Path, before: bytes | None
) -> None:
    """Take back lease and receipt, as far as that can be; the next command does the rest."""
    with suppress(AdwError, OSError):
        if reserved is not None and reserved.adw_id in project.pool.leases():
            project.pool.update(reserved._replace(token=draft.token))
        elif reserved is None:
            project.pool.release(draft)
    with suppress(OSError):
        if before is None:
            receipt.unlink(missing_ok=True)
        else:
            write_atomically(receipt, before, mode=receipt_mode(receipt.parent))

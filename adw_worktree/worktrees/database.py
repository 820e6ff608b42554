"""The database of an ADW: made with its worktree, kept with it in the trash, dropped with it.

What holds here: a database is dropped only if no lease, no receipt and nothing in the trash of this
repository has its token, and only if this repository made it; where any of these cannot be read,
none is dropped. Whoever is connected sweeps, so that what a dead process left goes with the next
`create`, `remove`, `restore` or `reconcile`; beside these only `doctor` connects.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from adw_worktree.errors import AdwError, DatabaseFailed, DatabaseTaken, FileUnusable, HookUntrusted
from adw_worktree.pool.identity import identity_of
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.receipts import has_receipt, receipt_token
from adw_worktree.project import Project
from adw_worktree.repo.repository import admin_directories
from adw_worktree.settings.database_url import database_name, is_plain_name
from adw_worktree.settings.model import Postgres
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.files.variables import require_postgres
from adw_worktree.worktrees.postgres import Changed, Mark, Marked, Server, connected, plainly
from adw_worktree.worktrees.reconcile_plan import Action, Reconciled

_PAUSE_SECONDS = 0.05
_OTHER_NAME = 'choose another name with database in [postgres], such as "{repo}_{adw_id}"'
_MACHINE_ID = Path("/etc/machine-id")


class Leaked(NamedTuple):
    """A database of ours that nothing needs any more."""

    name: str
    adw_id: str
    failure: AdwError | None = None
    """Why it is still there."""


def ensure_database(project: Project, lease: Lease) -> Lease:
    """Have a database for `lease`, if the settings ask for one; return the lease with its name.

    It is made from the template, unless it is there or came out of the trash with its worktree.
    Raises DatabaseFailed, DatabaseTaken, HookUntrusted.
    """
    wish = require_postgres(project)
    if wish is None:
        return lease
    with connected(wish.url, wish.template) as server:
        deadline = time.monotonic() + project.settings.lock_timeout
        while True:
            leaked: list[Leaked] = []
            with suppress(AdwError):  # it is `reconcile` that tells
                leaked = _sweep(project, server)
            try:
                return lease._replace(database=_ensure(project, server, wish, lease))
            except Changed as exc:
                if time.monotonic() > deadline:
                    raise _in_the_way(exc, leaked) from exc
                time.sleep(_PAUSE_SECONDS)


def _in_the_way(changed: Changed, leaked: list[Leaked]) -> DatabaseFailed:
    """Return the error for a database that does not come to rest: most often one of another role's
    that cannot be dropped."""
    reasons = "".join(f"; {one.name}: {one.failure}" for one in leaked if one.failure is not None)
    return DatabaseFailed(
        f"{changed.message}{reasons}",
        hint="drop it as its owner; as a role that may: adw-worktree reconcile",
    )


def sweep_databases(
    project: Project, *, removed: Lease | None = None, doomed: Collection[str] | None = None
) -> list[Leaked]:
    """Drop the databases that nothing needs any more; return them.

    `removed` is the lease of a worktree just removed, whose database is ours wherever we were when
    it was made. With `doomed`, the tokens of leases that would be released, nothing is changed.
    Raises DatabaseFailed, HookUntrusted, and what keeps us from knowing.
    """
    wish = require_postgres(project)
    if wish is None:
        return []
    with connected(wish.url, wish.template) as server:
        return _sweep(project, server, removed=removed, doomed=doomed)


def drop_leaked(project: Project, removed: Lease | None = None) -> list[str]:
    """Drop what nothing needs any more, as far as that can be; return the names that went.

    What stays is a notice: nothing waits for it.
    """
    leaked: list[Leaked] = []
    try:
        leaked = sweep_databases(project, removed=removed)
        failures = [f"{one.name}: {one.failure}" for one in leaked if one.failure is not None]
    except AdwError as exc:
        failures = [exc.message]
    project.notices.extend(
        f"a database stays for now: {why}; to drop it: adw-worktree reconcile" for why in failures
    )
    return [one.name for one in leaked if one.failure is None]


def sweep_into(project: Project, result: Reconciled, planned: list[Action] | None) -> None:
    """Drop what leaked, and add it to what a pass did; with `planned` only say what would be."""
    going = [one.lease for one in planned or [] if one.kind in ("release", "undo", "prune")]
    doomed = {lease.token for lease in going if lease is not None}
    try:
        leaked = sweep_databases(project, doomed=doomed if planned is not None else None)
    except HookUntrusted:
        return  # what nobody has approved made none; if it changed since, `doctor` says so
    except AdwError as exc:
        action = Action("drop", "(databases)", None, "those that nothing needs")
        result.failed.append((action, exc))
        return
    for one in leaked:
        action = Action("drop", one.adw_id, None, f"nothing needs its database {one.name} any more")
        if one.failure is not None:
            result.failed.append((action, one.failure))
        else:
            result.file(action)


def _ensure(project: Project, server: Server, wish: Postgres, lease: Lease) -> str:
    """Return the name of the lease's database, which is there then. Raises Changed."""
    mark = Mark(lease.token, _repository(project), lease.adw_id)
    name = lease.database or _name(project, wish, lease)
    marked = server.marked()
    own = [one for one in marked if _is_of(one, lease, mark.repo)]
    found = min(own, key=lambda one: one.rests, default=None)
    if found is not None and not found.rests:
        for copied in (one for one in own if one.rests):
            server.drop(copied)  # of whoever made it, too, and came late
    if found is not None and not found.rests and is_plain_name(found.name):
        name = found.name  # where a person, or the ledger before it was lost, had it
    if found is None or found.name != name:
        _require_free(project, server, name, marked)
    if found is None:
        server.make(wish.template, name, mark)
    elif found.name != name or found.mark != mark or found.closed:
        server.put_to_use(found, name, mark)
    return name


def _require_free(project: Project, server: Server, name: str, marked: list[Marked]) -> None:
    """Raise DatabaseTaken if another database has the name, Changed if that is on its way out."""
    if not server.has(name):
        return
    holder = next((one.mark for one in marked if one.name == name), None)
    if holder is None:
        if any(one.name == name for one in server.marked()):
            raise Changed(f"the database {name} was just made")  # by another process, meanwhile
        raise DatabaseTaken(
            f"there is a database {name} that adw-worktree did not make",
            hint=f"{_OTHER_NAME}; or rename that one",
        )
    if holder.repo == _repository(project) and holder.token not in _living(project):
        # A `remove` gives back the slot, and with it the name, before it drops the database.
        raise Changed(f"the database {name} of {holder.adw_id} cannot be dropped yet")
    whose = "" if holder.repo == _repository(project) else " of another repository"
    raise DatabaseTaken(
        f"the database {name} is that of the ADW {holder.adw_id}{whose}", hint=_OTHER_NAME
    )


def _is_of(one: Marked, lease: Lease, repo: str) -> bool:
    """Whether a database is the lease's: made here, or before the repository moved.

    The token alone does not tell: what comes out of the trash of a copied repository has it, too.
    """
    return one.mark.token == lease.token and (one.mark.repo == repo or one.name == lease.database)


def _name(project: Project, wish: Postgres, lease: Lease) -> str:
    values = {
        "repo": project.name,
        "adw_id": lease.adw_id,
        "slot": str(lease.slot),
        "branch": lease.branch or lease.adw_id,
    }
    return database_name(wish.database, values)


def _sweep(
    project: Project,
    server: Server,
    *,
    removed: Lease | None = None,
    doomed: Collection[str] | None = None,
) -> list[Leaked]:
    # In this order: what a `remove` or `restore` takes from one place to the next is seen in one.
    marked = server.marked()
    living = _living(project) - set(doomed or ())
    kept = trash.tokens(project.repo)
    ours = _repository(project)
    leaked = []
    for one in marked:
        token = one.mark.token
        mine = one.mark.repo == ours or (removed is not None and _is_of(one, removed, ours))
        if token in living or not mine:
            continue
        failure = None
        try:
            with plainly():
                if token in kept:
                    if doomed is None:
                        server.rest(one)
                    continue
                if doomed is None:
                    server.drop(one)
        except Changed:
            continue
        except AdwError as exc:
            failure = exc
        leaked.append(Leaked(one.name, one.mark.adw_id, failure))
    return leaked


def _living(project: Project) -> set[str]:
    """Return the tokens of all worktrees, also of those that lost their lease.

    Raises FileUnusable if there is one whose token cannot be told.
    """
    tokens = {lease.token for lease in project.pool.leases().values()}
    for admin in admin_directories(project.repo.admin_root):
        token = receipt_token(admin)
        if token is not None:
            tokens.add(token)
        elif has_receipt(admin):
            raise FileUnusable(
                f"the receipt in {admin} cannot be read, and so no database is dropped",
                hint="adw-worktree reconcile, once it can be",
            )
    return tokens


def _repository(project: Project) -> str:
    """Return what tells this repository, on this machine, from all others that use the server.

    A copy of it has its identity, a cloned machine its paths: all of it together is the least
    likely to be true of two. One that moves leaves behind what had leaked.
    """
    common_dir, ledger = project.repo.common_dir, project.pool.ledger.path
    try:
        machine = _MACHINE_ID.read_text().strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    parts = [machine, os.uname().nodename, f"{common_dir}", f"{ledger}", identity_of(common_dir)]
    return sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]

"""The cheap pass that every command makes first: what dead processes left, and what is gone.

What holds here: a repository in order is only looked at; what mends is imported when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from adw_worktree.errors import AdwError, FileUnusable, LockTimeout, WorktreeUnavailable
from adw_worktree.integrations.hook_file import AGENTS_FILE, CLAUDE_BEFORE, CLAUDE_FILE, EVENTS
from adw_worktree.integrations.stamp import stamp_file
from adw_worktree.pool import registry
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.place import record_file
from adw_worktree.pool.receipts import RECEIPT, load_receipt
from adw_worktree.pool.state_directory import COORDINATOR_BELL
from adw_worktree.pool.verdict import Finding
from adw_worktree.project import Project
from adw_worktree.repo.repository import SPARE, admin_directories, worktree_of_admin
from adw_worktree.system.atomic import discard_leftover
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists
from adw_worktree.worktrees.create_lock import clear_leftovers, is_noted, taken_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.worktrees.trash import Way

_ON_ITS_WAY = (".lock", ".removing", ".restoring", ".deleting")
"""How a name in the trash ends while the entry is moved."""


class Healed(NamedTuple):
    """What the cheap pass did."""

    released: list[tuple[Lease, Finding]]
    undone: list[Lease]
    kept: list[Lease]
    """Half-made worktrees that somebody has worked in since; they were finished instead."""
    removed: list[Lease]
    """Those whose removal was interrupted, and is finished now."""
    failed: dict[str, AdwError]
    """Why the work of a dead `create` cannot be undone yet, by the token of its lease."""
    found: list[tuple[Lease, Finding]]
    """The leases that stay, and what became of their worktrees."""


def heal(project: Project) -> Healed:
    """Finish or undo what dead processes left, and release leases whose worktrees are gone.

    Raises LockTimeout if another process holds the pool for too long.
    """
    _finish_rename(project)
    removed = _finish_moves(project)
    undone: list[Lease] = []
    kept: list[Lease] = []
    failed: dict[str, AdwError] = {}
    for lease in project.pool.leases().values():
        if lease.state != "pending":
            continue
        from adw_worktree.worktrees.create_undo import disown, take_up

        try:
            noted = is_noted(project.pool, lease)
            with taken_over(project.pool, lease) as dead:
                if not dead:
                    continue
                stays = take_up(project, lease) if noted else disown(project, lease)
        except (AdwError, OSError) as exc:
            what = f"a create of {lease.adw_id} died half-way, and cannot be undone yet"
            failed[lease.token] = _noted(project, what, exc)
            continue
        (kept if stays else undone).append(lease)
    try:
        clear_leftovers(project.pool, lambda token: _drop_fetched(project, token))
    except (AdwError, OSError) as exc:
        _noted(project, "what a create left cannot be cleared yet", exc)
    admins = list(admin_directories(project.repo.admin_root))
    _tidy_spares(project, admins)
    sweep = project.pool.release_gone()
    if os.path.lexists(f"{project.state_dir}/{COORDINATOR_BELL}"):
        from adw_worktree.pool.wakeups import revive_coordinator

        revive_coordinator(project.state_dir)
    _discard_leftovers(project, admins, sweep.kept)
    return Healed(sweep.released, undone, kept, removed, failed, sweep.kept)


def _noted(project: Project, what: str, exc: AdwError | OSError) -> AdwError:
    """Note, once, what cannot be mended yet, and return it as a failure."""
    why = exc if isinstance(exc, AdwError) else FileUnusable.because(str(exc.filename), exc)
    kind = LockTimeout if isinstance(why, LockTimeout) else WorktreeUnavailable
    failure = kind(f"{what}: {why.message}", hint=why.hint or "adw-worktree doctor")
    note = f"{failure.message}; {why.hint}" if why.hint else failure.message
    if note not in project.notices:
        project.notices.append(note)
    return failure


def stale_entries(project: Project) -> list[tuple[Path, Lease]]:
    """Return git's admin directories of our worktrees whose directories are gone, not locked.

    The slot may be released already; the entry still keeps its path and branch from use.
    """
    found = []
    for admin in admin_directories(project.repo.admin_root):
        lease = load_receipt(admin)
        if lease is None or exists(admin / "locked"):
            continue
        lease = lease._replace(admin_id=admin.name)
        worktree = worktree_of_admin(admin)
        if worktree is not None and exists(worktree):
            continue  # another's has its place, or this repository is a copy: not ours to prune
        if project.pool.finding(lease).verdict == "gone":
            found.append((admin, lease))
    return found


def _drop_fetched(project: Project, token: str) -> bool:
    from adw_worktree.worktrees.create_plan import drop_fetched

    return drop_fetched(project, token)


def _finish_rename(project: Project) -> None:
    """Finish a rename whose process died; wait for one that is under way."""
    if not exists(project.repo.tool_dir / "renaming.json"):
        return
    from adw_worktree.worktrees.rename_steps import finish_renaming

    try:
        finish_renaming(project)
    except (AdwError, OSError) as exc:
        _noted(project, "a rename was interrupted, and cannot be finished yet", exc)


def _finish_moves(project: Project) -> list[Lease]:
    """Finish what is half-way into the trash or out of it; return the leases released."""
    if not _is_moving(project.repo.tool_dir / "trash"):
        return []
    from adw_worktree.worktrees import trash

    removed: list[Lease] = []
    try:
        for name, way in trash.interrupted(project.repo):
            try:
                removed += _finish_move(project, name, way)
            except (AdwError, OSError) as exc:
                _noted(project, f"{way} {name} was interrupted, and cannot go on yet", exc)
        trash.drop_stray_locks(project.repo)
    except (AdwError, OSError) as exc:
        _noted(project, "what was interrupted in the trash cannot go on yet", exc)
    return removed


def _is_moving(trash: Path) -> bool:
    """Return whether something in the trash is not at rest, or cannot be known to be."""
    try:
        return any(name.endswith(_ON_ITS_WAY) for name in os.listdir(trash))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _finish_move(project: Project, name: str, way: Way) -> list[Lease]:
    """Finish it unless somebody is at it; return the leases released."""
    from adw_worktree.worktrees import trash
    from adw_worktree.worktrees.remove_steps import finish_retiring
    from adw_worktree.worktrees.restore import finish_restoring

    with trash.moving(project.repo, name) as ours:
        if ours and way == "deleting":
            trash.finish_deleting(project.repo, name)
        elif ours and way == "restoring":
            finish_restoring(project, name)
        elif ours and (lease := finish_retiring(project, name)) is not None:
            return [lease]
    return []


def _tidy_spares(project: Project, admins: Sequence[Path]) -> None:
    """Sweep a half-made spare away, which git fails over in whatever lists worktrees; and a scratch
    worktree that a dead process worked in."""
    half_made = (
        admin.name.startswith(SPARE) and not _has_content(admin / "commondir") for admin in admins
    )
    if not any(half_made) and not _has_lock_of_spare(project):
        return
    from adw_worktree.worktrees.spares import tidy

    try:
        tidy(project)
    except (AdwError, OSError) as exc:
        _noted(project, "a half-made spare cannot be swept away yet", exc)


def _has_lock_of_spare(project: Project) -> bool:
    """Whether somebody takes a spare or merges just now, or did when he died."""
    try:
        names = os.listdir(project.repo.spares_dir)
    except OSError:
        return False
    return any(name.startswith(SPARE) and name.endswith(".lock") for name in names)


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except OSError:
        return False


def _discard_leftovers(
    project: Project, admins: Sequence[Path], found: Sequence[tuple[Lease, Finding]]
) -> None:
    """Remove the temporary files of writers that died."""
    repo, state = project.repo, project.state_dir
    for place in registry.leftovers(state):
        discard_leftover(place)
    exclude = os.path.realpath(repo.common_dir / "info" / "exclude")
    record = record_file(repo.common_dir)
    for file in (project.pool.ledger.path, exclude, record, stamp_file(repo)):
        _discard(*os.path.split(file))
    for name in ("doubtful.json", "trust.json"):
        _discard(state, name)
    for name in ("renaming.json", "visits", CLAUDE_BEFORE):
        _discard(repo.tool_dir, name)
    for event in EVENTS:
        _discard(f"{repo.common_dir}/hooks", event)
        _discard(f"{repo.tool_dir}/hooks", event)
    for name in (CLAUDE_FILE, AGENTS_FILE):
        _discard(*os.path.split(repo.home / name))
    at = places_by_admin(found)
    for admin in admins:
        worktree = at.get(admin.name) or worktree_of_admin(admin)
        _discard(admin, RECEIPT)
        if worktree is not None:
            _discard(worktree, project.settings.env_file)


def _discard(folder: str | Path, name: str) -> None:
    """Remove the temporary file of `name` in `folder`. Of a thousand none has one."""
    if os.access(f"{folder}/.{name}.tmp", os.F_OK):
        discard_leftover(Path(folder, name))


def places_by_admin(found: Iterable[tuple[Lease, Finding]]) -> dict[str, Path]:
    """Return where the worktrees are that live, by git's names of their admin directories."""
    return {
        lease.admin_id: finding.path
        for lease, finding in found
        if lease.admin_id is not None and finding.path and finding.verdict == "alive"
    }

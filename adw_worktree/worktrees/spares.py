"""Spares: worktrees made ahead of time, so that `create` only has to move one into place.

A spare is a worktree of git's at `<common git dir>/adw-worktree/spares/<name>`, detached at the
commit of the setting `base`, prepared by the `prepare` hooks and locked against git's pruning. The
record `<name>.json` beside it says that it is ready (`spare_files`).

What holds here: who makes spares holds `fill.lock`, who takes or removes one holds `<name>.lock`
and first takes its record away; so what has no record while both are free is nobody's, and is swept
away. A spare holds no slot and has no receipt: it is an ADW's worktree once it lies in its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adw_worktree.errors import AdwError, FileUnusable, GitFailed
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import resolve_base
from adw_worktree.repo.repository import SPARE, Repository, admin_directories
from adw_worktree.repo.sparse import are_equally_sparse, checkout_here
from adw_worktree.repo.worktrees import (
    add_worktree,
    check_out,
    is_checked_out,
    remove_worktree,
    settle_index,
)
from adw_worktree.system.atomic import discard_leftover
from adw_worktree.system.deleting import delete_tree
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held, try_lock
from adw_worktree.system.mounts import mounts_in
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir
from adw_worktree.system.sharing import make_directories
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.prepare import prepare, prepare_digest
from adw_worktree.worktrees.spare_files import (
    DroppedMeanwhile,
    Spare,
    fill_lock,
    leads_here,
    load_mark,
    lock_of,
    mark_file,
    names_in,
    ready,
    record_of,
    renew_mark,
    require_mark,
    save,
)

_LOCK_REASON = "a spare of adw-worktree\n"
_FILL_SECONDS = 3600.0
_FILLING = "the making of spares"


class Filled(NamedTuple):
    """What a filling did."""

    made: int = 0
    refreshed: int = 0
    dropped: int = 0
    ready: int = 0
    note: str | None = None
    """Why there are fewer than wanted."""


def fresh(project: Project) -> list[Spare]:
    """Return the spares that are at the base, with the files and prepared as is set now."""
    repo = project.repo
    wanted = (resolve_base(repo.home, project.settings.base), prepare_digest(project))
    found = [spare for spare in ready(repo) if (spare.commit, spare.prepared) == wanted]
    return [spare for spare in found if _has_files_of(repo, spare, repo.common_dir)]


def _has_files_of(repo: Repository, spare: Spare, git_directory: Path) -> bool:
    """Whether the spare is as sparse as the worktree of that git directory."""
    return are_equally_sparse(repo.admin_root / spare.name, git_directory)


def is_filling(project: Project) -> bool:
    """Whether some process makes spares just now."""
    with _locked(fill_lock(project.repo)) as ours:
        return not ours


# ---- taking ------------------------------------------------------------------------------------


@contextmanager
def taken(project: Project, path: Path, commit: str) -> Iterator[Spare | None]:
    """Claim the spare nearest to `commit`, to be placed at `path`; None if there is none.

    Only one with the files that git would give a worktree which is made from here. One that is not
    placed by the end of the block is swept away later.
    """
    repo, digest = project.repo, prepare_digest(project)
    nearest = sorted(ready(repo), key=lambda one: (one.commit != commit, one.prepared != digest))
    here = checkout_here(repo).git_directory
    for spare in nearest if _is_movable(repo, path) else []:
        if not _has_files_of(repo, spare, here):
            continue
        with _locked(lock_of(repo, spare.name)) as ours:
            if ours and _unlink(record_of(repo, spare.name)):
                reached("spare.claimed")
                yield spare
                return
    yield None


def attach(
    checkout: Checkout, branch: str | None, commit: str, *, output: int | None = None
) -> None:
    """Put a spare on `branch`, or detached on `commit`, writing only the files that differ.

    `output` is as for `check_out`. Raises GitFailed.
    """
    if branch is None:
        run_git(["update-ref", "--no-deref", "HEAD", commit], checkout)
    else:
        run_git(["symbolic-ref", "-m", "taken", "HEAD", f"refs/heads/{branch}"], checkout)
    reached("spare.attached")
    if not is_checked_out(checkout):
        check_out(checkout, output=output)


def _is_movable(repo: Repository, path: Path) -> bool:
    try:
        return repo.spares_dir.stat().st_dev == path.parent.stat().st_dev
    except OSError:
        return False


# ---- preparing ---------------------------------------------------------------------------------


def is_prepared(project: Project, spare: Spare | None, commit: str) -> bool:
    """Whether the `prepare` hooks need not run (again) in a worktree at `commit`."""
    digest = prepare_digest(project)
    return not digest or (spare is not None and (spare.commit, spare.prepared) == (commit, digest))


# ---- making ------------------------------------------------------------------------------------


def fill(project: Project, *, mark: str | None = None, output: int | None = None) -> Filled:
    """Make, refresh and remove spares until there are as many as the setting says, at `base`.

    Another process that is at it is waited for. `mark` is the one at which this was asked for;
    None: just now. After a `drop` since then no spare is made. Raises AdwError subclasses if a
    spare cannot be made; those that are ready stay.
    """
    from adw_worktree.system import long_locks

    mark = mark or load_mark(project.repo)
    with long_locks.held(fill_lock(project.repo), _FILL_SECONDS, _FILLING):
        try:
            return _fill(project, mark, output)
        except DroppedMeanwhile:
            dropped = _remove_all(project)
            note = "all spares were dropped meanwhile: no more are made until the next filling"
            return Filled(dropped=dropped, ready=len(ready(project.repo)), note=note)


def drop(project: Project) -> int:
    """Remove every spare, also those that are being made; return how many were ready."""
    with suppress(AdwError, OSError):  # a full disk: what is removed makes room
        renew_mark(project.repo)
    with held(fill_lock(project.repo), _FILL_SECONDS, _FILLING):
        return _remove_all(project)


def _remove_all(project: Project) -> int:
    """Remove every spare and what is left of any; return how many were ready."""
    dropped = sum(remove(project, spare.name) for spare in ready(project.repo))
    _sweep(project)
    return dropped


def tidy(project: Project) -> None:
    """Sweep away what is no spare, unless some process makes spares just now."""
    if not is_dir(project.repo.spares_dir):
        return
    lock = try_lock(fill_lock(project.repo))
    if lock is None:
        return
    try:
        _sweep(project)
    finally:
        lock.release()


def _fill(project: Project, mark: str, output: int | None) -> Filled:
    repo, wanted = project.repo, project.settings.spares
    require_mark(repo, mark)
    dropped = _sweep(project)
    obstacle = _obstacle(project)
    if obstacle is not None:
        dropped += sum(remove(project, spare.name) for spare in ready(repo))
        return Filled(dropped=dropped, note=obstacle)
    commit = str(resolve_base(repo.home, project.settings.base))
    digest = prepare_digest(project)
    unlike = [one for one in ready(repo) if not _has_files_of(repo, one, repo.common_dir)]
    dropped += sum(remove(project, spare.name) for spare in unlike)
    dropped += sum(remove(project, spare.name) for spare in ready(repo)[wanted:])
    stale = [one for one in ready(repo) if (one.commit, one.prepared) != (commit, digest)]
    order = _Order(commit, digest, mark, output)
    refreshed = sum(_refresh(project, spare, order) for spare in stale)
    made = 0
    while len(ready(repo)) < wanted:
        _make(project, order)
        made += 1
    require_mark(repo, mark)
    return Filled(made, refreshed, dropped, len(ready(repo)))


class _Order(NamedTuple):
    """The spares that a filling makes."""

    commit: str
    digest: str
    """As in `Spare.prepared`."""
    mark: str
    output: int | None


def _obstacle(project: Project) -> str | None:
    """Return why there can be no spares, or None."""
    base, home = project.settings.base, project.repo.home
    commit = resolve_base(home, base)
    if commit is None:
        return f"the setting base is {base}, which names no commit: change it, or fetch that"
    listed = run_git(["ls-tree", "--name-only", commit, "--", ".gitmodules"], home)
    if project.settings.submodules and listed.stdout:
        return "worktrees with submodules cannot be moved"
    return None


def _make(project: Project, order: _Order) -> None:
    repo = project.repo
    commit, digest, mark, output = order
    path = repo.spares_dir / f"{SPARE}{os.urandom(4).hex()}"
    make_directories(path.parent)
    reached("spare.directory")
    try:
        add_worktree(repo, project.settings, path, commit, detach=True)
        (repo.admin_root / path.name / "locked").write_text(_LOCK_REASON)
        reached("spare.locked")
        checkout = Checkout(repo.admin_root / path.name, path)
        check_out(checkout, output=output)
        if digest:
            prepare(project, path, output)
        settle_index(checkout)
        require_mark(repo, mark)
        save(repo, Spare(path.name, commit, digest))
    except BaseException as exc:
        with suppress(OSError, AdwError):
            remove(project, path.name)
        if isinstance(exc, OSError):
            raise FileUnusable.because(f"no spare can be made at {path}", exc) from exc
        raise


def _refresh(project: Project, spare: Spare, order: _Order) -> bool:
    """Bring a spare to what is wanted; False if it was taken meanwhile."""
    commit, digest, mark, output = order
    path = project.repo.spares_dir / spare.name
    with _locked(lock_of(project.repo, spare.name)) as ours:
        if not ours or not _unlink(record_of(project.repo, spare.name)):
            return False
        reached("spare.outdated")
        checkout = Checkout(project.repo.admin_root / spare.name, path)
        attach(checkout, None, commit, output=output)
        if digest:
            prepare(project, path, output)
        settle_index(checkout)
        require_mark(project.repo, mark)
        save(project.repo, Spare(spare.name, commit, digest))
        return True


def _sweep(project: Project) -> int:
    """Remove what is nobody's; return how many. The filling lock is held."""
    repo = project.repo
    whole = {spare.name for spare in ready(repo)}
    names = {name.lstrip(".").partition(".")[0] for name in names_in(repo)}
    discard_leftover(mark_file(repo))
    for name in names:
        discard_leftover(record_of(repo, name))
        if name in whole and exists(lock_of(repo, name)):
            with _locked(lock_of(repo, name)):
                pass  # nobody's, and goes with that
    _discard_half_entries(repo)
    listed = {admin.name for admin in admin_directories(repo.admin_root)}
    names |= {name for name in listed if leads_here(repo, name)}
    return sum(remove(project, name) for name in sorted(names - whole - {"fill"}))


def _discard_half_entries(repo: Repository) -> None:
    """Remove what a killed `git worktree add` left: git fails over it, or never sees it."""
    from adw_worktree.worktrees.create_undo import is_half_added

    for admin in admin_directories(repo.admin_root):
        if not admin.name.startswith(SPARE) or exists(admin / "index"):
            continue
        with _locked(lock_of(repo, admin.name)) as ours:  # or a scratch worktree is in the making
            if ours and is_half_added(admin, repo.spares_dir / admin.name):
                delete_tree(admin)
                reached("spare.forgotten")


def remove(project: Project, name: str) -> bool:
    """Remove a spare, or what is left of one; False if it stays, since somebody is taking it or
    has mounted something in it.
    """
    repo, path = project.repo, project.repo.spares_dir / name
    if mounts_in(path):
        project.notices.append(f"the spare {path} stays: {mounts_in(path)[0]} is mounted in it")
        return False
    with _locked(lock_of(repo, name)) as ours:
        if not ours or (exists(repo.admin_root / name) and not leads_here(repo, name)):
            return False  # if its taker died, the next command undoes that first
        _unlink(record_of(repo, name))
        reached("spare.forgotten")
        with suppress(GitFailed):
            remove_worktree(repo, path, force=True, unlock=True)
        trash.delete(path)
        return True


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a lock whose file goes with it; False if another process has it."""
    lock = try_lock(path)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def _unlink(path: Path) -> bool:
    """Remove a file; whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True

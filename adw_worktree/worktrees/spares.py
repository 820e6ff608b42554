"""Spares: worktrees made ahead of time, so that `create` only has to move one into place.

A spare is a worktree of git's at `<common git dir>/adw-worktree/spares/<name>`, detached at the
commit of the setting `base`, prepared by the `prepare` hooks and locked against git's pruning. The
record `<name>.json` beside it says that it is ready.

What holds here: who makes spares holds `fill.lock`, who takes or removes one holds `<name>.lock`
and first takes its record away; so what has no record while both are free is nobody's, and is swept
away. A spare holds no slot and has no receipt: it is an ADW's worktree once it lies in its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adw_worktree.errors import AdwError, FileUnusable, GitFailed
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import resolve_base
from adw_worktree.repo.repository import SPARE, Repository, admin_directories, worktree_of_admin
from adw_worktree.repo.sparse import are_equally_sparse, checkout_here
from adw_worktree.repo.worktrees import (
    add_worktree,
    check_out,
    is_checked_out,
    remove_worktree,
    settle_index,
)
from adw_worktree.system.atomic import discard_leftover, write_atomically
from adw_worktree.system.deleting import delete_tree
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held, try_lock
from adw_worktree.system.mounts import mounts_in
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists, is_dir, is_file
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.prepare import prepare, prepare_digest

_LOCK_REASON = "a spare of adw-worktree\n"
_FILL_SECONDS = 3600.0
_FILLING = "the making of spares"


class Spare(NamedTuple):
    """A worktree that waits to be handed out."""

    name: str
    """Its directory, and git's admin directory of it."""
    commit: str
    """What is checked out in it."""
    prepared: str
    """Digest of the `prepare` commands that ran in it at that commit; empty for none."""


class Filled(NamedTuple):
    """What a filling did."""

    made: int = 0
    refreshed: int = 0
    dropped: int = 0
    ready: int = 0
    note: str | None = None
    """Why there are fewer than wanted."""


def ready(repo: Repository) -> list[Spare]:
    """Return the spares that can be taken."""
    names = [name.removesuffix(".json") for name in _names(repo) if name.endswith(".json")]
    return [spare for spare in (_load(repo, name) for name in names) if spare is not None]


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
    with _locked(_fill_lock(project.repo)) as ours:
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
            if ours and _unlink(_record(repo, spare.name)):
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


def fill(project: Project, *, output: int | None = None) -> Filled:
    """Make, refresh and remove spares until there are as many as the setting says, at `base`.

    Another process that is at it is waited for. Raises AdwError subclasses if a spare cannot be
    made; those that are ready stay.
    """
    from adw_worktree.system import long_locks

    with long_locks.held(_fill_lock(project.repo), _FILL_SECONDS, _FILLING):
        return _fill(project, output)


def drop(project: Project) -> int:
    """Remove every spare; return how many there were."""
    with held(_fill_lock(project.repo), _FILL_SECONDS, _FILLING):
        return sum(remove(project, spare.name) for spare in ready(project.repo))


def tidy(project: Project) -> None:
    """Sweep away what is no spare, unless some process makes spares just now."""
    if not is_dir(project.repo.spares_dir):
        return
    lock = try_lock(_fill_lock(project.repo))
    if lock is None:
        return
    try:
        _sweep(project)
    finally:
        lock.release()


def _fill(project: Project, output: int | None) -> Filled:
    repo, wanted = project.repo, project.settings.spares
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
    refreshed = sum(_refresh(project, spare, commit, digest, output) for spare in stale)
    made = 0
    while len(ready(repo)) < wanted:
        _make(project, commit, digest, output)
        made += 1
    return Filled(made, refreshed, dropped, len(ready(repo)))


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


def _make(project: Project, commit: str, digest: str, output: int | None) -> None:
    repo = project.repo
    path = repo.spares_dir / f"{SPARE}{os.urandom(4).hex()}"
    path.parent.mkdir(parents=True, exist_ok=True)
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
        _save(repo, Spare(path.name, commit, digest))
    except BaseException as exc:
        with suppress(OSError, AdwError):
            remove(project, path.name)
        if isinstance(exc, OSError):
            raise FileUnusable.because(f"no spare can be made at {path}", exc) from exc
        raise


def _refresh(project: Project, spare: Spare, commit: str, digest: str, output: int | None) -> bool:
    """Bring a spare to `commit`; False if it was taken meanwhile."""
    path = project.repo.spares_dir / spare.name
    with _locked(lock_of(project.repo, spare.name)) as ours:
        if not ours or not _unlink(_record(project.repo, spare.name)):
            return False
        reached("spare.outdated")
        checkout = Checkout(project.repo.admin_root / spare.name, path)
        attach(checkout, None, commit, output=output)
        if digest:
            prepare(project, path, output)
        settle_index(checkout)
        _save(project.repo, Spare(spare.name, commit, digest))
        return True


def _sweep(project: Project) -> int:
    """Remove what is nobody's; return how many. The filling lock is held."""
    repo = project.repo
    whole = {spare.name for spare in ready(repo)}
    names = {name.lstrip(".").partition(".")[0] for name in _names(repo)}
    for name in names:
        discard_leftover(_record(repo, name))
        if name in whole and exists(lock_of(repo, name)):
            with _locked(lock_of(repo, name)):
                pass  # nobody's, and goes with that
    _discard_half_entries(repo)
    listed = {admin.name for admin in admin_directories(repo.admin_root)}
    names |= {name for name in listed if _leads_here(repo, name)}
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
        if not ours or (exists(repo.admin_root / name) and not _leads_here(repo, name)):
            return False  # if its taker died, the next command undoes that first
        _unlink(_record(repo, name))
        reached("spare.forgotten")
        with suppress(GitFailed):
            remove_worktree(repo, path, force=True, unlock=True)
        trash.delete(path)
        return True


# ---- records -----------------------------------------------------------------------------------


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


def _names(repo: Repository) -> list[str]:
    try:
        return sorted(os.listdir(repo.spares_dir))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _record(repo: Repository, name: str) -> Path:
    return repo.spares_dir / f"{name}.json"


def lock_of(repo: Repository, name: str) -> Path:
    """Return the lock of whoever takes, removes or works in what has that name."""
    return repo.spares_dir / f"{name}.lock"


def _fill_lock(repo: Repository) -> Path:
    return repo.spares_dir / "fill.lock"


def _unlink(path: Path) -> bool:
    """Remove a file; whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _save(repo: Repository, spare: Spare) -> None:
    document = json.dumps({"schema_version": 1, **spare._asdict()}, indent=2)
    write_atomically(_record(repo, spare.name), document.encode() + b"\n", mode=0o600)


def _load(repo: Repository, name: str) -> Spare | None:
    """Return the spare that the record tells of, if it is whole."""
    try:
        document = json.loads(_record(repo, name).read_bytes())
        spare = Spare(*(str(document[key]) for key in ("name", "commit", "prepared")))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = spare.name == name and is_file(repo.spares_dir / name / ".git")
    return spare if whole and _leads_here(repo, name) else None


def _leads_here(repo: Repository, name: str) -> bool:
    """Whether git's admin directory of that name is that of a spare."""
    return worktree_of_admin(repo.admin_root / name) == repo.spares_dir / name

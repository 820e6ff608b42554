"""A project: one repository, its settings, and its place in the machine's pool."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from adw_worktree.errors import (
    LedgerError,
    NotARepository,
    SettingsError,
)
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Leases, Ledger, attach_worktrees, recover_leases
from adw_worktree.pool.place import Place, find_place, record_file
from adw_worktree.pool.pool import Pool
from adw_worktree.repo.find import find_repository
from adw_worktree.repo.git import run_git
from adw_worktree.repo.repository import Repository, admin_directory
from adw_worktree.settings import places
from adw_worktree.settings.load import load_settings
from adw_worktree.settings.model import Settings
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Project(NamedTuple):
    """Everything a command needs to know before it starts; nothing of it changes."""

    repo: Repository
    settings: Settings
    state_dir: Path
    pool: Pool

    @property
    def name(self) -> str:
        """The repository's name as people know it: its directory, without `.git`."""
        place = self.repo.main or self.repo.common_dir
        if place.name in (".git", ".bare"):
            place = place.parent
        return place.name.removesuffix(".git")

    @property
    def notices(self) -> list[str]:
        """What happened on the way that a person should be told."""
        return self.pool.ledger.notices

    def worktree_path(self, adw_id: str, branch: str) -> Path:
        """Return where the worktree of a new ADW goes."""
        return places.worktree_path(
            self.settings,
            adw_id=adw_id,
            branch=branch,
            home=self.repo.home,
            bare=self.repo.main is None,
            repo_name=self.name,
        )

    @property
    def trees(self) -> Path:
        """The directory that worktrees are made in by default, or by the setting."""
        return self.worktree_path("adw", "adw").parent

    def current_lease(self, leases: Leases) -> Lease | None:
        """Return the lease of the worktree that the command works in; None elsewhere."""
        admin = admin_directory(self.repo.worktree) if self.repo.worktree else None
        mine = (one for one in leases.values() if admin is not None and one.admin_id == admin.name)
        return next(mine, None)


def require_inside(repo: Repository, path: Path, what: str) -> None:
    """Raise SettingsError if a symbolic link that git tracks leads from `path` out of the main
    worktree, or into git's own directory.

    A person may put the worktrees on another disk by a link; a repository may not.
    """
    if repo.main is None or not path.is_relative_to(repo.main):
        return
    place = repo.main
    for part in path.relative_to(repo.main).parts[:-1]:
        place /= part
        if not is_symlink(place):
            continue
        real = place.resolve()
        if real.is_relative_to(repo.main.resolve()) and not real.is_relative_to(repo.common_dir):
            continue
        name = place.relative_to(repo.main).as_posix()
        if run_git(["--literal-pathspecs", "ls-files", "-z", "--", name], repo.checkout).stdout:
            raise SettingsError(
                f"{what} {path} would lie outside of the repository: {place} is a symbolic link "
                f"that git tracks, to {real}",
                hint="take the link out of the repository, or choose another place in the settings",
            )
        return


def open_project(directory: Path, **overrides: Any) -> Project:
    """Return the project that `directory` is in.

    `overrides` are settings given on the command line. Raises NotARepository, SettingsError.
    """
    repo = find_repository(directory)
    return project_of(repo, **overrides)


def project_around(directory: Path) -> Project | None:
    """Return the project that `directory` is in, None outside of any.

    Raises as `open_project` does, also for what is no directory.
    """
    try:
        return open_project(directory)
    except NotARepository:
        if os.path.isdir(directory):
            return None
        raise


def project_of_command(directory: Path, command: str, *, every: bool) -> Project | None:
    """Return the project that a command with `--all` works in; None outside of any, if `every`
    repository is asked for anyway. Raises as `open_project` does."""
    try:
        return project_around(directory) if every else open_project(directory)
    except NotARepository as exc:
        if not every:
            exc.hint = f"adw-worktree {command} --all, or {exc.hint}"
        raise


def machine_pool() -> Pool:
    """Return the pool as it is seen outside of any repository, for reports: all leases are
    elsewhere. Raises SettingsError."""
    settings, state_dir = load_settings(None), places.state_directory()
    nowhere = Path(os.devnull)
    ledger = Ledger(nowhere, nowhere, settings.lock_timeout, [], recover=lambda *_: {})
    return Pool(ledger, settings, state_dir)


def project_of(repo: Repository, **overrides: Any) -> Project:
    """Return the project of a repository already found. Raises SettingsError, LedgerError."""
    state_dir = places.state_directory()
    place = find_place(repo, state_dir)
    repo = repo._replace(main=place.main)
    settings = load_settings(repo.home, bare=repo.main is None)._replace(**overrides)
    ledger = Ledger(
        _ledger_path(repo, settings, place),
        repo.tool_dir / "ledger.lock",
        settings.lock_timeout,
        notices=[],
        recover=lambda path: recover_leases(repo.common_dir, settings, state_dir, path),
        attach=lambda leases: attach_worktrees(repo.common_dir, leases),
        place=place,
    )
    require_inside(repo, ledger.path, "the ledger")
    if place.damage:
        file = record_file(repo.common_dir)
        ledger.notices.append(
            f"the record {file} was damaged ({place.damage}); the ledger is taken to be "
            f"{ledger.path}, and the next command that writes it records that"
        )
    project = Project(repo, settings, state_dir, Pool(ledger, settings, state_dir, repo.common_dir))
    asked = unheeded_ledger(project)
    if asked is not None:
        ledger.notices.append(f"{asked.message}; to move it: {asked.hint}")
    return project


def _ledger_path(repo: Repository, settings: Settings, place: Place) -> Path:
    """Return the ledger: where it is known to be, or one that is there, or where settings want it.

    One inside of git's directory that the registry does not know is from before the state directory
    was lost, and from before the main worktree was found.
    """
    if place.ledger is not None:
        return place.ledger
    wanted, inside = (
        places.ledger_path(one, home=repo.home, common_dir=repo.common_dir, bare=bare)
        for one, bare in ((settings, repo.main is None), (Settings(), True))
    )
    return inside if os.path.lexists(inside) and not os.path.lexists(wanted) else wanted


def unheeded_ledger(project: Project) -> SettingsError | None:
    """Return how to move the ledger to where a setting wants it; None if it is there."""
    repo, ledger = project.repo, project.pool.ledger.path
    if project.settings.ledger is None:
        return None  # the usual place is no wish: another branch may have the setting
    bare = repo.main is None
    wanted = places.ledger_path(
        project.settings, home=repo.home, common_dir=repo.common_dir, bare=bare
    )
    if wanted == ledger:
        return None
    words = [quote(str(path)) for path in (wanted.parent, ledger, wanted)]
    return SettingsError(
        f"the setting ledger wants {wanted}, but the ledger of this repository is {ledger}",
        hint=f"mkdir -p {words[0]} && mv {words[1]} {words[2]} && "
        f"rm {quote(str(record_file(repo.common_dir)))}",
    )


def without_rebuilding(project: Project) -> Project:
    """Return the project with a ledger that is not written anew where there is no sound one.

    It may be that the repository is being deleted: `rm -rf` would stumble over a new file.
    """

    def lost(_: Path) -> Leases:
        raise LedgerError(
            f"the ledger {project.pool.ledger.path} has to be made anew",
            hint=f"adw-worktree -C {quote(str(project.repo.home))} list",
        )

    ledger = project.pool.ledger._replace(recover=lost, place=None)
    return project._replace(pool=project.pool._replace(ledger=ledger))

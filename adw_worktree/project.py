"""A project: one repository, its settings, and its place in the machine's pool."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from . import places
from .discovery import find_repository
from .envfile import further_lines, value_lines
from .errors import HookUntrusted, SettingsError
from .gitrepo import Repository, admin_directory, run_git
from .ledger import Leases, Ledger, attach_worktrees, recover_leases
from .model import EnvValue, Lease, Postgres, Settings, port_variable
from .pool import Pool
from .presence import is_symlink
from .settings import load_settings


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

    def template(self) -> str | None:
        """Return the repository's own template of the env file, None if it brings none.

        Raises SettingsError if the file it names cannot be read.
        """
        if self.settings.template is None:
            return None
        path = self.repo.home / self.settings.template
        try:
            if not path.resolve().is_relative_to(self.repo.home.resolve()):
                raise SettingsError(
                    f"the template {path} lies outside of the repository",
                    hint="choose one inside with the setting template",
                )
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise SettingsError(
                f"the template {path} cannot be read: {exc}",
                hint="mend the file, or choose another with the setting template",
            ) from exc

    def hook_variables(self, lease: Lease) -> dict[str, str]:
        """Return what a user's hook finds in its environment about `lease`."""
        variables = {
            "ADW_ID": lease.adw_id,
            "ADW_SLOT": str(lease.slot),
            "ADW_WORKTREE": lease.path or "",
            "ADW_BRANCH": lease.branch or "",
            "ADW_REPO": str(self.repo.home),
        }
        ports = {port_variable(name): str(port) for name, port in lease.ports.items()}
        url = self._database_variables(lease)
        if url and self.unapproved_lines():  # the variable's name may be the repository's
            url = {}
        return variables | ports | url

    def env_text(self, lease: Lease) -> str:
        """Return the env file of `lease`.

        Raises SettingsError if the template cannot be used, HookUntrusted if nobody approved it.
        """
        from .envfile import render

        template = self.require_template()
        url = {
            name: EnvValue(text.replace("{", "{{").replace("}", "}}"))
            for name, text in self._database_variables(lease).items()
        }
        values = {**self._values_for_compose(lease), **url, **self.settings.values}
        named = f"the template {self.repo.home / (self.settings.template or '')}"
        return render(lease, repo_name=self.name, template=template, named=named, values=values)

    def _database_variables(self, lease: Lease) -> dict[str, str]:
        """Return what programs find the lease's database by, if it has one."""
        postgres = self.settings.postgres
        if postgres is None or lease.database is None or not lease.has_worktree:
            return {}
        from .database_url import program_url

        return {postgres.variable: program_url(postgres.url, lease.database)}

    def _values_for_compose(self, lease: Lease) -> dict[str, EnvValue]:
        """Return what has docker compose read the env file, wherever it is called from.

        It reads no `.env` then unless that is named, too.
        """
        names = [name for name in self.settings.write if name.partition(":")[0] == "compose"]
        if not names or lease.path is None or "," in lease.path:
            return {}
        own = os.path.join(lease.path, names[0].partition(":")[2], ".env")
        files = [own] if os.path.exists(own) else []
        files.append(os.path.join(lease.path, self.settings.env_file))
        text = ",".join(files).replace("{", "{{").replace("}", "}}")
        return {"COMPOSE_ENV_FILES": EnvValue(text)}

    def variables(self, lease: Lease) -> dict[str, str]:
        """Return what the env file of `lease` sets. Raises as `env_text` does."""
        from .envfile import parse_variables

        return parse_variables(self.env_text(lease))

    def require_template(self) -> str | None:
        """Return the repository's own template, if it brings one. Raises as `require_approved`."""
        self.require_approved()
        return self.template()

    def require_postgres(self) -> Postgres | None:
        """Return how an ADW gets a database, None if it gets none. Raises as `require_approved`."""
        if self.settings.postgres is not None:
            self.require_approved()
        return self.settings.postgres

    def require_approved(self) -> None:
        """Hold what files of the repository want in the env file to what a person approved.

        Variables beyond ports and the usual names could run code in whatever is started with them.
        Raises HookUntrusted if nobody approved those that files of the repository ask for,
        SettingsError if the template cannot be read.
        """
        unapproved = self.unapproved_lines()
        if unapproved:
            names = ", ".join(line.partition("=")[0] for line in unapproved)
            raise HookUntrusted(
                f"the settings of {self.repo.home} ask for what nobody has approved: {names}",
                hint="adw-worktree trust",
            )

    def unapproved_lines(self) -> list[str]:
        """Return the lines of the env file that the repository asks for and nobody approved."""
        asked = self.requested_template()
        lines = further_lines(asked)
        if not lines:
            return []
        from .userhooks import is_trusted, template_digest

        approved = is_trusted(self.state_dir, self.repo.common_dir, template_digest(asked))
        return [] if approved else lines

    def requested_template(self) -> str:
        """Return what files of the repository want in the env file: template, values, database."""
        values = self.settings.values
        asked = {name: value for name, value in values.items() if value.from_repository}
        database = self.settings.postgres.asked if self.settings.postgres is not None else ()
        return "\n".join([self.template() or "", *value_lines(asked), *database])


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
        if run_git(["--literal-pathspecs", "ls-files", "-z", "--", name], repo.main).stdout:
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


def project_of(repo: Repository, **overrides: Any) -> Project:
    """Return the project of a repository already found. Raises SettingsError."""
    bare = repo.main is None
    settings = load_settings(repo.home, bare=bare)._replace(**overrides)
    state_dir = places.state_directory()
    path = places.ledger_path(settings, home=repo.home, common_dir=repo.common_dir, bare=bare)
    require_inside(repo, path, "the ledger")
    ledger = Ledger(
        path,
        repo.tool_dir / "ledger.lock",
        settings.lock_timeout,
        notices=[],
        recover=lambda: recover_leases(repo.common_dir, settings, state_dir, path),
        attach=lambda leases: attach_worktrees(repo.common_dir, leases),
    )
    return Project(repo, settings, state_dir, Pool(ledger, settings, state_dir, repo.common_dir))

"""What an ADW's programs find in their environment, and who approved it."""

from __future__ import annotations

import os

from adw_worktree.errors import (
    HookUntrusted,
    SettingsError,
)
from adw_worktree.pool.lease import Lease, port_variable
from adw_worktree.project import Project
from adw_worktree.settings.model import EnvValue, Postgres
from adw_worktree.worktrees.files.env_file import further_lines, value_lines


def template(project: Project) -> str | None:
    """Return the repository's own template of the env file, None if it brings none.

    Raises SettingsError if the file it names cannot be read.
    """
    if project.settings.template is None:
        return None
    path = project.repo.home / project.settings.template
    try:
        if not path.resolve().is_relative_to(project.repo.home.resolve()):
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


def hook_variables(project: Project, lease: Lease) -> dict[str, str]:
    """Return what a user's hook finds in its environment about `lease`."""
    variables = {
        "ADW_ID": lease.adw_id,
        "ADW_SLOT": str(lease.slot),
        "ADW_WORKTREE": lease.path or "",
        "ADW_BRANCH": lease.branch or "",
        "ADW_REPO": str(project.repo.home),
    }
    ports = {port_variable(name): str(port) for name, port in lease.ports.items()}
    url = _database_variables(project, lease)
    if url and unapproved_lines(project):  # the variable's name may be the repository's
        url = {}
    return variables | ports | url


def env_text(project: Project, lease: Lease) -> str:
    """Return the env file of `lease`.

    Raises SettingsError if the template cannot be used, HookUntrusted if nobody approved it.
    """
    from adw_worktree.worktrees.files.env_file import render

    template = require_template(project)
    url = {
        name: EnvValue(text.replace("{", "{{").replace("}", "}}"))
        for name, text in _database_variables(project, lease).items()
    }
    values = {**_values_for_compose(project, lease), **url, **project.settings.values}
    named = f"the template {project.repo.home / (project.settings.template or '')}"
    return render(lease, repo_name=project.name, template=template, named=named, values=values)


def _database_variables(project: Project, lease: Lease) -> dict[str, str]:
    """Return what programs find the lease's database by, if it has one."""
    postgres = project.settings.postgres
    if postgres is None or lease.database is None or not lease.has_worktree:
        return {}
    from adw_worktree.settings.database_url import program_url

    return {postgres.variable: program_url(postgres.url, lease.database)}


def _values_for_compose(project: Project, lease: Lease) -> dict[str, EnvValue]:
    """Return what has docker compose read the env file, wherever it is called from.

    It reads no `.env` then unless that is named, too.
    """
    names = [name for name in project.settings.write if name.partition(":")[0] == "compose"]
    if not names or lease.path is None or "," in lease.path:
        return {}
    own = os.path.join(lease.path, names[0].partition(":")[2], ".env")
    files = [own] if os.path.exists(own) else []
    files.append(os.path.join(lease.path, project.settings.env_file))
    text = ",".join(files).replace("{", "{{").replace("}", "}}")
    return {"COMPOSE_ENV_FILES": EnvValue(text)}


def variables(project: Project, lease: Lease) -> dict[str, str]:
    """Return what the env file of `lease` sets. Raises as `env_text` does."""
    from adw_worktree.worktrees.files.env_file import parse_variables

    return parse_variables(env_text(project, lease))


def require_template(project: Project) -> str | None:
    """Return the repository's own template, if it brings one. Raises as `require_approved`."""
    require_approved(project)
    return template(project)


def require_postgres(project: Project) -> Postgres | None:
    """Return how an ADW gets a database, None if it gets none. Raises as `require_approved`."""
    if project.settings.postgres is not None:
        require_approved(project)
    return project.settings.postgres


def require_approved(project: Project) -> None:
    """Hold what files of the repository want in the env file to what a person approved.

    Variables beyond ports and the usual names could run code in whatever is started with them.
    Raises HookUntrusted if nobody approved those that files of the repository ask for,
    SettingsError if the template cannot be read.
    """
    unapproved = unapproved_lines(project)
    if unapproved:
        names = ", ".join(line.partition("=")[0] for line in unapproved)
        raise HookUntrusted(
            f"the settings of {project.repo.home} ask for what nobody has approved: {names}",
            hint="adw-worktree trust",
        )


def unapproved_lines(project: Project) -> list[str]:
    """Return the lines of the env file that the repository asks for and nobody approved."""
    asked = requested_template(project)
    lines = further_lines(asked)
    if not lines:
        return []
    from adw_worktree.settings.approvals import is_trusted, template_digest

    approved = is_trusted(project.state_dir, project.repo.common_dir, template_digest(asked))
    return [] if approved else lines


def requested_template(project: Project) -> str:
    """Return what files of the repository want in the env file: template, values, database."""
    values = project.settings.values
    asked = {name: value for name, value in values.items() if value.from_repository}
    database = project.settings.postgres.asked if project.settings.postgres is not None else ()
    return "\n".join([template(project) or "", *value_lines(asked), *database])

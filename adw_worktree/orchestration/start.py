"""Starting a feature: from a document to phases that are ready to run."""

from __future__ import annotations

import getpass
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from adw_worktree.errors import BranchUnusable, HookUntrusted, NotARepository
from adw_worktree.orchestration.plan.feature_file import FeatureFile, load_feature_file
from adw_worktree.orchestration.running.delivering import ON_EVENT
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import Origin, add_feature
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import is_branch_name, resolve_base
from adw_worktree.settings.approvals import is_trusted, require_trusted
from adw_worktree.settings.model import HookCommands

if TYPE_CHECKING:
    from adw_worktree.orchestration.store.deliveries import Way


class Prepared(NamedTuple):
    """A feature that was looked through and could be started."""

    plan: FeatureFile
    origin: Origin
    digest: str
    """Of the commands, for their approval."""


def prepare(project: Project, file: Path) -> Prepared:
    """Look through a feature file; change nothing.

    Raises PlanInvalid, BranchUnusable, NotARepository.
    """
    plan, text = load_feature_file(file)
    home = project.repo.home
    if not is_branch_name(home, f"feature/{plan.slug}"):
        raise BranchUnusable(f"feature/{plan.slug} cannot be a branch", hint="choose another slug")
    base = plan.base or project.settings.base
    if resolve_base(home, base) is None:
        raise BranchUnusable(
            f"there is no commit {base!r} for feature {plan.slug} to start from",
            hint="commit something, or name another base in the feature file",
        )
    return Prepared(plan, origin_of(project, str(file), text), commands_digest(plan))


def origin_of(project: Project, plan_path: str, plan_text: str) -> Origin:
    """Return where a feature of this repository comes from. Raises NotARepository."""
    place = str(project.repo.home)
    return Origin(_identity(project), place, plan_path, plan_text, getpass.getuser())


def commands_digest(plan: FeatureFile) -> str:
    """Return the digest of all commands of a feature, in their order."""
    lines = [f"{phase.number}\0{command}" for phase in plan.phases for command in phase.run]
    return sha256("\0\0".join(["feature", *lines]).encode()).hexdigest()


def require_approved(project: Project, prepared: Prepared) -> None:
    """Raise HookUntrusted if nobody approved these very commands for this repository.

    The same for those of its settings, which would fail only later, in each phase.
    """
    settings, where = project.settings, (project.state_dir, project.repo.common_dir)
    require_trusted(settings, *where, [*settings.hooks])
    if is_trusted(*where, prepared.digest):
        return
    commands = [command for phase in prepared.plan.phases for command in phase.run]
    raise HookUntrusted(
        f"{prepared.origin.plan_path} asks to run {len(commands)} commands that nobody has "
        "approved; nothing was started",
        hint=f"adw-worktree feature start {quote(prepared.origin.plan_path)} --yes (approves "
        "exactly these)",
    )


def start(database: Database, project: Project, prepared: Prepared) -> Feature:
    """Add the feature to the store; its events go where the settings say.

    Raises FeatureExists, StoreError.
    """
    settings = project.settings
    ways: list[Way] = ["command"] if settings.hooks.get(ON_EVENT, HookCommands()).commands else []
    ways += ["url"] if settings.notify_url is not None else []
    return add_feature(database, prepared.plan, prepared.origin, ways)


def _identity(project: Project) -> str:
    """Return what tells the repository on every host: its root commit. Raises NotARepository."""
    command = ["rev-list", "--max-parents=0", "--all", "--"]
    roots = sorted(run_git(command, project.repo.home).stdout.split())
    if not roots:
        raise NotARepository(f"{project.repo.home} has no commit yet", hint="commit something")
    return roots[0]

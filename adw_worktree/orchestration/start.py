"""Starting a feature: from a document to phases that are ready to run."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from adw_worktree.errors import BranchUnusable, HookUntrusted, NotARepository, SettingsError
from adw_worktree.orchestration.plan.feature_file import FeatureFile, load_feature_file
from adw_worktree.orchestration.running.delivering import ON_EVENT
from adw_worktree.orchestration.running.forge import require_forge
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import Origin, Planned, add_feature
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.orchestration.workflows.definitions import Defined, Wishes, define
from adw_worktree.orchestration.workflows.workflow import to_json
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.refs import is_branch_name, resolve_base
from adw_worktree.settings.approvals import is_trusted, require_trusted
from adw_worktree.settings.model import HookCommands

if TYPE_CHECKING:
    from adw_worktree.orchestration.store.deliveries import Way


LANDINGS = {
    "merge": ["when it is completed, it is merged into its base"],
    "pr": ["when it is completed, it is pushed, and becomes a pull request"],
}


class Prepared(NamedTuple):
    """A feature that was looked through and could be started."""

    plan: FeatureFile
    origin: Origin
    digest: str
    """Of the commands, prompts and workflows, for their approval."""
    workflows: Mapping[int, Defined]
    """By the number of the phase; none for a phase of commands."""
    land: str
    """What becomes of it when it is completed."""

    @property
    def notes(self) -> list[str]:
        """What a person should know before it runs."""
        found = [note for one in self.workflows.values() for note in one.notes]
        return [*dict.fromkeys(found), *LANDINGS.get(self.land, [])]


def prepare(project: Project, file: Path, workflow: str | None = None) -> Prepared:
    """Look through a feature file; change nothing.

    `workflow` is for all phases that have a prompt, whatever the file says. Raises PlanInvalid,
    WorkflowInvalid, BranchUnusable, NotARepository.
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
    workflows = _workflows(project, plan, workflow)
    land = plan.land or project.settings.land
    if land == "pr":
        require_forge()
    if workflows:
        _require_identity(project)
    digest = commands_digest(plan, workflows, land)
    return Prepared(plan, origin_of(project, str(file), text), digest, workflows, land)


def _workflows(project: Project, plan: FeatureFile, chosen: str | None) -> dict[int, Defined]:
    """Return the workflow of each phase that has a prompt. Raises WorkflowInvalid."""
    made: dict[object, Defined] = {}
    found: dict[int, Defined] = {}
    for phase in plan.phases:
        if phase.prompt is None:
            continue
        name = chosen or phase.workflow or plan.workflow
        wishes = Wishes(
            phase.agents,
            phase.timeout,
            phase.idle_timeout,
            plan.budget_usd is not None or phase.budget_usd is not None,
        )
        key = (name, wishes)
        if key not in made:
            made[key] = define(project.settings, name, project.repo.home, wishes)
        found[phase.number] = made[key]
    return found


def _require_identity(project: Project) -> None:
    """Raise SettingsError if git does not know who commits: an agent's work is committed."""
    found = run_git(["var", "GIT_COMMITTER_IDENT"], project.repo.checkout, check=False)
    if found.returncode != 0:
        raise SettingsError(
            "git does not know who commits, and what agents do is committed",
            hint="set user.name and user.email in your configuration of git",
        )


def origin_of(project: Project, plan_path: str, plan_text: str) -> Origin:
    """Return where a feature of this repository comes from. Raises NotARepository."""
    place = str(project.repo.home)
    return Origin(_identity(project), place, plan_path, plan_text, getpass.getuser())


def commands_digest(plan: FeatureFile, workflows: Mapping[int, Defined], land: str) -> str:
    """Return the digest of all that a feature runs: commands, prompts, and their workflows; with
    `land`, what becomes of it when it is completed."""
    lines = [f"{phase.number}\0{command}" for phase in plan.phases for command in phase.run]
    for phase in plan.phases:
        if phase.number in workflows:
            lines += [f"{phase.number}\0{plan.title}\0{phase.title}\0{phase.prompt}",
                      to_json(workflows[phase.number].workflow)]  # fmt: skip
    if land != "leave":
        lines += [f"land\0{land}\0{plan.base}"]
    return sha256("\0\0".join(["feature", *lines]).encode()).hexdigest()


def require_approved(project: Project, prepared: Prepared) -> None:
    """Raise HookUntrusted if nobody approved these very commands for this repository.

    The same for those of its settings, which would fail only later, in each phase.
    """
    settings, where = project.settings, (project.state_dir, project.repo.common_dir)
    asked = {key for one in prepared.workflows.values() for key in one.asked}
    require_trusted(settings, *where, [*settings.hooks, *asked])
    if is_trusted(*where, prepared.digest):
        return
    raise HookUntrusted(
        f"{prepared.origin.plan_path} asks for {_counted(prepared)} that nobody has approved; "
        "nothing was started",
        hint=f"adw-worktree feature start {quote(prepared.origin.plan_path)} --yes (approves "
        "exactly these)",
    )


def _counted(prepared: Prepared) -> str:
    commands = sum(len(phase.run) for phase in prepared.plan.phases)
    prompts = len(prepared.workflows)
    found = {"command": commands, "prompt": prompts}
    parts = [f"{count} {word}{'' if count == 1 else 's'}" for word, count in found.items() if count]
    return " and ".join(parts)


def start(database: Database, project: Project, prepared: Prepared) -> Feature:
    """Add the feature to the store; its events go where the settings say.

    Raises FeatureExists, StoreError.
    """
    settings = project.settings
    ways: list[Way] = ["command"] if settings.hooks.get(ON_EVENT, HookCommands()).commands else []
    ways += ["url"] if settings.notify_url is not None else []
    planned = {
        number: Planned(one.workflow.name, to_json(one.workflow), one.workflow.first_agents)
        for number, one in prepared.workflows.items()
    }
    plan = prepared.plan.model_copy(update={"land": prepared.land})
    return add_feature(database, plan, prepared.origin, ways, planned)


def _identity(project: Project) -> str:
    """Return what tells the repository on every host: its root commit. Raises NotARepository."""
    command = ["rev-list", "--max-parents=0", "--all", "--"]
    roots = sorted(run_git(command, project.repo.home).stdout.split())
    if not roots:
        raise NotARepository(f"{project.repo.home} has no commit yet", hint="commit something")
    return roots[0]

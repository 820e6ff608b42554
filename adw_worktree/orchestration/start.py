"""Starting a feature that was looked through: once its commands and prompts are approved."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from adw_worktree.errors import HookUntrusted
from adw_worktree.orchestration.prepare import Prepared
from adw_worktree.orchestration.running.delivering import ON_EVENT
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.stages.sharing import publish_start
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import (
    Planned,
    add_feature,
    branch_of,
    plan_feature,
    require_added,
    start_feature,
)
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.orchestration.store.steering import set_limit
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.orchestration.workflows.verification import Kept, keep
from adw_worktree.orchestration.workflows.verification_table import verification_key
from adw_worktree.orchestration.workflows.workflow import to_json
from adw_worktree.project import Project
from adw_worktree.settings.approvals import is_trusted, require_trusted, trust
from adw_worktree.settings.model import HookCommands
from adw_worktree.system.text import printable

if TYPE_CHECKING:
    from adw_worktree.orchestration.store.deliveries import Way


def asked(prepared: Prepared) -> Iterator[str]:
    """Yield all that a feature asks to run, as a person should read it before approving."""
    for number, command in prepared.commands:
        yield f"phase {number}: {printable(command)}"
    for phase in prepared.plan.phases:
        if phase.number in prepared.workflows:
            workflow = prepared.workflows[phase.number].workflow
            stages = ", ".join(stage.name for stage in workflow.stages)
            yield f"phase {phase.number}: workflow {workflow.name} ({stages}) with the prompt"
            yield from (f"  {printable(line)}" for line in str(phase.prompt).strip().split("\n"))
    yield from prepared.effects
    if prepared.verification is not None:
        for word in (*prepared.verification.commands, *prepared.verification.urls):
            yield f"after it has landed: {printable(word)}"
    workflows = [one.workflow for one in prepared.workflows.values()]
    commands = {command: None for one in workflows for stage in one.stages
                for command in stage.commands}  # fmt: skip
    programs = {" ".join(agent.command): agent.name for one in workflows for agent in one.agents}
    yield from (f"stages: {printable(command)}" for command in commands)
    yield from (f"agent {name}: {printable(words)}" for words, name in programs.items())


def is_approved(project: Project, prepared: Prepared) -> bool:
    """Return whether somebody approved these very commands and prompts for this repository."""
    return is_trusted(project.state_dir, project.repo.common_dir, prepared.digest)


def approve(project: Project, prepared: Prepared) -> None:
    """Approve these very commands and prompts for this repository. Raises FileUnusable."""
    where = (project.state_dir, project.repo.common_dir)
    trust(*where, prepared.digest, lock_timeout=project.settings.lock_timeout)


def require_approved(project: Project, prepared: Prepared) -> None:
    """Raise HookUntrusted if nobody approved these very commands for this repository.

    The same for those of its settings, which would fail only later, in each phase.
    """
    require_settings_approved(project, prepared)
    if not is_approved(project, prepared):
        raise not_approved(prepared)


def not_approved(prepared: Prepared) -> HookUntrusted:
    """Return the error that nobody approved what a feature asks to run."""
    return HookUntrusted(
        f"{prepared.origin.plan_path} asks for {_counted(prepared)} that nobody has approved; "
        "nothing was started",
        hint=f"adw-worktree feature start {quote(prepared.origin.plan_path)} --yes (approves "
        "exactly these)",
    )


def require_settings_approved(project: Project, prepared: Prepared) -> None:
    """Raise HookUntrusted if nobody approved what the settings ask to run for it."""
    settings, where = project.settings, (project.state_dir, project.repo.common_dir)
    asked = {key for one in prepared.workflows.values() for key in one.asked}
    if prepared.verification is not None:
        asked.add(verification_key())
    require_trusted(settings, *where, [*settings.hooks, *asked])


def _counted(prepared: Prepared) -> str:
    found = {"command": len(prepared.commands), "prompt": len(prepared.workflows)}
    parts = [f"{count} {word}{'' if count == 1 else 's'}" for word, count in found.items() if count]
    return " and ".join(parts)


def add(database: Database, project: Project, prepared: Prepared, *, starts: bool) -> Feature:
    """Add the feature to the store; its events go where the settings say.

    Its phases run at once if it `starts`, and otherwise once it is started. Raises FeatureExists,
    StoreError; if hosts share the store, GitFailed, BranchUnusable.
    """
    origin = prepared.origin
    if starts:
        tip = _publish(project, origin.added_on, prepared.plan.slug, prepared.plan.base)
        origin = origin._replace(tip=tip)
    return add_feature(
        database,
        prepared.plan,
        origin,
        _ways(project, prepared),
        _planned(prepared),
        starts=starts,
        verification=_kept(prepared),
    )


def plan(database: Database, project: Project, feature: Feature, prepared: Prepared) -> Feature:
    """Give a feature that has none the plan that was looked through.

    Raises PhaseNotInState, StoreError.
    """
    ways, planned = _ways(project, prepared), _planned(prepared)
    return plan_feature(
        database, feature, prepared.plan, prepared.origin, ways, planned, _kept(prepared)
    )


def _ways(project: Project, prepared: Prepared) -> list[Way]:
    """Return how the events of a feature are delivered."""
    settings = project.settings
    ways: list[Way] = ["command"] if settings.hooks.get(ON_EVENT, HookCommands()).commands else []
    ways += ["url"] if settings.notify_url is not None else []
    ways += ["github"] if prepared.plan.issues == "github" else []
    return ways


def _planned(prepared: Prepared) -> dict[int, Planned]:
    return {
        number: Planned(
            one.workflow.name,
            to_json(one.workflow),
            one.workflow.first_agents,
            prepared.checklists.get(number, ()),
        )
        for number, one in prepared.workflows.items()
    }


def _kept(prepared: Prepared) -> str | None:
    """Return what is looked at after the feature has landed, as the store keeps it."""
    return keep(Kept(prepared.verification)) if prepared.verification is not None else None


def start(database: Database, project: Project, feature: Feature) -> Feature:
    """Let the phases of a feature run that was added; return it.

    Raises PhaseNotInState, StoreError; if hosts share the store, GitFailed, BranchUnusable.
    """
    require_added(database, feature)
    tip = _publish(project, feature.added_on, feature.slug, feature.base)
    return start_feature(database, feature, tip)


def _publish(project: Project, added_on: str | None, slug: str, base: str | None) -> str | None:
    """Have a feature's branch be where all hosts find it, if this host is the one it is from.

    Returns where it is, if hosts share the store.
    """
    if added_on is None or added_on != this_host(project.state_dir).name:
        return None
    return publish_start(project, branch_of(slug), base or project.settings.base)


def set_going(database: Database, project: Project, most: int | None = None) -> None:
    """Have what is ready run now, `most` phases at once, by default as the settings say."""
    most = most or project.settings.max_running
    if most is not None:
        set_limit(database, most)
    summon(project.state_dir)

"""Features that begin with a wish: a title and a description, from which an agent drafts a plan.

What holds here: the plan is drafted once at a time, by whoever holds the feature's lock; what comes
of it is in the store, also if it fails. Nothing of it runs before the feature is started.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from itertools import count
from pathlib import Path

from adw_worktree.errors import AdwError, PlanInvalid
from adw_worktree.orchestration.agents.agent import Agent
from adw_worktree.orchestration.drafting import Draft, agent_for, draft
from adw_worktree.orchestration.plan.load import load_document, require_right
from adw_worktree.orchestration.plan.new import plan_path
from adw_worktree.orchestration.prepare import beside_its_base, origin_of, prepare
from adw_worktree.orchestration.runs.drafts import drafting
from adw_worktree.orchestration.start import plan, require_settings_approved
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import (
    add_unplanned,
    description_of,
    require_unplanned,
    set_drafting,
)
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.pool.wakeups import ATTEMPT_VARIABLES
from adw_worktree.project import Project
from adw_worktree.system import background
from adw_worktree.system.paths import exists

_MOST_SLUG = 48


def add_wish(
    database: Database,
    project: Project,
    title: str,
    description: str,
    user_id: int | None = None,
) -> Feature:
    """Add a feature that has no plan yet; `user_id` is the user of a board whose it is.

    Raises FeatureExists, NotARepository, PlanInvalid.
    """
    origin = origin_of(project, "", "")._replace(user_id=user_id)
    return add_unplanned(database, slug_of(title), title, description, origin)


def slug_of(title: str) -> str:
    """Return the slug of a feature of that title. Raises PlanInvalid if nothing is left of it."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_MOST_SLUG].strip("-")
    if not slug:
        raise PlanInvalid(
            f"no slug can be made of the title {title!r}", hint="have a Latin letter in it"
        )
    return slug


def begin(database: Database, project: Project, feature: Feature) -> None:
    """Have an agent draft the plan of a feature in the background.

    Raises PhaseNotInState if it has one, LockTimeout if one is being drafted, AgentFailed,
    HookUntrusted.
    """
    require_unplanned(database, feature)
    agent_for(project, None)
    with drafting(project.state_dir, feature):
        set_drafting(database, feature, "running")
    command = [sys.executable, "-m", "adw_worktree", "feature", "draft", str(feature.id)]
    background.start(command, project.repo.home, without=ATTEMPT_VARIABLES)


def generate(database: Database, project: Project, feature: Feature) -> Feature:
    """Have an agent draft the plan of a feature, and give the feature its phases.

    Raises as `begin` does, and PlanInvalid if the draft is not right in the end.
    """
    require_unplanned(database, feature)
    agent = agent_for(project, None)
    with drafting(project.state_dir, feature):
        set_drafting(database, feature, "running")
        try:
            return _planned(database, project, feature, agent)
        except AdwError as exc:
            set_drafting(database, feature, f"failed: {exc.message}")
            raise


def _planned(database: Database, project: Project, feature: Feature, agent: Agent) -> Feature:
    path = _free_path(project.repo.home, feature.slug)
    description = description_of(database, feature)
    request = "\n\n".join(text for text in (feature.title, description) if text)
    wanted = Draft(feature.slug, feature.title, request, path, project.repo.home)
    done = draft(project, agent, wanted)
    require_right(done.checked, str(path))
    prepared = prepare(project, beside_its_base(project, load_document(path)))
    require_settings_approved(project, prepared)
    named = prepared.plan.model_copy(update={"slug": feature.slug})
    return plan(database, project, feature, prepared._replace(plan=named))


def _free_path(home: Path, slug: str) -> Path:
    """Return where the plan goes: an earlier draft stays."""
    names = (slug if number == 1 else f"{slug[:40]}-{number}" for number in count(1))
    return next(path for name in names if not exists(path := plan_path(home, name)))

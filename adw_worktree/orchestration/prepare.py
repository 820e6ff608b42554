"""Looking through a feature before anything of it runs: its phases, their workflows and checklists.

A document is a plan, in Markdown, or a feature file, in TOML. What holds here: whatever cannot run
is said now, and nothing is changed.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from adw_worktree.errors import BranchUnusable, SettingsError
from adw_worktree.orchestration.gates.checklist import Item, checker_for, from_json, to_json
from adw_worktree.orchestration.issues.repository import github_repository
from adw_worktree.orchestration.issues.token import require_token
from adw_worktree.orchestration.plan.existing import doubtful_files
from adw_worktree.orchestration.plan.feature_file import FeatureFile
from adw_worktree.orchestration.plan.load import Loaded, parse_document
from adw_worktree.orchestration.plan.phases import PlannedFeature
from adw_worktree.orchestration.plan.plan import Finding
from adw_worktree.orchestration.running.forge import require_forge
from adw_worktree.orchestration.store.checklists import Check
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import Origin, plan_text, workflow_documents
from adw_worktree.orchestration.store.opening import store_url
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.orchestration.workflows import verification as verification_json
from adw_worktree.orchestration.workflows import workflow as workflow_json
from adw_worktree.orchestration.workflows.definitions import Defined, Wishes, define
from adw_worktree.orchestration.workflows.verification import Verification, kept
from adw_worktree.orchestration.workflows.verification_table import verification_of
from adw_worktree.project import Project
from adw_worktree.repo.git import run_git
from adw_worktree.repo.known_by import known_by, root_commit
from adw_worktree.repo.refs import is_branch_name, resolve_base

_EFFECTS = {
    "merge": "when it is completed, it is merged into its base",
    "pr": "when it is completed, it is pushed, and becomes a pull request",
    "github": "each of its phases with a prompt becomes an issue on GitHub",
}
_MOST_WARNINGS = 5


class Prepared(NamedTuple):
    """A feature that was looked through and could be started."""

    plan: FeatureFile
    """With what the settings say where the document says nothing."""
    origin: Origin
    workflows: Mapping[int, Defined]
    """By the number of the phase; none for a phase of commands."""
    checklists: Mapping[int, tuple[Check, ...]]
    """By the number of the phase."""
    verification: Verification | None = None
    """What is looked at after it has landed."""
    warnings: Sequence[Finding] = ()
    """What the author of its plan should know."""
    digest: str = ""
    """What all that it runs goes by, for its approval."""

    @property
    def effects(self) -> list[str]:
        """What it does elsewhere than in its own worktrees and branches."""
        return [_EFFECTS[one] for one in (self.plan.land, self.plan.issues) if one in _EFFECTS]

    @property
    def notes(self) -> list[str]:
        """What a person should know before it runs."""
        found = [note for one in self.workflows.values() for note in one.notes]
        warned = [f"line {one.line}: {one.text}" for one in self.warnings[:_MOST_WARNINGS]]
        if len(self.warnings) > _MOST_WARNINGS:
            warned.append(f"and {len(self.warnings) - _MOST_WARNINGS} warnings more: plan check")
        return [*dict.fromkeys(found), *self.effects, *warned]

    @property
    def commands(self) -> list[tuple[int, str]]:
        """The commands of phases, and those of their checklists, each with the phase's number."""
        run = [(phase.number, command) for phase in self.plan.phases for command in phase.run]
        return [
            *run,
            *((number, one) for number in self.checklists for one in self._checked(number)),
        ]

    def _checked(self, number: int) -> Iterator[str]:
        for check in self.checklists[number]:
            if check.checker is None or '"command"' not in check.checker:
                continue  # of a plan's thousands of points, few are commands
            checker = from_json(check.checker)
            if checker is not None and checker.what == "command":
                yield checker.subject


def prepare(project: Project, document: Loaded, workflow: str | None = None) -> Prepared:
    """Look through the document of a feature; change nothing.

    `workflow` is for all phases that have a prompt, whatever the document says. Raises
    WorkflowInvalid, BranchUnusable, NotARepository, ForgeFailed.
    """
    planned = document.planned
    plan, home = planned.feature, project.repo.home
    if not is_branch_name(home, f"feature/{plan.slug}"):
        raise BranchUnusable(f"feature/{plan.slug} cannot be a branch", hint="choose another slug")
    base = plan.base or project.settings.base
    if resolve_base(home, base) is None:
        raise BranchUnusable(
            f"there is no commit {base!r} for feature {plan.slug} to start from",
            hint="commit something, or name another base in the feature file",
        )
    checks = _checks(planned)
    workflows = _workflows(project, planned, workflow)
    land = plan.land or project.settings.land
    if land == "pr":
        require_forge()
    issues = plan.issues or project.settings.issues
    if issues == "github":
        require_token(github_repository(project))
    if workflows:
        _require_identity(project)
    origin = origin_of(project, document.path, document.text)
    verification = verification_of(project.settings)
    plan = plan.model_copy(update={"land": land, "issues": issues})
    return _with_digest(Prepared(plan, origin, workflows, checks, verification, planned.warnings))


def beside_its_base(project: Project, document: Loaded) -> Loaded:
    """Return a document with what the files of its base say against it as further warnings."""
    plan = document.plan
    base = (plan.front.base if plan is not None else None) or project.settings.base
    commit = resolve_base(project.repo.home, base) if plan is not None else None
    if plan is None or commit is None:
        return document
    listed = run_git(["ls-tree", "-r", "-z", "--name-only", commit], project.repo.home).stdout
    doubts = doubtful_files(plan, frozenset(listed.split("\0")), base)
    planned = document.planned
    warnings = tuple(sorted({*planned.warnings, *doubts}))
    return document._replace(planned=planned._replace(warnings=warnings))


def prepared_before(database: Database, project: Project, feature: Feature) -> Prepared:
    """Return an added feature as it was looked through then."""
    text = plan_text(database, feature)
    planned = parse_document(text.encode(), feature.plan_path or "")
    documents = workflow_documents(database, feature)
    workflows = {
        number: Defined(workflow_json.from_json(document), frozenset(), ())
        for number, document in documents.items()
    }
    origin = origin_of(project, feature.plan_path or "", text)
    verification = None
    if feature.verification is not None:
        verification = kept(feature.verification).wanted
    update = {"land": feature.land, "issues": feature.issues}
    plan = planned.feature.model_copy(update=update)
    return _with_digest(Prepared(plan, origin, workflows, _checks(planned), verification))


def _with_digest(prepared: Prepared) -> Prepared:
    """Return it with the digest of its commands, prompts and workflows, and what becomes of it."""
    plan = prepared.plan
    lines = [f"{number}\0{command}" for number, command in prepared.commands]
    for phase in plan.phases:
        if phase.number in prepared.workflows:
            workflow = prepared.workflows[phase.number].workflow
            lines += [f"{phase.number}\0{plan.title}\0{phase.title}\0{phase.prompt}",
                      workflow_json.to_json(workflow)]  # fmt: skip
    if prepared.verification is not None:
        lines += [f"verify\0{verification_json.to_json(prepared.verification)}"]
    if plan.land != "leave":
        lines += [f"land\0{plan.land}\0{plan.base}"]
    if plan.issues == "github":
        lines += ["issues\0github"]
    digest = sha256("\0\0".join(["feature", *lines]).encode()).hexdigest()
    return prepared._replace(digest=digest)


def _checks(planned: PlannedFeature) -> dict[int, tuple[Check, ...]]:
    """Return the checklists, with how each point is looked for."""
    return {
        number: tuple(_check(item) for item in items)
        for number, items in planned.checklists.items()
    }


def _check(item: Item) -> Check:
    checker = checker_for(item)
    return Check(item.kind, item.text, to_json(checker) if checker is not None else None)


def _workflows(project: Project, planned: PlannedFeature, chosen: str | None) -> dict[int, Defined]:
    """Return the workflow of each phase that has a prompt. Raises WorkflowInvalid."""
    made: dict[object, Defined] = {}
    found: dict[int, Defined] = {}
    plan = planned.feature
    weight = plan.checklist or project.settings.checklist
    for phase in plan.phases:
        if phase.prompt is None:
            continue
        name = chosen or phase.workflow or plan.workflow
        wishes = Wishes(
            phase.agents,
            phase.timeout,
            phase.idle_timeout,
            plan.budget_usd is not None or phase.budget_usd is not None,
            weight if planned.checklists.get(phase.number) else None,
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
    """Return where a feature of this repository comes from.

    Raises NotARepository, SettingsError if hosts share the store and the repository has no remote.
    """
    place = str(project.repo.home)
    if store_url() is None:
        return Origin(root_commit(project.repo), place, plan_path, plan_text, getpass.getuser())
    repository = known_by(project.repo, project.settings.remote)
    host = this_host(project.state_dir).name
    return Origin(repository, place, plan_path, plan_text, getpass.getuser(), added_on=host)

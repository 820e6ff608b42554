"""Adding features, and finding features and phases by the names that people use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from adw_worktree.errors import FeatureExists, PhaseNotInState, UnknownPhase
from adw_worktree.orchestration.phases.states import waiting_status
from adw_worktree.orchestration.store.checklists import Check, insert_checklist
from adw_worktree.orchestration.store.database import Database, Value, placeholders
from adw_worktree.orchestration.store.deliveries import subscribe
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.hosts import place_on
from adw_worktree.orchestration.store.records import OPEN, Feature, Phase, features, phases
from adw_worktree.orchestration.store.sharing import OWNER, Viewer
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    # pydantic takes longer to load than a command to find a phase.
    from adw_worktree.orchestration.plan.feature_file import FeatureFile
    from adw_worktree.orchestration.store.deliveries import Way


class Origin(NamedTuple):
    """Where a feature comes from."""

    repository: str
    place: str
    plan_path: str
    plan_text: str
    owner: str
    user_id: int | None = None
    """The user of a board who adds it, if any."""
    added_on: str | None = None
    """The host on which `place` is, where hosts share the store."""
    tip: str | None = None
    """Where the branch of the feature is, where hosts share the store."""


class Planned(NamedTuple):
    """The workflow of a phase."""

    name: str
    document: str
    """As JSON."""
    agents: tuple[str, ...]
    """That it begins with."""
    checklist: tuple[Check, ...] = ()
    """What is to be checked before it ships."""

    @property
    def digest(self) -> str:
        """What the document goes by."""
        return sha256(self.document.encode()).hexdigest()[:32]


def branch_of(slug: str) -> str:
    """Return the branch on which the work of a feature collects."""
    return f"feature/{slug}"


def add_feature(
    database: Database,
    plan: FeatureFile,
    origin: Origin,
    ways: Iterable[Way] = (),
    workflows: Mapping[int, Planned] | None = None,
    *,
    starts: bool = True,
    verification: str | None = None,
) -> Feature:
    """Add a feature with its phases; those without dependencies are ready at once.

    Unless it `starts`, none of them runs before `start_feature`.

    Its events are delivered by each of `ways`; `workflows` are those of the phases that have a
    prompt, by number.

    Raises FeatureExists if one of that slug is not over.
    """
    with database.transaction():
        require_free_slug(database, plan.slug, origin.repository)
        wanted = {
            "slug": plan.slug,
            "title": plan.title,
            "description": plan.description,
            "priority": plan.priority,
            "branch": branch_of(plan.slug),
            **_as_planned(plan, origin, verification),
        }
        feature = _insert_feature(database, origin, wanted, "running" if starts else "added")
        subscribe(database, feature.id, ways)
        append(database, "feature.started" if starts else "feature.added", feature_id=feature.id)
        _insert_phases(database, plan, feature, workflows or {})
        return feature


def add_unplanned(
    database: Database, slug: str, title: str, description: str, origin: Origin
) -> Feature:
    """Add a feature that has no plan yet, and so no phases. Raises FeatureExists."""
    with database.transaction():
        require_free_slug(database, slug, origin.repository)
        wanted: dict[str, Value] = {
            "slug": slug,
            "title": title,
            "description": description,
            "priority": 50,
            "branch": branch_of(slug),
            "plan_text": "",
            "land": "leave",
            "issues": "file",
        }
        feature = _insert_feature(database, origin, wanted, "added")
        append(database, "feature.added", feature_id=feature.id)
        return feature


def plan_feature(
    database: Database,
    feature: Feature,
    plan: FeatureFile,
    origin: Origin,
    ways: Iterable[Way],
    workflows: Mapping[int, Planned],
    verification: str | None,
) -> Feature:
    """Give a feature that has none the phases of a plan; its title and description stay.

    Raises PhaseNotInState if it has a plan, or is over.
    """
    with database.transaction():
        require_unplanned(database, feature)
        wanted = _as_planned(plan, origin, verification)
        changes = ", ".join(f"{column} = ?" for column in wanted)
        database.execute(
            f"UPDATE features SET {changes}, drafting = NULL WHERE id = ?",
            [*wanted.values(), feature.id],
        )
        subscribe(database, feature.id, ways)
        append(database, "feature.planned", feature_id=feature.id)
        [present] = features(database, "id = ?", [feature.id])
        _insert_phases(database, plan, present, workflows)
        return present


def set_drafting(database: Database, feature: Feature, what: str) -> None:
    """Note how the drafting of a feature's plan goes: `running`, or `failed: ` and why.

    Raises PhaseNotInState if it has a plan, or is over.
    """
    with database.transaction():
        require_unplanned(database, feature)
        database.execute("UPDATE features SET drafting = ? WHERE id = ?", [what, feature.id])
        append(database, "feature.drafting", feature_id=feature.id, data={"drafting": what})


def require_unplanned(database: Database, feature: Feature) -> None:
    """Raise PhaseNotInState if a feature has a plan, or is over."""
    [present] = features(database, "id = ?", [feature.id])
    if present.status == "added" and not phases(database, "feature_id = ?", [feature.id]):
        return
    what = "has a plan" if present.status == "added" else f"is {present.status}"
    raise PhaseNotInState(
        f"feature {feature.slug} {what}", hint=f"adw-worktree feature show {feature.slug}"
    )


def require_free_slug(database: Database, slug: str, repository: str) -> None:
    """Raise FeatureExists if a feature of that repository has the slug and is not over."""
    present = features(
        database,
        f"slug = ? AND repository = ? AND status IN ({placeholders(OPEN)})",
        [slug, repository, *OPEN],
    )
    if present:
        raise FeatureExists(
            f"feature {present[0].id} of this repository is called {slug}, and is "
            f"{present[0].status}",
            hint=f"choose another slug, or adw-worktree feature cancel {present[0].id}",
        )


def start_feature(database: Database, feature: Feature, tip: str | None = None) -> Feature:
    """Let the phases of a feature run that was added; `tip` is where its branch is, if known.

    Raises PhaseNotInState if it was not, or has no plan.
    """
    with database.transaction():
        require_added(database, feature)
        database.execute(
            "UPDATE features SET status = 'running', tip = coalesce(?, tip) WHERE id = ?",
            [tip, feature.id],
        )
        database.execute(
            "UPDATE phases SET ready_at = ? WHERE feature_id = ? AND status = 'ready'",
            [database.now(), feature.id],
        )
        append(database, "feature.started", feature_id=feature.id)
        [present] = features(database, "id = ?", [feature.id])
        return present


def require_added(database: Database, feature: Feature) -> None:
    """Raise PhaseNotInState if a feature was started before, or has no plan."""
    [present] = features(database, "id = ?", [feature.id])
    if present.status != "added":
        raise PhaseNotInState(
            f"feature {feature.slug} is {present.status}, and was started before",
            hint=f"adw-worktree feature show {feature.slug}",
        )
    if not phases(database, "feature_id = ?", [feature.id]):
        raise PhaseNotInState(
            f"feature {feature.slug} has no plan yet",
            hint=f"adw-worktree feature draft {feature.slug}",
        )


def _as_planned(plan: FeatureFile, origin: Origin, verification: str | None) -> dict[str, Value]:
    """Return the columns of a feature that its plan decides on."""
    return {
        "plan_path": origin.plan_path,
        "plan_text": origin.plan_text,
        "base": plan.base,
        "land": plan.land or "leave",
        "issues": plan.issues or "file",
        "budget_usd": plan.budget_usd,
        "verification": verification,
    }


def _insert_feature(
    database: Database, origin: Origin, wanted: Mapping[str, Value], status: str
) -> Feature:
    columns = {
        **wanted,
        "repository": origin.repository,
        "place": origin.place,
        "added_on": origin.added_on,
        "tip": origin.tip,
        "owner": origin.owner,
        "user_id": origin.user_id,
        "status": status,
        "created_at": database.now(),
    }
    row = database.execute(
        f"INSERT INTO features ({', '.join(columns)})"
        f" VALUES ({', '.join('?' * len(columns))}) RETURNING id",
        [*columns.values()],
    )
    [feature] = features(database, "id = ?", [row[0][0]])
    return feature


def _insert_phases(
    database: Database, plan: FeatureFile, feature: Feature, workflows: Mapping[int, Planned]
) -> None:
    ids: dict[int, int] = {}
    for digest, document in {(one.digest, one.document) for one in workflows.values()}:
        database.execute(
            "INSERT INTO workflows (feature_id, digest, document) VALUES (?, ?, ?)",
            [feature.id, digest, document],
        )
    for position, entry in enumerate(plan.phases, 1):
        status = waiting_status(["queued"] * len(entry.depends_on))
        at, workflow = database.now(), workflows.get(entry.number)
        row = database.execute(
            "INSERT INTO phases (feature_id, phase_number, title, commands, changes,"
            " timeout_seconds, attempts_allowed, priority, queue_position, status, adw_id,"
            " created_at, ready_at, prompt, budget_usd, workflow, workflow_digest, agents,"
            " estimated_hours)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            [
                feature.id, entry.number, entry.title, json.dumps(entry.run), entry.changes,
                entry.timeout, entry.attempts,
                feature.priority if entry.priority is None else entry.priority,
                position, status, f"{plan.slug}-p{entry.number}", at,
                at if status == "ready" else None, entry.prompt, entry.budget_usd,
                workflow and workflow.name, workflow and workflow.digest,
                workflow and json.dumps(workflow.agents), entry.estimated_hours,
            ],
        )  # fmt: skip
        ids[entry.number] = int(str(row[0][0]))
        insert_checklist(database, ids[entry.number], workflow.checklist if workflow else ())
        for label in sorted({*entry.needs}):
            database.execute("INSERT INTO phase_needs VALUES (?, ?)", [ids[entry.number], label])
        append(database, f"phase.{status}", feature_id=feature.id, phase_id=ids[entry.number])
    insert_dependencies(database, ids, [(one.number, one.depends_on) for one in plan.phases])


def insert_dependencies(
    database: Database, ids: Mapping[int, int], phases: Iterable[tuple[int, Iterable[int]]]
) -> None:
    """Add what phases depend on, all by their numbers; `ids` has the id of each number."""
    for number, needs in phases:
        for need in needs:
            database.execute(
                "INSERT INTO dependencies (phase_id, needs_id) VALUES (?, ?)",
                [ids[number], ids[need]],
            )


def workflow_documents(database: Database, feature: Feature) -> dict[int, str]:
    """Return the workflow of each phase that has one, as JSON, by the phase's number."""
    rows = database.execute(
        "SELECT p.phase_number, w.document FROM phases p JOIN workflows w"
        " ON w.feature_id = p.feature_id AND w.digest = p.workflow_digest WHERE p.feature_id = ?",
        [feature.id],
    )
    return {int(str(number)): str(document) for number, document in rows}


def plan_text(database: Database, feature: Feature) -> str:
    """Return the document of a feature, as it was added."""
    [[text]] = database.execute("SELECT plan_text FROM features WHERE id = ?", [feature.id])
    return str(text)


def description_of(database: Database, feature: Feature) -> str:
    """Return what a feature was described as."""
    [[text]] = database.execute("SELECT description FROM features WHERE id = ?", [feature.id])
    return str(text)


def find_feature(database: Database, name: str, viewer: Viewer = OWNER) -> Feature:
    """Return the feature called `name`, its id or its slug; of several, the newest.

    Its place is that of this host, if this has its repository.

    Raises UnknownPhase, also if `viewer` may not see it.
    """
    # An id of a later store may have more digits than the database can count.
    number = int(name) if re.fullmatch(r"[0-9]{1,15}", name) else -1
    seen, who = viewer.sees("features.id")
    found = features(database, f"(id = ? OR slug = ?) AND {seen}", [number, name, *who])
    exact = [one for one in found if one.id == number]
    if not found:
        raise UnknownPhase(f"there is no feature {name!r}", hint="adw-worktree feature list")
    feature = (exact or found)[-1]
    return feature if database.here is None else place_on(database, feature, database.here)


def find_phase(database: Database, name: str, viewer: Viewer = OWNER) -> tuple[Feature, Phase]:
    """Return the phase called `name`, `FEATURE.NUMBER`, and its feature.

    Raises UnknownPhase, also if `viewer` may not see it.
    """
    before, _, number = name.rpartition(".")
    if not before or not re.fullmatch(r"[0-9]{1,9}", number):
        raise UnknownPhase(
            f"{name!r} names no phase", hint="name it FEATURE.NUMBER, such as login.3"
        )
    feature = find_feature(database, before, viewer)
    found = phases(database, "feature_id = ? AND phase_number = ?", [feature.id, int(number)])
    if not found:
        raise UnknownPhase(
            f"feature {feature.slug} has no phase {number}",
            hint=f"adw-worktree feature show {feature.slug}",
        )
    return feature, found[0]


def root_of(repository: str) -> str:
    """Return the root commit of a repository, by what it is known by on one host or on all."""
    return repository.partition(" ")[0]


def require_running(feature: Feature) -> None:
    """Raise PhaseNotInState if the feature is over, or was not started yet."""
    if feature.status not in ("running", "paused"):
        verb = "start" if feature.status == "added" else "show"
        raise PhaseNotInState(
            f"feature {feature.slug} is {feature.status}",
            hint=f"adw-worktree feature {verb} {feature.slug}",
        )

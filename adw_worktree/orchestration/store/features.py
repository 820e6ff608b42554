"""Adding features, and finding features and phases by the names that people use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from adw_worktree.errors import FeatureExists, PhaseNotInState, UnknownPhase
from adw_worktree.orchestration.phases.states import waiting_status
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.deliveries import subscribe
from adw_worktree.orchestration.store.events import append, now
from adw_worktree.orchestration.store.records import Feature, Phase, features, phases
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


class Planned(NamedTuple):
    """The workflow of a phase."""

    name: str
    document: str
    """As JSON."""
    agents: tuple[str, ...]
    """That it begins with."""

    @property
    def digest(self) -> str:
        """What the document goes by."""
        return sha256(self.document.encode()).hexdigest()[:32]


def add_feature(
    database: Database,
    plan: FeatureFile,
    origin: Origin,
    ways: Iterable[Way] = (),
    workflows: Mapping[int, Planned] | None = None,
) -> Feature:
    """Add a feature with its phases; those without dependencies are ready at once.

    Its events are delivered by each of `ways`; `workflows` are those of the phases that have a
    prompt, by number.

    Raises FeatureExists if one of that slug is not over.
    """
    with database.transaction():
        require_free_slug(database, plan.slug, origin.repository)
        feature = _insert_feature(database, plan, origin)
        subscribe(database, feature.id, ways)
        append(database, "feature.started", feature_id=feature.id)
        _insert_phases(database, plan, feature, workflows or {})
        return feature


def require_free_slug(database: Database, slug: str, repository: str) -> None:
    """Raise FeatureExists if a feature of that repository has the slug and is not over."""
    present = features(
        database,
        "slug = ? AND repository = ? AND status IN ('running', 'paused')",
        [slug, repository],
    )
    if present:
        raise FeatureExists(
            f"feature {present[0].id} of this repository is called {slug}, and is "
            f"{present[0].status}",
            hint=f"choose another slug, or adw-worktree feature cancel {present[0].id}",
        )


def _insert_feature(database: Database, plan: FeatureFile, origin: Origin) -> Feature:
    row = database.execute(
        "INSERT INTO features (slug, title, description, repository, place, plan_path, plan_text,"
        " branch, base, priority, status, land, budget_usd, owner, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?) RETURNING id",
        [
            plan.slug, plan.title, plan.description, origin.repository, origin.place,
            origin.plan_path, origin.plan_text, f"feature/{plan.slug}", plan.base, plan.priority,
            plan.land or "leave", plan.budget_usd, origin.owner, now(),
        ],
    )  # fmt: skip
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
        at, workflow = now(), workflows.get(entry.number)
        row = database.execute(
            "INSERT INTO phases (feature_id, phase_number, title, commands, changes,"
            " timeout_seconds, attempts_allowed, priority, queue_position, status, adw_id,"
            " created_at, ready_at, prompt, budget_usd, workflow, workflow_digest, agents)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            [
                feature.id, entry.number, entry.title, json.dumps(entry.run), entry.changes,
                entry.timeout, entry.attempts,
                feature.priority if entry.priority is None else entry.priority,
                position, status, f"{plan.slug}-p{entry.number}", at,
                at if status == "ready" else None, entry.prompt, entry.budget_usd,
                workflow and workflow.name, workflow and workflow.digest,
                workflow and json.dumps(workflow.agents),
            ],
        )  # fmt: skip
        ids[entry.number] = int(str(row[0][0]))
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


def find_feature(database: Database, name: str) -> Feature:
    """Return the feature called `name`, its id or its slug; of several, the newest.

    Raises UnknownPhase.
    """
    # An id of a later store may have more digits than the database can count.
    number = int(name) if re.fullmatch(r"[0-9]{1,15}", name) else -1
    found = features(database, "id = ? OR slug = ?", [number, name])
    exact = [one for one in found if one.id == number]
    if not found:
        raise UnknownPhase(f"there is no feature {name!r}", hint="adw-worktree feature list")
    return (exact or found)[-1]


def find_phase(database: Database, name: str) -> tuple[Feature, Phase]:
    """Return the phase called `name`, `FEATURE.NUMBER`, and its feature. Raises UnknownPhase."""
    before, _, number = name.rpartition(".")
    if not before or not re.fullmatch(r"[0-9]{1,9}", number):
        raise UnknownPhase(
            f"{name!r} names no phase", hint="name it FEATURE.NUMBER, such as login.3"
        )
    feature = find_feature(database, before)
    found = phases(database, "feature_id = ? AND phase_number = ?", [feature.id, int(number)])
    if not found:
        raise UnknownPhase(
            f"feature {feature.slug} has no phase {number}",
            hint=f"adw-worktree feature show {feature.slug}",
        )
    return feature, found[0]


def require_running(feature: Feature) -> None:
    """Raise PhaseNotInState if the feature is over."""
    if feature.status not in ("running", "paused"):
        raise PhaseNotInState(
            f"feature {feature.slug} is {feature.status}",
            hint=f"adw-worktree feature show {feature.slug}",
        )

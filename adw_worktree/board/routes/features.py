"""Features: adding, starting and steering them, and checking plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from adw_worktree.board.access.denied import TooMany
from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.documents import (
    Asked,
    Changes,
    CheckedPlan,
    FeatureDetail,
    FeaturePage,
    NewPlan,
    PlanText,
    Refusal,
    Start,
    Wish,
)
from adw_worktree.board.contents.rows import NUMBER, Filter, feature_page, queue_rows
from adw_worktree.board.routes.starting import (
    DRAFTING_SECONDS,
    Starting,
    one_generation,
)
from adw_worktree.errors import FeatureExists, LockTimeout
from adw_worktree.orchestration.generating import add_wish, begin
from adw_worktree.orchestration.plan.check import check_plan
from adw_worktree.orchestration.plan.load import load_data
from adw_worktree.orchestration.prepare import beside_its_base, prepare, prepared_before
from adw_worktree.orchestration.running.landing import project_of_feature
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.start import (
    add,
    approve,
    asked,
    is_approved,
    not_approved,
    require_settings_approved,
    set_going,
    start,
)
from adw_worktree.orchestration.store import steering
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.features import (
    description_of,
    find_feature,
    require_added,
    require_unplanned,
)
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.orchestration.store.results import feature_row
from adw_worktree.orchestration.store.users import user_by_id

router = APIRouter(tags=["features"])
FeatureState = Literal["added", "running", "paused", "completed", "cancelled"]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(pattern=rf"^{NUMBER}$")]


@router.get("/planned-features", response_model=FeaturePage)
def list_features(
    board: Here,
    state: FeatureState | None = None,
    repository: str | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Return features, the newest first."""
    wanted = Filter(state, None, repository, cursor, limit)
    with board.reading() as database:
        return JSONResponse(feature_page(database, board.visitor.viewer, wanted).document())


@router.post("/planned-features", response_model=FeatureDetail, status_code=201)
def add_feature(board: Here, wanted: NewPlan | Wish) -> JSONResponse:
    """Add a feature: that of a plan, or one of a title, whose plan is generated.

    Nothing of it runs before it is executed.
    """
    project = board.project(wanted.repository)
    if isinstance(wanted, Wish):
        with board.store() as database, _slug_untold(board):
            feature = add_wish(
                database, project, wanted.title, wanted.description, board.visitor.user_id
            )
            return JSONResponse(_detail(board, database, feature), 201)
    document = beside_its_base(project, load_data(wanted.plan.text.encode(), wanted.plan.name))
    prepared = prepare(project, document)
    require_settings_approved(project, prepared)
    origin = prepared.origin._replace(user_id=board.visitor.user_id)
    with board.store() as database, _slug_untold(board):
        feature = add(database, project, prepared._replace(origin=origin), starts=False)
        return JSONResponse(_detail(board, database, feature), 201)


@router.post("/plans/check", response_model=CheckedPlan)
def check(plan: PlanText) -> JSONResponse:
    """Return what is wrong with a plan, by line. Nothing is kept of it."""
    checked = check_plan(plan.text.encode(), plan.name)
    feature = checked.feature.feature if checked.feature is not None else None
    phases = [] if feature is None else feature.phases
    document = {
        "errors": checked.errors,
        "findings": [one._asdict() for one in checked.findings],
        "slug": None if feature is None else feature.slug,
        "title": None if feature is None else feature.title,
        "phases": [
            {
                "phase_number": one.number,
                "title": one.title,
                "depends_on_phases": [*one.depends_on],
            }
            for one in phases
        ],
    }
    return JSONResponse(document)


@router.get("/planned-features/{feature_id}", response_model=FeatureDetail)
def show_feature(board: Here, feature_id: str) -> JSONResponse:
    """Return a feature, by its id or its slug, with its phases."""
    with board.reading() as database:
        return JSONResponse(_detail(board, database, board.feature(database, feature_id)))


@router.patch("/planned-features/{feature_id}", response_model=FeatureDetail)
def change_feature(board: Here, feature_id: str, wanted: Changes) -> JSONResponse:
    """Give a feature another priority, and with it all of its phases that are not over."""
    return _changed(
        board,
        feature_id,
        lambda database, name: steering.set_feature_priority(database, name, wanted.priority),
    )


@router.delete("/planned-features/{feature_id}", response_model=FeatureDetail)
@router.post(
    "/planned-features/{feature_id}/cancel",
    response_model=FeatureDetail,
    operation_id="cancel_feature",
)
def cancel_feature(board: Here, feature_id: str) -> JSONResponse:
    """Cancel a feature, and end what runs of it. What was committed stays on its branch."""
    return _changed(board, feature_id, steering.cancel_feature)


@router.post(
    "/planned-features/{feature_id}/execute",
    response_model=FeatureDetail,
    responses={409: {"model": Asked | Refusal}},
)
def execute(board: Starting, feature_id: str, wanted: Start | None = None) -> JSONResponse:
    """Start a feature that was added.

    What it asks to run has to be approved once: the first answer, 409, has it in words, and the
    digest that approves exactly that.
    """
    with board.store() as database:
        feature = board.steered_feature(database, feature_id)
        require_added(database, feature)
        project = project_of_feature(feature)
        prepared = prepared_before(database, project, feature)
        require_settings_approved(project, prepared)
        if wanted is not None and wanted.approve == prepared.digest:
            approve(project, prepared)
        if not is_approved(project, prepared):
            error = not_approved(prepared).as_document()
            asks = {"error": error, "digest": prepared.digest, "asks": [*asked(prepared)]}
            return JSONResponse(asks, 409)
        started = start(database, project, feature)
        set_going(database, project)
        return JSONResponse(_detail(board, database, started))


@router.post(
    "/planned-features/{feature_id}/generate-implementation",
    response_model=FeatureDetail,
    status_code=202,
)
def generate(board: Starting, feature_id: str) -> JSONResponse:
    """Have an agent draft the plan of a feature that has none, and answer at once.

    How it goes is in `drafting` of the feature, and on the WebSocket; then it has phases.
    """
    with board.store() as database:
        feature = board.steered_feature(database, feature_id)
        require_unplanned(database, feature)
        try:
            with one_generation(board, database, feature):
                begin(database, project_of_feature(feature), feature)
        except LockTimeout as exc:
            raise TooMany("plans of this feature drafted at once", DRAFTING_SECONDS) from exc
        present = find_feature(database, str(feature.id))
        return JSONResponse(_detail(board, database, present), 202)


@router.post(
    "/planned-features/{feature_id}/pause",
    response_model=FeatureDetail,
    operation_id="pause_feature",
)
def pause(board: Here, feature_id: str) -> JSONResponse:
    """Start nothing more of a feature; what runs goes on."""
    return _changed(board, feature_id, steering.pause_feature)


@router.post(
    "/planned-features/{feature_id}/resume",
    response_model=FeatureDetail,
    operation_id="resume_feature",
)
def resume(board: Starting, feature_id: str) -> JSONResponse:
    """Let a paused feature go on."""
    return _changed(board, feature_id, steering.resume_feature)


@router.post(
    "/planned-features/{feature_id}/retry",
    response_model=FeatureDetail,
    operation_id="retry_feature",
)
def retry(board: Starting, feature_id: str) -> JSONResponse:
    """Repeat all that failed of a feature."""
    return _changed(board, feature_id, steering.retry_feature)


def _changed(
    board: Board, feature_id: str, change: Callable[[Database, str], object]
) -> JSONResponse:
    with board.store() as database:
        feature = board.steered_feature(database, feature_id)
        change(database, str(feature.id))
        summon(board.state_dir)
        present = find_feature(database, str(feature.id))
        return JSONResponse(_detail(board, database, present))


@contextmanager
def _slug_untold(board: Board) -> Iterator[None]:
    """Say of a slug that another user's feature has no more than that it is taken."""
    try:
        yield
    except FeatureExists as exc:
        if board.visitor.is_admin:
            raise
        hint = "choose another slug, or title"
        raise FeatureExists("a feature of this repository has that slug", hint=hint) from exc


def _detail(board: Board, database: Database, feature: Feature) -> dict[str, Any]:
    owner = user_by_id(database, feature.user_id) if feature.user_id is not None else None
    return {
        "owner": owner.address if owner is not None else None,
        "may_steer": board.may_steer(database, feature),
        "feature": feature_row(database, feature),
        "description": description_of(database, feature),
        "plan_path": feature.plan_path,
        "phases": queue_rows(database, feature),
    }

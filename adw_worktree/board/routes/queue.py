"""Phases: the queue, and all that there is to see of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.documents import (
    Budget,
    Comment,
    EventPage,
    Issue,
    LogPart,
    Patch,
    PhaseDetail,
    QueuePage,
    QueueRow,
)
from adw_worktree.board.contents.logs import log_part
from adw_worktree.board.contents.rows import (
    Filter,
    command_name,
    event_page,
    find_queued,
    phase_page,
    queue_row,
)
from adw_worktree.board.routes.features import Cursor, Limit
from adw_worktree.board.routes.starting import Starting
from adw_worktree.documents.phases import CallRow, Status
from adw_worktree.documents.plans import CheckRow
from adw_worktree.errors import AdwError
from adw_worktree.orchestration.difference import difference
from adw_worktree.orchestration.preview import preview
from adw_worktree.orchestration.running.landing import project_of_feature
from adw_worktree.orchestration.runs.far_logs import fetch_logs
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.store import steering
from adw_worktree.orchestration.store.calls import calls
from adw_worktree.orchestration.store.checklists import checklist
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.durations import usual_seconds
from adw_worktree.orchestration.store.records import (
    OPEN,
    Feature,
    Phase,
    events,
    name_of,
)
from adw_worktree.orchestration.store.results import attempt_rows, checklist_rows, event_row
from adw_worktree.pool.lease import Lease

router = APIRouter(tags=["queue"])
_MOST_EVENTS = 200


@router.get("/queue", response_model=QueuePage)
def list_queue(
    board: Here,
    state: Status | None = None,
    feature: str | None = None,
    repository: str | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> JSONResponse:
    """Return phases, in the order in which they were added."""
    wanted = Filter(state, feature, repository, cursor, limit)
    with board.reading() as database:
        return JSONResponse(phase_page(database, board.visitor.viewer, wanted).document())


@router.get("/queue/{queue_id}", response_model=PhaseDetail)
def show_phase(board: Here, queue_id: str) -> JSONResponse:
    """Return a phase, by its id or its name, with all that happened to it."""
    with board.reading() as database:
        feature, phase = board.phase(database, queue_id)
        detail = _detail(board, database, feature, phase)
    lease = _lease(feature, phase)
    where = {
        "ports": {} if lease is None else {**lease.ports},
        "worktree": None if lease is None else lease.path,
    }
    return JSONResponse({**detail, **where})


@router.post("/queue/{queue_id}/retry", response_model=QueueRow)
def retry(board: Starting, queue_id: str, wanted: Budget | None = None) -> JSONResponse:
    """Let a phase that failed, was cancelled, or waits for a person run again."""
    budget = wanted.budget_usd if wanted is not None else None
    return _changed(
        board, queue_id, lambda database, name: steering.retry_phase(database, name, budget)
    )


@router.post("/queue/{queue_id}/reject", response_model=QueueRow)
def reject(board: Starting, queue_id: str, wanted: Comment) -> JSONResponse:
    """Send a phase that waits for a person back to its agent, with a comment or an answer."""
    return _changed(
        board,
        queue_id,
        lambda database, name: steering.reject_phase(database, name, wanted.message),
    )


@router.post("/queue/{queue_id}/cancel", response_model=QueueRow, operation_id="cancel_phase")
def cancel(board: Here, queue_id: str) -> JSONResponse:
    """End a phase for good."""
    return _changed(board, queue_id, steering.cancel_phase)


@router.post("/queue/{queue_id}/pause", response_model=QueueRow, operation_id="pause_phase")
def pause(board: Here, queue_id: str) -> JSONResponse:
    """Hold a phase; a running one is stopped."""
    return _changed(board, queue_id, steering.pause_phase)


@router.post("/queue/{queue_id}/resume", response_model=QueueRow, operation_id="resume_phase")
def resume(board: Starting, queue_id: str) -> JSONResponse:
    """Let a paused phase go on."""
    return _changed(board, queue_id, steering.resume_phase)


@router.post("/queue/{queue_id}/approve", response_model=QueueRow, operation_id="approve_phase")
def approve(board: Starting, queue_id: str) -> JSONResponse:
    """Let a phase go on that waits for an approval."""
    return _changed(board, queue_id, steering.approve_phase)


@router.get("/queue/{queue_id}/log", response_model=LogPart)
def show_log(
    board: Here,
    queue_id: str,
    attempt: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
    log: Annotated[str | None, Query(pattern=r"^[0-9]{2,4}-[\w.-]{1,80}\.log$")] = None,
    start: Annotated[int | None, Query(ge=0)] = None,
    end: Annotated[int | None, Query(ge=0)] = None,
) -> JSONResponse:
    """Return a part of what a phase has printed: by default the end of its last stage's log."""
    with board.reading() as database:
        _, _, tried = board.tried(database, queue_id)
        for one in [one for one in tried if one.token == attempt] or tried[-1:]:
            fetch_logs(database, board.state_dir, one)
    part = log_part(board.state_dir, [one.token for one in tried], attempt, log, start, end)
    return JSONResponse(part.model_dump())


@router.get("/queue/{queue_id}/issue", response_model=Issue)
def show_issue(board: Here, queue_id: str) -> JSONResponse:
    """Return what the agent of a phase gets."""
    with board.store() as database:  # git is asked, too
        feature, phase = board.phase(database, queue_id)
        found = preview(database, feature, phase)
    document = {
        "name": name_of(feature, phase),
        "issue": found.text,
        "tokens": found.sizes._asdict(),
    }
    return JSONResponse(document)


@router.get("/queue/{queue_id}/diff", response_model=Patch)
def show_diff(board: Here, queue_id: str) -> JSONResponse:
    """Return what a phase has committed."""
    with board.reading() as database:
        feature, phase, tried = board.tried(database, queue_id)
    found = difference(feature, phase, tried)
    return JSONResponse({"name": name_of(feature, phase), **found._asdict()})


@router.get("/queue/{queue_id}/checklist", response_model=list[CheckRow])
def show_checklist(board: Here, queue_id: str) -> JSONResponse:
    """Return what was planned of a phase, and what was found of it."""
    with board.reading() as database:
        _, phase = board.phase(database, queue_id)
        return JSONResponse(checklist_rows(checklist(database, phase.id)))


@router.get("/queue/{queue_id}/calls", response_model=list[CallRow])
def show_calls(board: Here, queue_id: str) -> JSONResponse:
    """Return the calls of a phase's agents, those of its first attempt first."""
    with board.reading() as database:
        _, _, tried = board.tried(database, queue_id)
        return JSONResponse([call for one in tried for call in calls(database, one.token)])


@router.get("/events", response_model=EventPage)
def list_events(
    board: Here,
    after: Annotated[int, Query(ge=0, le=10**15)] = 0,
    limit: Limit = 100,
) -> JSONResponse:
    """Return what has happened after the event with the id `after`."""
    with board.reading() as database:
        return JSONResponse(event_page(database, board.visitor.viewer, after, limit).document())


def _changed(
    board: Board, queue_id: str, change: Callable[[Database, str], object]
) -> JSONResponse:
    with board.store() as database:
        feature, phase = board.steered_phase(database, queue_id)
        change(database, command_name(feature, phase))
        summon(board.state_dir)
        _, present = find_queued(database, str(phase.id))
        return JSONResponse(queue_row(database, feature, present))


def _detail(board: Board, database: Database, feature: Feature, phase: Phase) -> dict[str, Any]:
    happened = events(database, "phase_id = ?", [phase.id], order=f"id DESC LIMIT {_MOST_EVENTS}")
    return {
        "phase": queue_row(database, feature, phase),
        "may_steer": board.may_steer(database, feature),
        "title": feature.title,
        "repository": feature.place,
        "commands": phase.command_lines,
        "attempts": attempt_rows(database, phase),
        "events": [event_row(one) for one in reversed(happened)],
        "checklist": checklist_rows(checklist(database, phase.id)),
        "usual_seconds": usual_seconds(database, feature),
    }


def _lease(feature: Feature, phase: Phase) -> Lease | None:
    """Return the slot of a phase; None if it has none, or its repository is not there."""
    if feature.status not in OPEN:
        return None  # what has its ADW id now is another feature's
    with suppress(AdwError):
        return project_of_feature(feature).pool.leases().get(phase.adw_id)
    return None

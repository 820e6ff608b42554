"""The web hook: workflows that run elsewhere report how they have ended."""

from __future__ import annotations

import hmac
import logging
import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import JSONResponse

from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.documents import Report, Reported
from adw_worktree.board.contents.rows import find_queued, queue_row
from adw_worktree.errors import AdwError, StaleAttempt
from adw_worktree.orchestration.running.reporting import deliver_of_phase
from adw_worktree.orchestration.running.webhook import Message, signed

_log = logging.getLogger(__name__)
_KINDS = {"completed": "done", "failed": "fail", "blocked": "block"}
_SIGNED_SECONDS = 300
router = APIRouter(tags=["web hook"])


async def _require_signature(request: Request, board: Here) -> None:
    """Raise HTTPException for a stranger's report that is not signed, or was long ago."""
    if not board.visitor.is_stranger:
        return
    headers, body = request.headers, await request.body()
    at = headers.get("webhook-timestamp", "")
    is_time = at.isascii() and at.isdigit() and len(at) < 16
    if is_time and abs(time.time() - int(at)) <= _SIGNED_SECONDS:
        message = Message(headers.get("webhook-id", ""), body)
        expected = signed(message, int(at), board.keys.hook_secret)["webhook-signature"]
        given = headers.get("webhook-signature", "").split()
        if any(hmac.compare_digest(one.encode(), expected.encode()) for one in given):
            return
    _log.warning("a report was refused: its signature is wrong, or more than 5 minutes old")
    raise HTTPException(401, "the signature is wrong, or more than five minutes old")


@router.post("/workflow-complete", response_model=Reported)
def workflow_complete(
    board: Here, report: Report, _: Annotated[None, Depends(_require_signature)]
) -> JSONResponse:
    """Take the report of a workflow. The same report twice is one; a stale one is refused."""
    try:
        return JSONResponse(_taken(board, report))
    except AdwError as exc:
        _log.warning("a report on phase %s was refused: %s", report.queue_id, exc.message)
        raise


def _taken(board: Board, report: Report) -> dict[str, object]:
    with board.store() as database:
        feature, phase = board.steered_phase(database, str(report.queue_id))
        said = (report.feature_id, report.phase_number, report.adw_id)
        if said != (feature.id, phase.phase_number, phase.adw_id):
            raise StaleAttempt(
                f"phase {report.queue_id} is number {phase.phase_number} of feature {feature.id}, "
                f"as {phase.adw_id}: the report is of another one",
                hint=f"GET /api/v1/queue/{report.queue_id}",
            )
        kind = _KINDS[report.status]
        message = report.error_message or f"reported as {report.status}"
        changed = deliver_of_phase(database, board.state_dir, phase, kind, message)
        _, present = find_queued(database, str(phase.id))
        return {"changed": changed, "phase": queue_row(database, feature, present)}

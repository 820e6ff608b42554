"""The hosts that share the store: what each runs, and whether it starts anything more."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.documents import HostList
from adw_worktree.orchestration.store.hosts import set_drained
from adw_worktree.orchestration.store.shown_hosts import host_rows

router = APIRouter(tags=["hosts"])


@router.get("/hosts", response_model=HostList)
def list_hosts(board: Here) -> JSONResponse:
    """Return the hosts that share the store, none if it is in a file of this machine."""
    board.require_admin()
    with board.reading() as database:
        return JSONResponse({"hosts": host_rows(database) if database.is_shared else []})


@router.post("/hosts/{host}/drain", response_model=HostList)
def drain_host(board: Here, host: str) -> JSONResponse:
    """Start nothing more on a host; what runs there goes on."""
    return _drained(board, host, drained=True)


@router.post("/hosts/{host}/resume", response_model=HostList)
def resume_host(board: Here, host: str) -> JSONResponse:
    """Start phases on a host again that was drained."""
    return _drained(board, host, drained=False)


def _drained(board: Board, name: str, *, drained: bool) -> JSONResponse:
    board.require_admin()
    with board.store() as database:
        set_drained(database, name, drained=drained)
        return JSONResponse({"hosts": host_rows(database)})

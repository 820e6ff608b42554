"""This machine: the slots, what the page begins with, and whether the board works."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from adw_worktree._version import __version__
from adw_worktree.board.contents.board import Here
from adw_worktree.board.contents.documents import Health, Home, Slots
from adw_worktree.board.contents.people import me
from adw_worktree.board.contents.rows import adws_seen
from adw_worktree.errors import AdwError
from adw_worktree.orchestration.store.attempts import most_running
from adw_worktree.orchestration.store.opening import kept_store
from adw_worktree.pool.status import PoolState, machine_state, pool_state
from adw_worktree.project import machine_pool, project_around
from adw_worktree.system.ports import listeners

router = APIRouter(tags=["machine"])
health_router = APIRouter(tags=["machine"])


@router.get("/home", response_model=Home)
def show_home(board: Here) -> JSONResponse:
    """Return what the page begins with."""
    with board.reading() as database:
        most = most_running(database)
        known = board.repositories(database) if board.visitor.may_change else []
    document = {
        "version": __version__,
        "repositories": known,
        "read_only": board.read_only or not board.visitor.may_change,
        "user": None if board.accounts is None else me(board.visitor).model_dump(),
        "max_running": most,
    }
    return JSONResponse(document)


@router.get("/slots", response_model=Slots)
def show_slots(board: Here) -> JSONResponse:
    """Return who holds which slot on this machine, and which of the ports somebody listens on."""
    state = _pool(board.home)
    viewer = board.visitor.viewer
    if viewer.sees_all:
        return JSONResponse(slots_document(state))
    with board.reading() as database:
        return JSONResponse(slots_document(state, adws_seen(database, viewer)))


@health_router.get("/health", response_model=Health)
def show_health(board: Here) -> JSONResponse:
    """Return whether the store can be used. It needs no key, and tells nothing else."""
    try:
        kept_store(board.state_dir).execute("SELECT 1 FROM meta")
    except AdwError:
        return JSONResponse({"status": "failing", "checks": {"store": "failing"}}, 503)
    return JSONResponse({"status": "ok", "checks": {"store": "ok"}})


def slots_document(
    state: PoolState, seen: Collection[tuple[str, str]] | None = None
) -> dict[str, Any]:
    """Return the pool as the API has it.

    Of ADWs that are not `seen`, each named by its repository and its id, it has the slots alone;
    None sees all.
    """
    holdings = sorted([*state.own, *state.others], key=lambda one: one.lease.slot)
    ports = [port for one in holdings for port in one.lease.ports.values()]
    heard = listeners(ports) if ports else {}
    held, others = [], []
    for one in holdings:
        lease, standing = one.lease, one.standing
        if seen is not None and (one.repository, lease.adw_id) not in seen:
            others.append(lease.slot)
            continue
        held.append(
            {
                "slot": lease.slot,
                "adw_id": lease.adw_id,
                "repository": one.repository,
                "state": "unknown" if standing is None else standing.state,
                "path": lease.path,
                "branch": lease.branch,
                "ports": {**lease.ports},
                "listening": [port for port in lease.ports.values() if heard.get(port)],
            }
        )
    inside = {one.lease.slot for one in holdings if one.lease.slot < state.total}
    blocked = {one["slot"] for one in state.blocked}
    whose = {} if seen is None else {"pid": None, "command": ""}
    return {
        "total": state.total,
        "allocated": len(inside),
        "available": state.total - len(inside) - len(blocked),
        "held": held,
        "others": others,
        "blocked": [{**one, **whose} for one in state.blocked],
    }


def _pool(home: Path | None) -> PoolState:
    project = project_around(home) if home is not None else None
    return machine_state(machine_pool()) if project is None else pool_state(project.pool)

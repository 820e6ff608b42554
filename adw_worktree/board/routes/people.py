"""Users, as admins see them, invitations, and with whom features are shared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import JSONResponse

from adw_worktree.board.access.accounts import MadeInvitation, invitation
from adw_worktree.board.access.denied import Denied
from adw_worktree.board.access.places import invitation_link
from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.people import (
    Invite,
    Invited,
    NewRole,
    NewShare,
    Person,
    ShareRow,
    person,
)
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import Feature
from adw_worktree.orchestration.store.sharing import share, shares, unshare
from adw_worktree.orchestration.store.users import (
    change_user,
    find_users,
    user_by_address,
    user_by_id,
)

router = APIRouter(tags=["users"])
UserId = Annotated[int, Path(ge=1, le=10**15)]


@router.get("/users", response_model=list[Person])
def list_users(board: Here) -> JSONResponse:
    """Return all users."""
    board.require_admin()
    with board.store() as database:
        return JSONResponse([person(one) for one in find_users(database)])


@router.patch("/users/{user_id}", response_model=Person)
def set_role(board: Here, user_id: UserId, wanted: NewRole) -> JSONResponse:
    """Give a user another role, which ends their sessions."""
    board.require_admin()
    with board.store() as database:
        user = user_by_id(database, user_id)
        if user is None:
            raise _unknown(str(user_id))
        if user.id == board.visitor.user_id:
            raise Denied(409, "own-role", "an admin does not take the role from themselves",
                         "ask another admin, or use the machine's token")  # fmt: skip
        return JSONResponse(person(change_user(database, user, role=wanted.role)))


@router.post("/users/{user_id}/reset", response_model=Invited, status_code=201)
def reset(board: Here, user_id: UserId) -> JSONResponse:
    """Return a link with which a user who has forgotten the password sets another, within a day."""
    board.require_admin()
    with board.store() as database:
        user = user_by_id(database, user_id)
        if user is None or user.role == "closed":
            raise _unknown(str(user_id))
        made = invitation(database, user.role, user, board.visitor.user)
    return _invited(board, made)


@router.post("/invitations", response_model=Invited, status_code=201)
def invite(board: Here, wanted: Invite | None = None) -> JSONResponse:
    """Return a link with which one person can register, within a week."""
    board.require_admin()
    with board.store() as database:
        made = invitation(database, (wanted or Invite()).role, inviter=board.visitor.user)
    return _invited(board, made)


@router.get("/planned-features/{feature_id}/shares", response_model=list[ShareRow])
def list_shares(board: Here, feature_id: str) -> JSONResponse:
    """Return with whom a feature is shared."""
    with board.store() as database:
        feature = board.feature(database, feature_id)
        return _shares(database, feature)


@router.put("/planned-features/{feature_id}/shares", response_model=list[ShareRow])
def share_feature(board: Here, feature_id: str, wanted: NewShare) -> JSONResponse:
    """Let another user see a feature, or steer it, too."""
    with board.store() as database:
        feature = _own_feature(board, database, feature_id)
        user = user_by_address(database, wanted.address)
        if user is None or user.role == "closed":
            raise _unknown(wanted.address)
        share(database, feature, user.id, wanted.may)
        return _shares(database, feature)


@router.delete("/planned-features/{feature_id}/shares/{user_id}", response_model=list[ShareRow])
def unshare_feature(board: Here, feature_id: str, user_id: UserId) -> JSONResponse:
    """Share a feature with a user no more."""
    with board.store() as database:
        feature = _own_feature(board, database, feature_id)
        unshare(database, feature, user_id)
        return _shares(database, feature)


def _invited(board: Board, made: MadeInvitation) -> JSONResponse:
    link = invitation_link(board.place.address, made.text)
    return JSONResponse({"link": link, "expires_at": made.expires_at}, 201)


def _own_feature(board: Board, database: Database, name: str) -> Feature:
    """Return a feature that is the visitor's own, or anybody's for an admin. Raises Denied."""
    feature = board.feature(database, name)
    if not board.visitor.is_admin and feature.user_id != board.visitor.user_id:
        raise Denied(403, "not-allowed", f"feature {feature.slug} is not yours",
                     "ask whose it is to share it")  # fmt: skip
    return feature


def _shares(database: Database, feature: Feature) -> JSONResponse:
    return JSONResponse([one._asdict() for one in shares(database, feature)])


def _unknown(who: str) -> Denied:
    return Denied(404, "unknown-user", f"there is no user {who}", "GET /api/v1/users (for admins)")

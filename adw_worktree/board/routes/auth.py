"""Registering, logging in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from adw_worktree.board.access import limits
from adw_worktree.board.access.accounts import (
    SESSION_SECONDS,
    Accounts,
    digest_of,
    hashed,
    is_password,
    logged_in,
)
from adw_worktree.board.access.cookies import drop_cookie, set_cookie
from adw_worktree.board.access.denied import Denied, TooMany
from adw_worktree.board.access.visitor import Visitor
from adw_worktree.board.contents.board import Board, Here
from adw_worktree.board.contents.people import (
    Credentials,
    LoggedIn,
    Me,
    NewPassword,
    Registration,
    me,
)
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.users import User, change_user, is_invitation, register

router = APIRouter(prefix="/auth", tags=["users"])


def _accounts(board: Here) -> Accounts:
    """Return the accounts: these routes are there only on a board that has some."""
    assert board.accounts is not None
    return board.accounts


WithAccounts = Annotated[Accounts, Depends(_accounts)]


@router.post("/register", response_model=LoggedIn, status_code=201)
def register_user(
    board: Here, accounts: WithAccounts, request: Request, wanted: Registration
) -> JSONResponse:
    """Make an account with an invitation, and log in."""
    if wanted.invitation is None and not accounts.is_open:
        raise Denied(403, "not-allowed", "an account is made with an invitation",
                     "ask an admin of this board for one")  # fmt: skip
    with board.store() as database:
        tries = _count_tries(database, wanted.address, request)
        digest = digest_of(wanted.invitation) if wanted.invitation is not None else None
        # To compute a hash takes time and memory, which a made-up invitation does not get.
        user = None
        if digest is None or is_invitation(database, digest):
            user = register(database, wanted.address, hashed(wanted.password), digest)
        if user is not None:
            limits.forget_tries(database, tries)
    if user is None:
        raise Denied(
            409,
            "not-registered",
            "no account was made: the invitation was used or is over, or the address has one",
            "log in, or ask an admin of this board for an invitation",
        )
    return _with_session(board, accounts, user, 201)


@router.post("/login", response_model=LoggedIn)
def log_in(
    board: Here, accounts: WithAccounts, request: Request, given: Credentials
) -> JSONResponse:
    """Log in. A browser gets a cookie; a program sends the `token` as `Authorization: Bearer`."""
    with board.store() as database:
        tries = _count_tries(database, given.address, request)
        user = logged_in(database, given.address, given.password)
        if user is None:
            raise Denied(401, "not-logged-in", "the address or the password is wrong",
                         "try again, or ask an admin of this board")  # fmt: skip
        limits.forget_tries(database, tries)
    return _with_session(board, accounts, user, 200)


@router.get("/me", response_model=Me)
def show_me(board: Here) -> JSONResponse:
    """Return who asks."""
    return JSONResponse(me(board.visitor).model_dump())


@router.post("/renew", response_model=LoggedIn)
def renew(board: Here, accounts: WithAccounts) -> JSONResponse:
    """Return a new session. Browsers get one by themselves."""
    return _with_session(board, accounts, _user(board), 200)


@router.post("/password", response_model=LoggedIn)
def change_password(board: Here, accounts: WithAccounts, wanted: NewPassword) -> JSONResponse:
    """Change the password, which ends all sessions but the new one."""
    user = _user(board)
    with board.store() as database:
        tries = limits.Counted(limits.TRIES, ("password", str(user.id)))
        _require_few(database, tries)
        if not is_password(user.password, wanted.old):
            raise Denied(403, "wrong-password", "the old password is wrong", "try again")
        limits.forget_tries(database, tries)
        changed = change_user(database, user, password=hashed(wanted.new))
    return _with_session(board, accounts, changed, 200)


@router.post("/logout", response_model=Me)
def log_out(board: Here, accounts: WithAccounts) -> JSONResponse:
    """Log out, everywhere: all sessions end, also those of programs."""
    user = _user(board)
    with board.store() as database:
        change_user(database, user)
    answer = JSONResponse(me(board.visitor).model_dump())
    drop_cookie(answer, board.place)
    return answer


def _user(board: Board) -> User:
    if board.visitor.user is None:
        raise Denied(409, "no-user", "the token of the machine is nobody's account",
                     "log in as a user")  # fmt: skip
    return board.visitor.user


def _with_session(board: Board, accounts: Accounts, user: User, status: int) -> JSONResponse:
    session = accounts.session(user)
    shown = me(Visitor(user, session.expires)).model_dump()
    answer = JSONResponse({**shown, "token": session.token}, status)
    set_cookie(answer, board.place, session.token, SESSION_SECONDS)
    return answer


def _count_tries(database: Database, address: str, request: Request) -> limits.Counted:
    """Count a try. Raises TooMany if there were too many for the address, or from one place."""
    place = request.client.host if request.client is not None else "unknown"
    mine = limits.Counted(limits.TRIES, (address, place))
    # Those that the first one refuses do not count for the address: nobody locks out its owner.
    _require_few(
        database,
        mine,
        limits.Counted(limits.TRIES_FROM_PLACE, ("from", place)),
        limits.Counted(limits.TRIES_OF_ADDRESS, ("of", address)),
    )
    return mine


def _require_few(database: Database, *counted: limits.Counted) -> None:
    """Raise TooMany if there were too many tries."""
    seconds = limits.seconds_to_wait(database, *counted)
    if seconds is not None:
        raise TooMany("tries to log in", seconds)

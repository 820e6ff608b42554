"""The cookie that keeps a browser in."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from adw_worktree.board.access.places import Place


def read_cookie(headers: Headers, place: Place) -> str:
    """Return what a browser shows; an empty text if it shows nothing."""
    # Whatever others have set for this name stands beside it, and need not be well-formed.
    return cookie_parser(headers.get("cookie", "")).get(place.cookie, "")


def set_cookie(answer: Response, place: Place, key: str, seconds: int) -> None:
    """Have a browser show `key` for so long: to nobody else, and for no other page."""
    answer.set_cookie(
        place.cookie,
        key,
        max_age=seconds,
        httponly=True,
        samesite="strict",
        secure=place.is_secure,
    )


def drop_cookie(answer: Response, place: Place) -> None:
    """Have a browser show nothing any more."""
    set_cookie(answer, place, "", 0)

"""People who use a board together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import store

PASSWORD = "correct horse battery staple"


class Someone(NamedTuple):
    """A user who is logged in."""

    address: str
    token: str
    cookie: str

    @property
    def program(self) -> dict[str, str]:
        """What a program of theirs sends."""
        return {"Authorization": f"Bearer {self.token}"}

    def browser(self, board: BoardProcess) -> dict[str, str]:
        """What a browser of theirs sends."""
        return {"Cookie": self.cookie, "Origin": board.address}


def invitation(link: str) -> str:
    """Return the invitation that a link has in it."""
    [found] = parse_qs(urlsplit(link).query)["invitation"]
    return found


def register(
    board: BoardProcess, adw: Adw, name: str, role: str = "member", link: str | None = None
) -> Someone:
    """Have somebody register with an invitation; by default one that is made for them."""
    link = link or adw.json("board", "invite", "--role", role)["link"]
    body = {"address": f"{name}@example.com", "password": PASSWORD, "invitation": invitation(link)}
    return someone(ask(board, "/auth/register", body, 201))


def someone(answer: Any) -> Someone:
    """Return who was let in with that answer."""
    cookie = answer.headers["set-cookie"].partition(";")[0]
    document = answer.json()
    return Someone(document["address"], document["token"], cookie)


def ask(
    board: BoardProcess,
    path: str,
    body: object = None,
    code: int = 200,
    *,
    who: Mapping[str, str] | None = None,
    method: str = "POST",
) -> Any:
    """Ask the API for something, as somebody or nobody; return the answer."""
    answer = board.request(method, f"/api/v1{path}", body, headers=who or {"A": "b"})
    assert answer.status_code == code, (path, answer.status_code, answer.text)
    return answer


def own(someone: Someone, slug: str, number: int | None = None) -> None:
    """Make a feature somebody's that was added at the command line; of several, that `number`."""
    database = store()
    with database.transaction():
        database.execute(
            "UPDATE features SET user_id = (SELECT id FROM users WHERE address = ?)"
            " WHERE slug = ? AND id = COALESCE(?, id)",
            [someone.address, slug, number],
        )
    database.close()

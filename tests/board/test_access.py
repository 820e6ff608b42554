"""Nobody uses the board without a key: no person, no program, no page of another host."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from adw_worktree.board.access.keys import SESSION_SECONDS, Keys, load_keys
from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import phase, start, state_dir

_METHODS = ("get", "post", "put", "patch", "delete")
_OPEN = {("GET", "/health")}


def routes(board: BoardProcess) -> Iterator[tuple[str, str]]:
    """Yield every route of the API, with its parameters filled in."""
    document = board.request("GET", "/openapi.json").json()
    for path, methods in document["paths"].items():
        filled = path.replace("{feature_id}", "x").replace("{queue_id}", "x.1")
        filled = filled.replace("{action}", "pause")
        yield from ((method.upper(), filled) for method in methods if method in _METHODS)
    yield from (("GET", path) for path in ("/", "/slots", "/features/x", "/static/main.js"))


def session(board: BoardProcess) -> dict[str, str]:
    """Return the headers of a browser that has followed a link."""
    answer = board.request("GET", board.new_link().removeprefix(board.address), headers={"A": "b"})
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return {"Cookie": cookie, "Origin": board.address}


def forged(board: BoardProcess, **claims: Any) -> dict[str, str]:
    """Return the headers of a browser with a cookie that says what is wanted."""
    keys = load_keys(state_dir())
    secret = claims.pop("secret", keys.secret)
    said = {"aud": "session", "jti": "x", "exp": 2**33, **claims}
    cookie = f"adw-board-{board.address.rpartition(':')[2]}={jwt.encode(said, secret)}"
    return {"Cookie": cookie, "Origin": board.address}


STRANGERS: dict[str, dict[str, Any]] = {
    "nobody": {},
    "another token": {"Authorization": "Bearer " + "0" * 64},
    "no token": {"Authorization": "Bearer"},
    "forged": {"secret": "another secret, which is long enough for the algorithm"},
    "expired": {"exp": 1_000_000_000},
    "a link as cookie": {"aud": "link"},
    "never expires": {"exp": "never"},
}


def test_no_route_answers_to_anybody_without_a_key(board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    tried = 0
    for who, claims in STRANGERS.items():
        is_header = not claims or "Authorization" in claims
        headers = {"A": "b", **claims} if is_header else forged(board, **claims)
        for method, path in routes(board):
            answer = board.request(method, path, {}, headers=headers)
            expected = 200 if (method, path) in _OPEN else 401
            assert answer.status_code == expected, (who, method, path, answer.text)
            tried += 1
    assert tried > 100
    assert adw.json("feature", "show", "x")["feature"]["status"] == "running"


@pytest.mark.thorough
def test_every_route_answers_to_who_has_a_key(board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    for headers in (session(board), {"Authorization": f"Bearer {board.token}"}):
        for method, path in routes(board):
            answer = board.request(method, path, {}, headers=headers)
            assert answer.status_code not in (401, 403, 421), (method, path, answer.text)


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1", "localhost:1", ""])
def test_it_answers_to_no_other_name(board: BoardProcess, name: str) -> None:
    """A name that is pointed at this machine by whoever owns it reaches nothing."""
    key = session(board)
    for method, path in routes(board):
        answer = board.request(method, path, {}, headers={**key, "Host": name})
        assert answer.status_code in (421, 400), (method, path)


@pytest.mark.thorough
def test_no_other_page_changes_anything(board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    key = session(board)
    for origin in ("http://evil.example", "null", f"{board.address}.evil.example", ""):
        headers = {**key, "Origin": origin} if origin else {"Cookie": key["Cookie"]}
        for method, path in routes(board):
            answer = board.request(method, path, {}, headers=headers)
            assert (answer.status_code == 403) == (method != "GET"), (method, path, origin)
        with pytest.raises(InvalidStatus):
            socket(board, headers)
    assert adw.json("feature", "show", "x")["feature"]["status"] == "running"


def socket(board: BoardProcess, headers: dict[str, str]) -> Any:
    address = f"{board.address.replace('http', 'ws')}/ws/queue"
    origin = headers.get("Origin")
    others = {name: value for name, value in headers.items() if name != "Origin"}
    return connect(address, origin=origin, additional_headers=others)  # type: ignore[arg-type]


def test_no_websocket_without_a_key(board: BoardProcess) -> None:
    for claims in STRANGERS.values():
        is_header = not claims or "Authorization" in claims
        headers = {"A": "b", **claims} if is_header else forged(board, **claims)
        with pytest.raises(InvalidStatus):
            socket(board, headers)
    with socket(board, session(board)) as opened:
        assert json.loads(opened.recv(10))["type"] == "snapshot"


def test_a_link_is_good_for_one_browser(board: BoardProcess) -> None:
    path = board.link.removeprefix(board.address)
    first = board.request("GET", path, headers={"A": "b"})
    assert first.status_code == 303
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert board.request("GET", path, headers={"A": "b"}).status_code == 401
    board.kill()
    board.start()
    assert board.request("GET", path, headers={"A": "b"}).status_code == 401, "after a crash"
    headers = {"Cookie": cookie.partition(";")[0]}
    assert board.request("GET", "/api/v1/home", headers=headers).status_code == 200


def test_what_others_have_set_beside_the_cookie_does_no_harm(board: BoardProcess) -> None:
    """Browsers send the cookies of every port of a name: those of a dev server, too."""
    key = session(board)
    cookie = f'prefs={{"theme": "dark"}}; bare; {key["Cookie"]}; x=\u00e9'
    headers = {"Cookie": cookie.encode(), "Origin": board.address}
    answer = board.request("GET", "/api/v1/home", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text


def test_keys_expire(tmp_path: Any) -> None:
    now = [1000.0]
    (tmp_path / "links").mkdir()
    keys = Keys("a secret that is long enough for it", tmp_path / "links", lambda: now[0])
    link, cookie = keys.link(), keys.session()
    now[0] += 601
    assert not keys.follow(link)
    assert keys.is_session(cookie)
    now[0] += SESSION_SECONDS
    assert not keys.is_session(cookie)
    assert not keys.is_session("")
    assert not keys.is_session("ä")
    assert not keys.is_program("ä")


def test_the_secret_is_for_its_owner_alone(board: BoardProcess) -> None:
    secret = state_dir() / "board" / "secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert (state_dir() / "board").stat().st_mode & 0o077 == 0
    assert os.listdir(state_dir() / "board")


def test_another_one_gives_a_link_to_the_first(board: BoardProcess) -> None:
    link = board.new_link()
    assert link.startswith(board.address)
    assert link != board.link


@pytest.mark.thorough
def test_a_board_that_only_shows_changes_nothing(adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    board = BoardProcess(adw, "--read-only")
    try:
        for headers in (session(board), {"Authorization": f"Bearer {board.token}"}):
            for method, path in routes(board):
                answer = board.request(method, path, {}, headers=headers)
                assert (answer.status_code == 403) == (method != "GET"), (method, path)
        assert adw.json("feature", "show", "x")["feature"]["status"] == "running"
    finally:
        board.end()

"""Several people at one board: each sees and touches what is theirs, or shared with them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import jwt
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from adw_worktree.board.access.accounts import SESSION_SECONDS, Accounts
from adw_worktree.board.access.keys import load_keys
from adw_worktree.orchestration.runs.drafts import is_drafting
from adw_worktree.orchestration.store.features import find_feature
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.orchestration.store.users import User, find_users
from tests.board.test_access import socket
from tests.support.board import BoardProcess, serving
from tests.support.command_line import Adw
from tests.support.features import kill_all, phase, start, state_dir, store, until
from tests.support.machine import settle
from tests.support.people import PASSWORD, Someone, ask, invitation, own, register, someone
from tests.support.scripted_agent import scripted

OPEN, ALL, ADMIN = "open", "all", "admin"
THEIRS, STEERED, OWN = "theirs", "steered", "own"
"""Who may ask: everybody; every user; admins; who may see, or steer, the feature; whose it is."""

RULES = {
    "GET /health": OPEN,
    "GET /login": OPEN,
    "GET /register": OPEN,
    "GET /static/main.js": OPEN,
    "POST /api/v1/auth/login": OPEN,
    "POST /api/v1/auth/register": OPEN,
    "GET /": ALL,
    "GET /docs": ALL,
    "GET /insight": ALL,
    "GET /people": ALL,
    "GET /slots": ALL,
    "GET /openapi.json": ALL,
    "GET /features/{name}": ALL,
    "GET /phases/{name}": ALL,
    "GET /api/v1/auth/me": ALL,
    "POST /api/v1/auth/renew": ALL,
    "POST /api/v1/auth/password": ALL,
    "POST /api/v1/auth/logout": ALL,
    "GET /api/v1/home": ALL,
    "GET /api/v1/slots": ALL,
    "GET /api/v1/events": ALL,
    "GET /api/v1/queue": ALL,
    "GET /api/v1/planned-features": ALL,
    "POST /api/v1/planned-features": ALL,
    "POST /api/v1/plans/check": ALL,
    "GET /metrics": ADMIN,
    "GET /api/v1/hosts": ADMIN,
    "POST /api/v1/hosts/{host}/drain": ADMIN,
    "POST /api/v1/hosts/{host}/resume": ADMIN,
    "GET /api/v1/users": ADMIN,
    "PATCH /api/v1/users/{user_id}": ADMIN,
    "POST /api/v1/users/{user_id}/reset": ADMIN,
    "POST /api/v1/invitations": ADMIN,
    "GET /api/v1/planned-features/{feature_id}": THEIRS,
    "GET /api/v1/planned-features/{feature_id}/shares": THEIRS,
    "GET /api/v1/queue/{queue_id}": THEIRS,
    "GET /api/v1/queue/{queue_id}/log": THEIRS,
    "GET /api/v1/queue/{queue_id}/issue": THEIRS,
    "GET /api/v1/queue/{queue_id}/diff": THEIRS,
    "GET /api/v1/queue/{queue_id}/checklist": THEIRS,
    "GET /api/v1/queue/{queue_id}/calls": THEIRS,
    "PUT /api/v1/planned-features/{feature_id}/shares": OWN,
    "DELETE /api/v1/planned-features/{feature_id}/shares/{user_id}": OWN,
    "POST /workflow-complete": STEERED,
    "POST /api/v1/queue/{queue_id}/pause": STEERED,
    "POST /api/v1/queue/{queue_id}/resume": STEERED,
    "POST /api/v1/queue/{queue_id}/approve": STEERED,
    "POST /api/v1/queue/{queue_id}/reject": STEERED,
    "POST /api/v1/queue/{queue_id}/retry": STEERED,
    "POST /api/v1/planned-features/{feature_id}/execute": STEERED,
    "POST /api/v1/planned-features/{feature_id}/generate-implementation": STEERED,
    "POST /api/v1/planned-features/{feature_id}/pause": STEERED,
    "POST /api/v1/planned-features/{feature_id}/resume": STEERED,
    "POST /api/v1/planned-features/{feature_id}/retry": STEERED,
    "PATCH /api/v1/planned-features/{feature_id}": STEERED,
    "POST /api/v1/queue/{queue_id}/cancel": STEERED,
    "POST /api/v1/planned-features/{feature_id}/cancel": STEERED,
    "DELETE /api/v1/planned-features/{feature_id}": STEERED,
}
"""Of each route, who may ask it. A route without a rule fails the test below."""

SEE = {OPEN, ALL, THEIRS}
VIEWER = "a viewer with whom it is shared"
MAY = {
    "the owner": {OPEN, ALL, THEIRS, STEERED, OWN},
    "an admin": {OPEN, ALL, ADMIN, THEIRS, STEERED, OWN},
    "one who steers": {*SEE, STEERED},
    "one who sees": SEE,
    VIEWER: SEE,
    "another": {OPEN, ALL},
    "nobody": {OPEN},
    "expired": {OPEN},
    "forged": {OPEN},
    "revoked": {OPEN},
    "closed": {OPEN},
    "of another use": {OPEN},
}
"""What each may ask."""
Way = Callable[[str], dict[str, str]]
"""How somebody asks: what is sent."""

STEERING = ("the owner", "an admin", "one who steers")
STRANGERS = ("nobody", "expired", "forged", "revoked", "closed", "of another use")


def user(address: str) -> User:
    """Return what the store has of somebody."""
    database = store()
    [found] = find_users(database, "address = ?", (address,))
    database.close()
    return found


def forged(someone: Someone, **claims: Any) -> str:
    """Return a session that says of somebody what is wanted."""
    accounts = Accounts(load_keys(state_dir()).user_key)
    key = claims.pop("key", accounts.key)
    said = jwt.decode(
        accounts.session(user(someone.address)).token, options={"verify_signature": False}
    )
    return jwt.encode({**said, **claims}, key, algorithm="HS256")


class Cast:
    """All who try."""

    def __init__(self, board: BoardProcess, adw: Adw) -> None:
        self.admin = register(board, adw, "admin", link=board.link)
        self.owner = register(board, adw, "owner")
        others = {
            "one who sees": register(board, adw, "sees"),
            "one who steers": register(board, adw, "steers"),
            VIEWER: register(board, adw, "viewer", "viewer"),
            "another": register(board, adw, "another"),
        }
        revoked, closed = register(board, adw, "revoked"), register(board, adw, "closed")
        own(self.owner, "x")
        own(revoked, "y")
        for who, may in (
            ("sees", "see"),
            ("steers", "steer"),
            ("viewer", "steer"),
            ("closed", "steer"),
        ):
            body = {"address": f"{who}@example.com", "may": may}
            ask(board, "/planned-features/x/shares", body, who=self.owner.program, method="PUT")
        ask(board, "/auth/logout", who=revoked.program)
        path = f"/users/{user(closed.address).id}"
        ask(board, path, {"role": "closed"}, who=self.admin.program, method="PATCH")
        named = {"the owner": self.owner, "an admin": self.admin, **others}
        self.tokens = {
            **{who: one.token for who, one in named.items()},
            "expired": forged(self.owner, exp=1_000_000_000),
            "forged": forged(self.owner, key="another secret, which is long enough for it"),
            "revoked": revoked.token,
            "closed": closed.token,
            "of another use": forged(self.owner, aud="session"),
        }

    def program(self, who: str) -> dict[str, str]:
        """Return what a program sends."""
        return {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {"A": "b"}

    def browser(self, board: BoardProcess, who: str) -> dict[str, str]:
        """Return what a browser sends."""
        name = f"adw-board-{board.address.rpartition(':')[2]}"
        key = {"Cookie": f"{name}={self.tokens[who]}"} if who in self.tokens else {}
        return {**key, "Origin": board.address}


def routes(board: BoardProcess) -> set[str]:
    """Return every route that the board has."""
    from adw_worktree.board.page import VIEWS

    headers = {"Authorization": f"Bearer {board.token}"}
    document = board.request("GET", "/openapi.json", headers=headers).json()
    methods = ("get", "post", "put", "patch", "delete")
    there = {f"{method.upper()} {path}" for path, has in document["paths"].items()
             for method in has if method in methods}  # fmt: skip
    return there | {f"GET {view}" for view in VIEWS} | {"GET /openapi.json", "GET /static/main.js"}


def body_of(route: str, row: Mapping[str, Any]) -> Any:
    """Return what a route is to be sent, so that it looks at who asks."""
    if route.startswith("PATCH /api/v1/users"):
        return {"role": "member"}
    return {
        "POST /workflow-complete": {
            **{name: row[name] for name in ("queue_id", "feature_id", "phase_number", "adw_id")},
            "status": "failed",
        },
        "PATCH /api/v1/planned-features/{feature_id}": {"priority": 60},
        "POST /api/v1/queue/{queue_id}/reject": {"message": "no"},
        "PUT /api/v1/planned-features/{feature_id}/shares": {"address": "sees@example.com"},
    }.get(route, {})


def test_every_route_has_a_rule(users_board: BoardProcess) -> None:
    assert routes(users_board) == RULES.keys()


def refusal(who: str, method: str, path: str, rule: str) -> int | None:
    """Return the status that somebody is refused with; None if they are answered."""
    if rule == OPEN:
        return None
    if who in STRANGERS:
        return 401
    if who == VIEWER and method != "GET" and "/auth/" not in path:
        return 403
    if rule in MAY[who]:
        return None
    # Who may not see a feature is told that there is none.
    return 404 if who == "another" and rule != ADMIN else 403


def test_the_matrix(users_board: BoardProcess, adw: Adw) -> None:
    """Every route × everybody: who may not ask gets nothing, and changes nothing."""
    start(adw, "x", phase(1, "sleep 60"))
    start(adw, "y", phase(1, "sleep 60"))
    until(adw, "x.1", "running")
    cast = Cast(users_board, adw)
    [row] = users_board.get("/queue?feature=x")["items"]
    names = {"{feature_id}": "x", "{queue_id}": str(row["queue_id"]), "{name}": "x",
             "{host}": this_host(state_dir()).name,
             "{user_id}": str(user("another@example.com").id)}  # fmt: skip
    counted = {"answered": 0, "refused": 0}
    # Those who may do the most come last: what they do ends the feature.
    ways: list[Way] = [cast.program, partial(cast.browser, users_board)]
    for who, (route, rule), way in product(reversed(MAY), RULES.items(), ways):
        method, path = route.split()
        for name, value in names.items():
            path = path.replace(name, value)
        if path.endswith("/logout") and who not in STRANGERS:
            continue  # it works, and would end the rest
        sent = users_board.request(method, path, body_of(route, row), headers=way(who))
        expected = refusal(who, method, path, rule)
        if expected is None:
            assert sent.status_code not in (401, 403, 404, 421, 429), (who, route, sent.text)
            counted["answered"] += 1
        else:
            assert sent.status_code == expected, (who, route, sent.text)
            counted["refused"] += 1
        if who not in STEERING and method != "GET":
            [present] = users_board.get("/queue?feature=x")["items"]
            assert (present["status"], present["priority"]) == ("running", 50), (who, route)
    print(f"matrix: {counted}")
    logouts = len(MAY) - len(STRANGERS)
    assert sum(counted.values()) == 2 * (len(MAY) * len(RULES) - logouts)
    assert counted["refused"] > counted["answered"]


def test_no_list_shows_what_is_another_s(users_board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    until(adw, "x.1", "running")
    cast = Cast(users_board, adw)
    for path in ("/planned-features", "/queue", "/events", "/slots"):
        shown = {
            who: ask(users_board, path, who=cast.program(who), method="GET").json()
            for who in ("the owner", "one who sees", "another", "an admin")
        }
        of = {who: json.dumps(one.get("items", one.get("held"))) for who, one in shown.items()}
        assert of["another"] == "[]", path
        assert of["the owner"] == of["one who sees"] != "[]", path
    assert len(shown["another"]["others"]) == len(shown["an admin"]["held"]) == 1
    assert ask(
        users_board, "/queue?feature=x", None, 404, who=cast.program("another"), method="GET"
    )


# ---- what is told on the WebSocket -------------------------------------------------------------


@pytest.mark.thorough
def test_no_message_tells_what_is_another_s(users_board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1), phase(2, "sleep 60", needs=[1]))
    cast = Cast(users_board, adw)
    for who in STRANGERS:
        with pytest.raises(InvalidStatus):
            socket(users_board, cast.browser(users_board, who))
        with pytest.raises(InvalidStatus):
            socket(users_board, cast.program(who))
    followed = {
        who: users_board.following(token=cast.tokens[who])
        for who in ("the owner", "one who sees", "another", "an admin")
    }
    with ExitStack() as stack:
        open_now = {who: stack.enter_context(one) for who, one in followed.items()}
        for who, one in open_now.items():
            slugs = {row["slug"] for row in one.next()["data"]["features"]}
            assert slugs == ({"x"} if who != "another" else set()), who
        until(adw, "x.2", "running")
        open_now["another"].ask(type="subscribe", log="x.2")
        assert open_now["another"].next()["data"]["code"] == "unknown-phase"
        ask(users_board, "/planned-features/x/cancel", who=cast.program("the owner"))
        for who in ("the owner", "one who sees", "an admin"):
            wanted = {"phase_changed", "workflow_completed", "feature_changed"}
            while wanted:
                wanted.discard(open_now[who].next()["type"])
        # A feature of their own is the next thing that they are told.
        wish = {"title": "Another thing"}
        ask(users_board, "/planned-features", wish, 201, who=cast.program("another"))
        message = open_now["another"].next()
        assert message["data"]["feature"]["slug"] == "another-thing"


@pytest.mark.thorough
def test_who_gets_to_see_a_feature_sees_it_at_once(users_board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "while :; do echo working; sleep 0.2; done"))
    until(adw, "x.1", "running")
    cast = Cast(users_board, adw)
    path, owner = "/planned-features/x/shares", cast.program("the owner")
    with users_board.following(token=cast.tokens["another"]) as told:
        told.next()
        ask(users_board, path, {"address": "another@example.com"}, who=owner, method="PUT")
        assert [one["slug"] for one in told.next()["data"]["features"]] == ["x"]
        told.ask(type="subscribe", log="x.1")
        told.until(lambda one: one["type"] == "log")
        number = user("another@example.com").id
        ask(users_board, f"{path}/{number}", who=owner, method="DELETE")
        told.until(lambda one: one["type"] == "snapshot")
        assert told.messages[-1]["data"] == {"features": [], "phases": []}
        with pytest.raises(TimeoutError):
            told.next(timeout=1.0)
        seen = told.messages[-1]["id"]
    with users_board.following(f"?seen={seen - 1}", cast.tokens["another"]) as told:
        assert told.next()["type"] == "snapshot", "what was seen before is not seen any more"


@pytest.mark.parametrize("way", ["logout", "password", "role", "expired"])
def test_a_session_that_is_over_is_cut(users_board: BoardProcess, adw: Adw, way: str) -> None:
    admin = register(users_board, adw, "admin", link=users_board.link)
    me = register(users_board, adw, "me")
    token = me.token if way != "expired" else forged(me, exp=int(time.time()) + 2)
    with users_board.following(token=token) as told:
        told.next()
        if way == "logout":
            ask(users_board, "/auth/logout", who=me.program)
        elif way == "password":
            new = {"old": PASSWORD, "new": f"{PASSWORD}!"}
            changed = someone(ask(users_board, "/auth/password", new, who=me.program))
        elif way == "role":
            path = f"/users/{user(me.address).id}"
            ask(users_board, path, {"role": "viewer"}, who=admin.program, method="PATCH")
        with pytest.raises(ConnectionClosed) as cut:
            told.next(timeout=10.0)
    assert cut.value.rcvd is not None
    assert cut.value.rcvd.code == 4401
    ask(users_board, "/auth/me", None, 401, who={"Authorization": f"Bearer {token}"}, method="GET")
    if way == "password":
        ask(users_board, "/auth/me", who=changed.program, method="GET")
        log_in = {"address": me.address, "password": PASSWORD}
        ask(users_board, "/auth/login", log_in, 401)
        ask(users_board, "/auth/login", {**log_in, "password": f"{PASSWORD}!"})


@pytest.mark.thorough
def test_a_user_has_so_many_connections_and_no_more(users_board: BoardProcess, adw: Adw) -> None:
    me = register(users_board, adw, "me", link=users_board.link)
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(users_board.following(token=me.token)).next()
        with users_board.following(token=me.token) as told, pytest.raises(ConnectionClosed) as cut:
            told.next()
        assert cut.value.rcvd is not None
        assert cut.value.rcvd.code == 1013
        other = register(users_board, adw, "other")
        with users_board.following(token=other.token) as told:
            told.next()


# ---- coming in ---------------------------------------------------------------------------------


def test_people_register_log_in_and_out(users_board: BoardProcess, adw: Adw) -> None:
    first = register(users_board, adw, "first", link=users_board.link)
    me = ask(users_board, "/auth/me", who=first.program, method="GET").json()
    assert (me["address"], me["role"]) == ("first@example.com", "admin")
    again = {"address": "second@example.com", "password": PASSWORD,
             "invitation": invitation(users_board.link)}  # fmt: skip
    ask(users_board, "/auth/register", again, 409)
    del again["invitation"]
    ask(users_board, "/auth/register", again, 403)
    made = ask(users_board, "/invitations", {"role": "member"}, 201, who=first.program).json()
    taken = {**again, "address": "FIRST@example.com", "invitation": invitation(made["link"])}
    ask(users_board, "/auth/register", taken, 409)
    second = register(users_board, adw, "second", link=made["link"])
    ask(users_board, "/auth/login", {"address": "Second@Example.com", "password": PASSWORD})
    ask(users_board, "/auth/logout", who=second.browser(users_board))
    ask(users_board, "/auth/me", None, 401, who=second.program, method="GET")
    back = someone(ask(users_board, "/auth/login",
                       {"address": "second@example.com", "password": PASSWORD}))  # fmt: skip
    ask(users_board, "/home", who=back.browser(users_board), method="GET")
    kept = user(second.address).password
    assert kept.startswith("$argon2id$")
    assert adw.json("board")["link"] == users_board.address
    renewed = someone(ask(users_board, "/auth/renew", who=back.program))
    ask(users_board, "/auth/me", who=renewed.program, method="GET")


def test_who_has_forgotten_the_password_gets_another(users_board: BoardProcess, adw: Adw) -> None:
    admin = register(users_board, adw, "admin", link=users_board.link)
    me, other = register(users_board, adw, "me"), register(users_board, adw, "other")
    path = f"/users/{user(me.address).id}/reset"
    link = ask(users_board, path, None, 201, who=admin.program).json()["link"]
    new = f"{PASSWORD} anew"
    body = {"address": me.address, "password": new, "invitation": invitation(link)}
    for wrong in (other.address, "new@example.com"):
        ask(users_board, "/auth/register", {**body, "address": wrong}, 409)
    again = someone(ask(users_board, "/auth/register", body, 201))
    assert again.address == me.address
    ask(users_board, "/auth/me", None, 401, who=me.program, method="GET")
    ask(users_board, "/auth/register", body, 409)
    ask(users_board, "/auth/login", {"address": me.address, "password": new})
    adw("board", "invite", "--for", "nobody@example.com", code=2)
    link = adw.json("board", "invite", "--for", me.address)["link"]
    ask(users_board, "/auth/register", {**body, "invitation": invitation(link)}, 201)


@pytest.mark.parametrize(
    "body",
    [
        {"address": "no address", "password": PASSWORD},
        {"address": "a@b\nc", "password": PASSWORD},
        {"address": "a@b", "password": "short"},
        {"address": "a@b", "password": "x" * 300},
        {"address": f"{'a' * 300}@b", "password": PASSWORD},
        {"address": "a@b", "password": PASSWORD, "role": "admin"},
        {"address": "a@b", "password": PASSWORD, "invitation": "x" * 100},
    ],
)
def test_what_is_no_account_is_refused(users_board: BoardProcess, body: dict[str, str]) -> None:
    ask(users_board, "/auth/register", body, 422)


@pytest.mark.thorough
def test_who_logs_in_wrongly_learns_nothing(users_board: BoardProcess, adw: Adw) -> None:
    """Neither the answer nor its time tells whether an address is known."""
    register(users_board, adw, "known", link=users_board.link)
    seconds: dict[str, list[float]] = {"known": [], "unknown": []}
    answers = set()
    for number in range(8):
        for who, spent in seconds.items():
            given = {"address": f"{who}@example.com", "password": f"wrong {number}"}
            began = time.perf_counter()
            answers.add(ask(users_board, "/auth/login", given, 401).text)
            spent.append(time.perf_counter() - began)
    assert len(answers) == 1
    # A hash takes most of it: without one, the answer comes in a tenth of the time.
    assert min(seconds["unknown"]) > min(seconds["known"]) / 2
    assert min(seconds["known"]) > min(seconds["unknown"]) / 2


def test_an_invitation_is_as_good_as_who_made_it(users_board: BoardProcess, adw: Adw) -> None:
    first_link = users_board.link
    first = register(users_board, adw, "first", link=first_link)
    second = register(users_board, adw, "second", "admin")
    me = register(users_board, adw, "me")
    made = ask(users_board, "/invitations", {"role": "admin"}, 201, who=second.program).json()
    resets = [
        ask(users_board, f"/users/{user(me.address).id}/reset", None, 201, who=one.program).json()
        for one in (first, first, second)
    ]
    path = f"/users/{user(second.address).id}"
    ask(users_board, path, {"role": "closed"}, who=first.program, method="PATCH")
    for link, address in ((made["link"], "back@example.com"), (resets[2]["link"], me.address)):
        body = {"address": address, "password": PASSWORD, "invitation": invitation(link)}
        ask(users_board, "/auth/register", body, 409)
    body = {"address": me.address, "password": PASSWORD}
    ask(users_board, "/auth/register", {**body, "invitation": invitation(resets[0]["link"])}, 201)
    # Who has another password now needs no other link.
    ask(users_board, "/auth/register", {**body, "invitation": invitation(resets[1]["link"])}, 409)
    own_path = f"/users/{user(first.address).id}"
    ask(users_board, own_path, {"role": "member"}, 409, who=first.program, method="PATCH")


def test_a_board_without_an_admin_has_one_link_for_the_first(adw: Adw) -> None:
    with serving(adw, "--users") as process:
        before = process.link
        process.kill()
        process.start()
        body = {"address": "a@b", "password": PASSWORD, "invitation": invitation(before)}
        ask(process, "/auth/register", body, 409)
        register(process, adw, "first", link=process.link)


@pytest.mark.thorough
def test_a_stranger_locks_nobody_out(adw: Adw) -> None:
    with serving(adw, "--users") as process:
        me = register(process, adw, "me", link=process.link)
        elsewhere = {"X-Forwarded-For": "203.0.113.7"}
        wrong = {"address": me.address, "password": "wrong"}
        for _ in range(110):
            process.request("POST", "/api/v1/auth/login", wrong, headers=elsewhere)
        ask(process, "/auth/login", wrong, 429, who=elsewhere)
        ask(process, "/auth/login", {**wrong, "password": PASSWORD})
        new = {"old": PASSWORD, "new": f"{PASSWORD}!"}
        ask(process, "/auth/password", new, who=me.program)


def test_what_is_too_long_is_not_read(users_board: BoardProcess) -> None:
    long = {"address": "a@b", "password": "x" * 100_000}
    assert ask(users_board, "/auth/login", long, 413).json()["error"]["code"] == "too-long"
    signed = {"webhook-signature": "v1,x", "webhook-id": "1", "webhook-timestamp": "1"}
    body = b'{"a": "' + b"x" * 100_000 + b'"}'
    assert users_board.send("/workflow-complete", body, signed) == 413
    plan = {"name": "x.md", "text": "x" * 200_000}
    key = {"Authorization": f"Bearer {users_board.token}"}
    ask(users_board, "/plans/check", plan, who=key)
    ask(users_board, "/plans/check", {"name": "x.md", "text": "x" * 18_000_000}, 413, who=key)


def test_half_a_character_is_refused(users_board: BoardProcess, adw: Adw) -> None:
    key = {"Authorization": f"Bearer {users_board.token}"}
    for body in (b'{"title": "\\ud800"}', b'{"title": "a", "repository": "\\ud800"}',
                 b'{"plan": {"name": "a.md", "text": "\\ud800"}}'):  # fmt: skip
        assert users_board.send("/api/v1/planned-features", body, key) == 422, body
    with users_board.following() as told:
        told.next()
        for text in ('{"type": "subscribe", "log": "\\ud800.1"}', "[" * 4000):
            told.socket.send(text)
            assert told.next()["type"] == "error"


@pytest.mark.thorough
def test_what_is_shared_again_or_with_nobody_is_no_news(
    users_board: BoardProcess, adw: Adw
) -> None:
    owner = register(users_board, adw, "owner", link=users_board.link)
    other = register(users_board, adw, "other")
    start(adw, "x", phase(1, "sleep 60"))
    own(owner, "x")
    path, number = "/planned-features/x/shares", user(other.address).id

    def happened() -> int:
        events = ask(users_board, "/events?limit=1000", who=owner.program, method="GET").json()
        return sum("shared" in one["kind"] for one in events["items"])

    for _ in range(2):
        ask(users_board, path, {"address": other.address}, who=owner.program, method="PUT")
    assert happened() == 1
    for _ in range(2):
        ask(users_board, f"{path}/{number}", who=owner.program, method="DELETE")
    assert happened() == 2


@pytest.mark.thorough
def test_an_id_that_somebody_else_has_now_shows_nothing(
    users_board: BoardProcess, adw: Adw
) -> None:
    """The ADW id of a phase is made of its feature's slug, which another feature has later."""
    admin = register(users_board, adw, "admin", link=users_board.link)
    before, now = register(users_board, adw, "before"), register(users_board, adw, "now")
    start(adw, "x", phase(1))
    own(before, "x")
    until(adw, "x.1", "completed")
    [old] = ask(users_board, "/queue", who=before.program, method="GET").json()["items"]
    start(adw, "x", phase(1, "sleep 60"))
    [(number,)] = store().execute("SELECT max(id) FROM features")
    until(adw, "x.1", "running")
    own(now, "x", int(str(number)))

    def held(who: Someone) -> int:
        slots = ask(users_board, "/slots", who=who.program, method="GET").json()
        return len(slots["held"])

    settle(lambda: held(admin) == 1, "it has no slot")
    assert (held(before), held(now)) == (0, 1)
    path = f"/queue/{old['queue_id']}"
    detail = ask(users_board, path, who=before.program, method="GET").json()
    assert (detail["ports"], detail["worktree"]) == ({}, None)


@pytest.mark.thorough
def test_who_tries_passwords_has_to_wait(users_board: BoardProcess, adw: Adw) -> None:
    register(users_board, adw, "known", link=users_board.link)
    for who in ("known", "unknown"):
        given = {"address": f"{who}@example.com", "password": "wrong"}
        for _ in range(10):
            answer = users_board.request("POST", "/api/v1/auth/login", given, headers={"A": "b"})
            if answer.status_code == 429:
                break
            assert answer.status_code == 401
        answer = ask(users_board, "/auth/login", given, 429)
        assert 0 < int(answer.headers["retry-after"]) <= 900
        assert answer.json()["error"]["code"] == "too-many"
    right = {"address": "known@example.com", "password": PASSWORD}
    ask(users_board, "/auth/login", right, 429)


@pytest.mark.thorough
def test_a_start_is_counted_also_through_a_restart(users_board: BoardProcess, adw: Adw) -> None:
    me = register(users_board, adw, "me", link=users_board.link)
    start(adw, "x", phase(1, "sleep 60"))
    own(me, "x")
    for _ in range(100):
        ask(users_board, "/queue/x.1/retry", None, 409, who=me.program)
    users_board.kill()
    users_board.start()
    answer = ask(users_board, "/queue/x.1/retry", None, 429, who=me.program)
    assert 0 < int(answer.headers["retry-after"]) <= 3600
    ask(users_board, "/queue/x.1", who=me.program, method="GET")
    ask(users_board, "/planned-features/x/execute", None, 429, who=me.program)
    ask(users_board, "/planned-features/x/cancel", who=me.program)


@pytest.mark.thorough
def test_one_plan_is_drafted_at_once(users_board: BoardProcess, adw: Adw) -> None:
    scripted(adw, "claude", last="sleep 60")
    me = register(users_board, adw, "me", link=users_board.link)
    other = register(users_board, adw, "other")
    for number in (1, 2):
        ask(users_board, "/planned-features", {"title": f"Wish {number}"}, 201, who=me.program)
    ask(users_board, "/planned-features", {"title": "Theirs"}, 201, who=other.program)
    generate = "/planned-features/{}/generate-implementation"
    ask(users_board, generate.format("wish-1"), None, 202, who=me.program)
    answer = ask(users_board, generate.format("wish-2"), None, 429, who=me.program)
    assert int(answer.headers["retry-after"]) > 0
    ask(users_board, generate.format("theirs"), None, 202, who=other.program)
    # A feature that is cancelled has no plan drafted; who makes it is waited for.
    database = store()
    drafted = find_feature(database, "wish-1")
    settle(lambda: is_drafting(state_dir(), drafted), "nobody drafts")
    ask(users_board, "/planned-features/wish-1/cancel", who=me.program)
    drafting = ask(users_board, "/planned-features/wish-1", who=me.program, method="GET").json()
    assert drafting["feature"]["drafting"] == "failed: the feature was cancelled"
    ask(users_board, generate.format("wish-2"), None, 429, who=me.program)
    kill_all()
    for drafter in psutil.process_iter(["cmdline"]):
        if "draft" in (drafter.info["cmdline"] or ()):
            drafter.kill()
            drafter.wait(20)
    ask(users_board, generate.format("wish-2"), None, 202, who=me.program)


def test_a_slug_that_is_taken_tells_nothing_more(users_board: BoardProcess, adw: Adw) -> None:
    admin = register(users_board, adw, "admin", link=users_board.link)
    me = register(users_board, adw, "me")
    ask(users_board, "/planned-features", {"title": "Secret"}, 201, who=admin.program)
    answer = ask(users_board, "/planned-features", {"title": "Secret"}, 409, who=me.program)
    error = answer.json()["error"]
    assert "feature 1" not in error["message"]
    assert "cancel" not in error["hint"]


def test_a_browser_that_is_used_stays_in(users_board: BoardProcess, adw: Adw) -> None:
    me = register(users_board, adw, "me", link=users_board.link)
    name, _, _ = me.cookie.partition("=")
    old = forged(me, exp=int(time.time()) + SESSION_SECONDS - 2 * 3600)
    headers = {"Cookie": f"{name}={old}", "Origin": users_board.address}
    answer = users_board.request("GET", "/api/v1/home", headers=headers)
    renewed = answer.headers["set-cookie"]
    assert "HttpOnly" in renewed
    assert "SameSite=strict" in renewed
    fresh = {"Cookie": renewed.partition(";")[0]}
    answer = users_board.request("GET", "/api/v1/home", headers=fresh)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_no_other_page_logs_anybody_in(users_board: BoardProcess, adw: Adw) -> None:
    register(users_board, adw, "me", link=users_board.link)
    given = {"address": "me@example.com", "password": PASSWORD}
    for origin in ("http://evil.example", "null"):
        ask(users_board, "/auth/login", given, 403, who={"Origin": origin})
    for name in ("evil.example", "localhost:1"):
        ask(users_board, "/auth/login", given, 421, who={"Host": name})
    me = someone(ask(users_board, "/auth/login", given, who={"Origin": users_board.address}))
    for origin in ("http://evil.example", "null", ""):
        headers = {"Cookie": me.cookie, **({"Origin": origin} if origin else {})}
        ask(users_board, "/auth/logout", None, 403, who=headers)
        with pytest.raises(InvalidStatus):
            socket(users_board, headers)


# ---- where it can be reached -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--host", "0.0.0.0"),
        ("--address", "https://board.example.com"),
        ("--open-registration",),
        ("--users", "--host", "0.0.0.0"),
        ("--users", "--address", "http://board.example.com"),
        ("--users", "--address", "https://board.example.com/path"),
        ("--users", "--address", "board.example.com"),
        ("--users", "--tls-cert", "cert.pem"),
        ("--users", "--tls-cert", "cert.pem", "--tls-key", "key.pem"),
        ("--role", "admin"),
    ],
)
def test_what_is_not_safe_is_not_served(adw: Adw, options: tuple[str, ...]) -> None:
    ran = adw("board", "--json", "--port", "0", *options, code=None)
    assert ran.code in (2, 3), options
    assert ran.json["error"]["hint"]


@pytest.mark.thorough
def test_behind_a_proxy_cookies_are_for_tls_alone(adw: Adw) -> None:
    address = "https://board.example.com"
    with serving(adw, "--users", "--address", address) as process:
        assert process.link.startswith(f"{address}/register?invitation=")
        port = process.listening
        process.address = f"http://127.0.0.1:{port}"
        proxied = {"Host": "board.example.com", "Origin": address,
                   "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}  # fmt: skip
        body = {"address": "a@b", "password": PASSWORD, "invitation": invitation(process.link)}
        answer = ask(process, "/auth/register", body, 201, who=proxied)
        assert "Secure" in answer.headers["set-cookie"]
        me = someone(answer)
        ask(process, "/home", who={**proxied, "Cookie": me.cookie}, method="GET")
        ask(process, "/auth/logout", who={**proxied, "Cookie": me.cookie})
        # Who tries from elsewhere does not keep others out.
        wrong = {"address": "a@b", "password": "wrong"}
        for _ in range(10):
            ask(process, "/auth/login", wrong, 401, who=proxied)
        ask(process, "/auth/login", wrong, 429, who=proxied)
        ask(process, "/auth/login", wrong, 401, who={**proxied, "X-Forwarded-For": "203.0.113.8"})


@pytest.mark.thorough
def test_with_a_certificate_it_speaks_tls(adw: Adw, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    with serving(adw, "--users", "--tls-cert", str(certificate), "--tls-key", str(key)) as process:
        assert process.address.startswith("https://127.0.0.1:")
        me = register(process, adw, "me", link=process.link)
        ask(process, "/home", who=me.browser(process), method="GET")


def test_anybody_registers_where_that_is_wanted(adw: Adw) -> None:
    with serving(adw, "--users", "--open-registration") as process:
        body = {"address": "a@b", "password": PASSWORD}
        me = someone(ask(process, "/auth/register", body, 201))
        assert ask(process, "/auth/me", who=me.program, method="GET").json()["role"] == "member"
        ask(process, "/auth/register", body, 409)


@pytest.mark.thorough
def test_many_register_with_one_invitation_and_one_does(adw: Adw) -> None:
    with serving(adw, "--users") as process:
        text = invitation(process.link)

        def attempt(number: int) -> int:
            body = {"address": f"{number}@b", "password": PASSWORD, "invitation": text}
            return post_alone(process, "/api/v1/auth/register", body)

        with ThreadPoolExecutor(20) as threads:
            statuses = list(threads.map(attempt, range(20)))
        assert sorted(statuses) == [201] + [409] * 19


def post_alone(board: BoardProcess, path: str, body: object) -> int:
    """Post with a connection of its own; return the status of the answer."""
    return httpx2.post(board.address + path, json=body, timeout=60).status_code

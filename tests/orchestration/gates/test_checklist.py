"""Items become checkers only where their words leave no doubt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adw_worktree.orchestration.gates.checklist import (
    Checker,
    Item,
    checker_for,
    from_json,
    to_json,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Endpoint: `POST /api/login` in `backend/api.py`",
         ("endpoint", "POST /api/login", "backend/api.py")),
        ("- [ ] **Endpoint:** `GET /api/users/{id}?full=1`", ("endpoint", "GET /api/users/{id}")),
        ("`POST /api/login` in `backend/api.py`",
         ("endpoint", "POST /api/login", "backend/api.py")),
        ("| Endpoint | `POST /api/login` | `backend/api.py` |",
         ("endpoint", "POST /api/login", "backend/api.py")),
        ("Route: `/health`", ("endpoint", "/health")),
        ("Endpoint: POST `/api/login`", ("endpoint", "POST /api/login")),
        ("Endpoint: `/api/login` (POST)", ("endpoint", "POST /api/login")),
        ("Endpoint: GET, POST `/api/login`", None),
        ("Endpoint: `/api/login`, `/api/logout`", None),
        ("Endpoint: `GET /api/login`, `/api/logout`", None),
        ("Setting: `LOGIN_TTL`, `ttl_max`", None),
        ("WebSocket: see below", None),
        ("Endpoint: `WEBSOCKET /ws`", ("endpoint", "WS /ws")),
        ("Endpoint: `POST /login` replaces `GET /login`", None),
        ("Endpoints: `GET /a` and `GET /b`", None),
        ("Message type: `login.done`", ("message", "login.done")),
        ("State: `auth.user`", ("state", "auth.user")),
        ("Setting: `LOGIN_TTL` (seconds; not set: 3600)", ("setting", "LOGIN_TTL")),
        ("Setting: `LOGIN_TTL=3600` in `.env.example`", ("setting", "LOGIN_TTL", ".env.example")),
        ("Setting: LOGIN_TTL", ("setting", "LOGIN_TTL")),
        ("`LOGIN_TTL`: seconds", ("setting", "LOGIN_TTL")),
        ("`LOGIN_TTL` is no longer read", None),
        ("No `LOGIN_TTL`", None),
        ("`LOGIN_TTL` and `LOGIN_MAX`", None),
        ("Component: `<LoginForm />`", ("component", "LoginForm")),
        ("`LoginForm` in `src/LoginForm.tsx`", ("component", "LoginForm", "src/LoginForm.tsx")),
        ("the `LoginForm` component", ("component", "LoginForm")),
        ("`LoginForm`", None),
        ("Migration: `migrations/0002_users.sql`", ("migration", "migrations/0002_users.sql")),
        ("`app/migrations/0002_users.py`: the table",
         ("migration", "app/migrations/0002_users.py")),
        ("Function: `rotate_tokens()` in `backend/tokens.py`",
         ("name", "rotate_tokens", "backend/tokens.py")),
        ("Endpoint: as in `docs/api.md`", None),
        ("The login works with the board", None),
        ("Remove: `GET /old`", None),
        ("Delete `GET /old`", None),
        ("", None),
    ],
)  # fmt: skip
def test_integration_item(text: str, expected: tuple[str, ...] | None) -> None:
    found = checker_for(Item("integration", text))
    assert found == (None if expected is None else Checker(*expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`src/a.py` – the table, from `src/b.py`", "src/a.py"),
        ("- [x] src/a.py: the table", "src/a.py"),
        ("Create: `./src/a.py:12`", "src/a.py"),
        ("`Makefile`", "Makefile"),
        ("`src/app/[id]/page.tsx`", "src/app/[id]/page.tsx"),
        ("`src/new/`", "src/new/"),
        ("`../outside.py`", "../outside.py"),
        ("`/etc/passwd`", "/etc/passwd"),
        ("`src/*.py`", None),
        ("`src/<name>.py`", None),
        ("`a.py`, `b.py`", None),
        ("`src/old.py` (deleted)", None),
        ("some files", None),
    ],
)
def test_file_item(text: str, expected: str | None) -> None:
    found = checker_for(Item("file", text))
    assert found == (None if expected is None else Checker("file", expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`tests/test_login.py::test_rejects` → 401", ("test_rejects", "tests/test_login.py")),
        ("`tests/test_login.py::TestLogin::test_rejects[a]`",
         ("TestLogin::test_rejects", "tests/test_login.py")),
        ("`test_rejects` in `tests/test_login.py`", ("test_rejects", "tests/test_login.py")),
        ("`tests/test_a.py::test_b`, `tests/test_a.py::test_c`", None),
        ("`test_rejects`: does not let in a wrong password", ("test_rejects",)),
        ("`LoginForm.test.tsx`: shows an error", ("LoginForm.test.tsx",)),
        ("`src/a.test.ts`: `shows an error`", ("shows an error", "src/a.test.ts")),
        ("`TestLogin` in `login_test.go`", ("TestLogin", "login_test.go")),
        ("`tests/test_login.py`", ("tests/test_login.py",)),
        ("`POST /login` with a wrong password answers 401", None),
        ("`test_a` and `test_b`", None),
        ("by hand", None),
    ],
)  # fmt: skip
def test_test_item(text: str, expected: tuple[str, ...] | None) -> None:
    found = checker_for(Item("test", text))
    assert found == (None if expected is None else Checker("test", *expected))


@pytest.mark.parametrize("kind", ["criterion", "success"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`make lint` passes", ("command", "make lint")),
        ("`pytest -q` exits with 0", ("command", "pytest -q")),
        ("- [ ] `npm run build`: passes", ("command", "npm run build")),
        ("`./test.sh` is green", ("command", "./test.sh")),
        ("Command: `adw-worktree list`", ("command", "adw-worktree list")),
        ("`tests/test_a.py::test_b` passes", ("test", "test_b", "tests/test_a.py")),
        ("`test_b` passes", ("test", "test_b")),
        ("`LoginForm` passes", None),
        ("`make lint` passes, and `make test` passes", None),
        ("`make lint` no longer passes", None),
        ("All of `make lint` passes", None),
        ("`rm -rf /` is not run", None),
        ("`GET /health` answers 200", ("endpoint", "GET /health")),
        ("`GET /health` exists.", ("endpoint", "GET /health")),
        ("`POST /login` with a wrong password answers 401", None),
        ("`GET /users` returns 200 and a list", None),
        ("`src/a.py` exists", ("file", "src/a.py")),
        ("`src/a.py` has a table", None),
        ("Users can log in", None),
    ],
)
def test_criterion(kind: Any, text: str, expected: tuple[str, ...] | None) -> None:
    found = checker_for(Item(kind, text))
    assert found == (None if expected is None else Checker(*expected))


def test_a_checker_survives_the_store() -> None:
    for checker in (Checker("endpoint", "GET /ä", "a.py"), Checker("setting", "A_B")):
        assert from_json(to_json(checker)) == checker
    assert json.loads(to_json(Checker("file", "a.py"))).keys() == {"what", "subject", "place"}


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"what": 1, "subject": "a", "place": null}', "[" * 100_000]
)
def test_what_is_no_checker_in_the_store_is_none(text: str) -> None:
    assert from_json(text) is None


_PIECES = st.sampled_from(
    ["`", "``", "GET /a", "POST", "/", "..", "a.py", "tests/test_a.py", "::", "Endpoint:", "A_B",
     "passes", "|", "- [ ] ", "**", "not", "é", "\0", "\n", " ", "migrations/", "<", "{}", "\\"]
)  # fmt: skip


@pytest.mark.thorough
@settings(max_examples=60)
@given(
    st.sampled_from(["integration", "file", "criterion", "test", "success"]),
    st.text() | st.lists(_PIECES, max_size=12).map("".join),
)
def test_no_text_is_too_strange_for_an_item(kind: Any, text: str) -> None:
    found = checker_for(Item(kind, text))
    assert found is None or from_json(to_json(found)) == found


def test_a_long_line_is_nobodys_checker() -> None:
    assert checker_for(Item("integration", "`GET /a`" + " ` GET" * 100_000)) is None
    assert checker_for(Item("criterion", "`" + "a" * 100_000 + "` passes")) is None

"""Message types, keys of a state and functions pass where two files have to do with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.gates.projects import verdict

RIGHT = {
    "a text in two languages": {
        "api.py": 'def f():\n    send({"type": "login.done"})\n',
        "web/socket.ts": "switch (m.type) { case 'login.done': done() }\n"},
    "a constant": {
        "messages.py": 'LOGIN_DONE = "login.done"\n',
        "api.py": "from messages import LOGIN_DONE\nsend(LOGIN_DONE)\n"},
    "a member of an enumeration": {
        "m.py": 'class M(StrEnum):\n    DONE = "login.done"\n', "api.py": "send(M.DONE)\n"},
    "a constant of a script": {
        "src/m.ts": "export const LOGIN_DONE = 'login.done';\n",
        "src/a.ts": "import { LOGIN_DONE } from './m';\nsend(LOGIN_DONE);\n"},
}  # fmt: skip
WRONG = {
    "only its sender": ({"api.py": 'send("login.done")\n'}, "only api.py:1 names it"),
    "sender and test": (
        {"api.py": 'send("login.done")\n', "tests/test_a.py": 'got("login.done")\n'},
        "only api.py:1 names it"),
    "sender, comment, docstring, document": (
        {"api.py": 'send("login.done")\n', "b.py": '"""login.done"""\n# "login.done"\n',
         "c.ts": "// 'login.done'\n", "README.md": "`login.done`\n"}, "only api.py:1 names it"),
    "a constant that is imported and unused": (
        {"m.py": 'DONE = "login.done"\n', "a.py": "from m import DONE\n"}, "only m.py:1 names it"),
    "a longer text": (
        {"a.py": 'send("login.done")\n', "b.py": 'on("login.done.twice")\n'}, "only a.py:1"),
    "only a document": ({"README.md": "login.done\n"}, "only README.md:1 mentions it"),
    "nothing": ({"a.py": ""}, "nothing names it"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_message_that_two_files_name_passes(name: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, RIGHT[name], "message", "login.done")
    assert found.startswith("pass: "), found


@pytest.mark.parametrize("name", WRONG)
def test_a_message_that_one_file_has_for_itself_fails(name: str, tmp_path: Path) -> None:
    files, evidence = WRONG[name]
    found = verdict(tmp_path, files, "message", "login.done")
    assert found.startswith("fail: ") and evidence in found, found


def test_a_class_of_messages_needs_a_use_beside_its_import(tmp_path: Path) -> None:
    files = {"m.py": "class LoginDone: ...\n", "a.py": "from m import LoginDone\n"}
    assert verdict(tmp_path, files, "message", "LoginDone").startswith("fail: only m.py:1")
    files["a.py"] += "send(LoginDone())\n"
    assert verdict(tmp_path, files, "message", "LoginDone").startswith("pass: ")


def test_a_part_of_a_state_may_be_written_otherwise(tmp_path: Path) -> None:
    files = {
        "store.ts": "const s = { auth: { user: null } }\n",
        "a.ts": "use((s) => s.auth.user)\n",
    }
    assert verdict(tmp_path, files, "state", "auth.user").startswith("unknown: ")
    files = {"store.ts": "export const currentUser = atom()\n",
             "a.ts": "import { currentUser } from './store'\nuse(currentUser)\n"}  # fmt: skip
    assert verdict(tmp_path, files, "state", "currentUser").startswith("pass: ")
    assert verdict(tmp_path, files, "state", "otherUser").startswith("fail: ")


def test_a_module_that_cannot_be_read_leaves_it_open(tmp_path: Path) -> None:
    files = {"a.py": "def rotate(): ...\n", "b.py": "from a import rotate\nrotate()\nx = = 1\n"}
    found = verdict(tmp_path, files, "name", "rotate")
    assert found.startswith("unknown: ") and "b.py cannot be read as Python 3." in found


def test_a_function_passes_where_another_module_uses_it(tmp_path: Path) -> None:
    made = {
        "app/__init__.py": "from .tokens import rotate\n",
        "app/tokens.py": "def rotate(): ...\n",
    }
    used = {**made, "main.py": "from app import rotate as turn\nturn()\n"}
    assert verdict(tmp_path, used, "name", "rotate") == (
        "pass: app/tokens.py:1 defines it; main.py:2 uses it"
    )
    unused = {**made, "main.py": "def rotate(): ...\n"}
    assert verdict(tmp_path, unused, "name", "rotate").startswith("fail: ")
    itself = {"a.py": "def rotate(): ...\nrotate()\n"}
    assert verdict(tmp_path, itself, "name", "rotate").startswith("warn: a.py:1")
    method = {
        "a.py": "class T:\n    def rotate(self): ...\n",
        "b.py": "def f(t):\n    t.rotate()\n",
    }
    assert verdict(tmp_path, method, "name", "T.rotate").startswith("pass: a.py:2")


def test_what_others_call_by_its_place_is_used(tmp_path: Path) -> None:
    made = {"shop/cli.py": "def rotate(): ...\n"}
    script = {**made, "pyproject.toml": '[project.scripts]\nrotate = "shop.cli:rotate"\n'}
    assert verdict(tmp_path, script, "name", "rotate") == (
        "pass: shop/cli.py:1 defines it; pyproject.toml:2 runs it"
    )
    for decorator in ("shared_task", "cli.command()", "receiver(saved, sender=User)"):
        task = {"shop/cli.py": f"@{decorator}\ndef rotate(): ...\n"}
        assert verdict(tmp_path, task, "name", "rotate").startswith("unknown: shop/cli.py:2")
    other = {"shop/cli.py": "@cache\ndef rotate(): ...\n"}
    assert verdict(tmp_path, other, "name", "rotate").startswith("fail: ")


def test_other_languages_pass_by_words_in_code(tmp_path: Path) -> None:
    files = {"a.go": "func Rotate() {}\n", "b.go": "func f() { Rotate() }\n"}
    assert verdict(tmp_path, files, "name", "Rotate").startswith("pass: ")
    files["b.go"] = '// Rotate\nvar x = "Rotate"\n'
    assert verdict(tmp_path, files, "name", "Rotate").startswith("fail: only a.go:1")

"""No file and no name is too strange for a check."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adw_worktree.orchestration.gates.check import check
from adw_worktree.orchestration.gates.checklist import Checker
from tests.orchestration.gates.projects import project

WHATS = [
    "endpoint",
    "message",
    "state",
    "setting",
    "component",
    "migration",
    "name",
    "file",
    "test",
]

STRANGE: dict[str, str | bytes] = {
    "binary.py": b"\x7fELF\0\0login",
    "latin.py": "# é\nlogin = 'é'\n".encode("latin-1"),
    "broken.py": "def login(:\n",
    "deep.py": "x = " + "(" * 5000 + "login" + ")" * 5000 + "\n",
    "added.py": "x = " + " + ".join(["'login'"] * 5000) + "\n",
    "dotted.py": "x = a" + ".login" * 2000 + "\n",
    "huge.js": "login " * 300_000,
    "comments.js": "/*" * 100_000 + " login",
    "ticks.js": "`${" * 50_000,
    "imports.js": "import login\n" * 20_000,
    "braces.js": "{" * 100_000 + "login",
    "gets.js": "const app = express()\n" + "app.get('/login" * 10_000,
    "package.json": "[" * 100_000,
    "pyproject.toml": "a = " + "[" * 5_000,
    "a\nb.py": "import login\n",
}


@pytest.mark.parametrize("what", WHATS)
def test_strange_files_and_names(what: str, tmp_path: Path) -> None:
    tree = project(tmp_path, STRANGE)
    for subject in ("login", "GET /login", "a\nb.py", "(a+)+$", "[", "\\", "{}", ""):
        found = check(Checker(what, subject), tree, "\n" * 1000)
        assert found.verdict in ("pass", "warn", "fail", "unknown")
        assert found.evidence.isprintable() and len(found.evidence) <= 500


def test_names_with_signs_of_patterns_mean_themselves(tmp_path: Path) -> None:
    tree = project(tmp_path, {"a.py": 'send("login_done")\n', "b.py": 'on("login_done")\n'})
    assert check(Checker("message", "login.done"), tree).verdict == "fail"
    assert check(Checker("component", ".*"), tree).verdict == "fail"


def test_a_command_is_not_for_reading(tmp_path: Path) -> None:
    assert check(Checker("command", "true"), project(tmp_path, {})).verdict == "unknown"
    assert check(Checker("of a later version", "x"), project(tmp_path, {})).verdict == "unknown"


@pytest.mark.thorough
def test_a_large_tree_with_many_items_ends(tmp_path: Path) -> None:
    files = {f"app/part{n}/module{n}.py": _module(n) for n in range(1500)}
    files |= {f"web/part{n}/Form{n}.tsx": _script(n) for n in range(500)}
    files["app/main.py"] = "from fastapi import FastAPI\napp = FastAPI()\n" + "".join(
        f"from app.part{n} import module{n}\napp.include_router(module{n}.router)\n"
        for n in range(1, 1500)
    )
    tree = project(tmp_path, files)
    for n in range(40):
        wanted = "pass" if n else "fail"
        assert check(Checker("endpoint", f"GET /part{n}/x"), tree).verdict == wanted
        wanted = ("fail", "warn")[n] if n < 2 else "pass"
        assert check(Checker("component", f"Form{n}"), tree).verdict == wanted
        assert check(Checker("setting", f"SETTING_{n}"), tree).verdict == "pass"
        assert check(Checker("message", f"part{n}.done"), tree).verdict == "pass"
        wanted = "pass" if n else "warn"
        assert check(Checker("file", f"app/part{n}/module{n}.py"), tree).verdict == wanted


def _module(n: int) -> str:
    return (
        f"import os\nfrom fastapi import APIRouter\nrouter = APIRouter(prefix='/part{n}')\n"
        f"@router.get('/x')\ndef x():\n    send('part{n}.done', os.environ['SETTING_{n}'])\n"
        + f"def other{n}(a, b):\n    return a + b * {n}\n"
        * 10
    )


def _script(n: int) -> str:
    return (
        f"import {{ Form{n + 1} }} from '../part{n + 1}/Form{n + 1}'\n"
        f"export const Form{n} = () => <Form{n + 1} on={{'part{n}.done'}} />\n"
    )


_NAMES = st.sampled_from(
    ["a.py", "b.py", "tests/test_a.py", "src/a.ts", "src/B.vue", "main.go", "x.sql", ".env", "a.md",
     "app/migrations/0001_a.py", "versions/a.py", "pytest.ini", "pyproject.toml", "package.json"]
)  # fmt: skip
_PIECES = st.sampled_from(
    ["router = APIRouter(prefix=", "app = FastAPI()", "@router.get(", "'/a'",
     "app.include_router(",
     "urlpatterns = [", "path(", "Mount(", "routes=", "class Settings(BaseSettings):", "\n    ",
     "A_B: int = ", "os.environ[", "def test_a():", "import a", "from . import *",
     "from .a import b",
     "import { B } from './B'", "export ", "default ", "<B />", "process.env.A_B", "for r in r:",
     "revision = 'a'\n", "down_revision = 'a'\n", "class Migration:", "describe('", "it(", ")", "]",
     "(", "[", "{", "}", "`", "'", '"', "\n", ";", "//", "/*", "#", "*", "\\", "\0", "é", ","]
)  # fmt: skip
_TEXTS = st.lists(_PIECES, max_size=25).map("".join) | st.text(max_size=50)
_SUBJECTS = st.sampled_from(
    ["GET /a", "/a/{b}", "A_B", "B", "a.b", "a", "test_a", "tests/test_a.py", "x.sql",
     "versions/a.py", "app/migrations/0001_a.py", "src/a.ts", "TestA::test_a", "shows it"]
) | st.text(max_size=20)  # fmt: skip


@pytest.mark.thorough
@settings(max_examples=60)
@given(
    st.dictionaries(_NAMES, _TEXTS, max_size=5),
    st.sampled_from(WHATS),
    _SUBJECTS,
    st.none() | _NAMES | st.text(max_size=10),
    _TEXTS,
)
def test_no_check_raises(
    files: dict[str, str], what: str, subject: str, place: str | None, printed: str
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        texts = {path: text.encode("utf-8", "replace") for path, text in files.items()}
        tree = project(Path(directory), texts)
        found = check(Checker(what, subject, place), tree, printed)
    assert found.verdict in ("pass", "warn", "fail", "unknown") and found.evidence.isprintable()

"""A file passes if it is tracked, has something in it, and is imported if it is a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from adw_worktree.orchestration.gates.check import check
from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.tree import Tree
from tests.orchestration.gates.projects import project, verdict

CODE = "def f():\n    return 1\n"


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        ({"src/a.py": CODE, "src/b.py": "import a\n"}, "src/a.py", "pass: "),
        ({"app/a.py": CODE, "app/__init__.py": "from . import a\n"}, "app/a.py",
         "pass: app/a.py exists, with 22 bytes; app/__init__.py:1 imports it"),
        ({"app/a.py": CODE, "app/b.py": "from app.a import f\n"}, "app/a.py", "pass: "),
        ({"app/a.py": CODE, "b.py": 'import_module("app.a")\n'}, "app/a.py", "pass: "),
        ({"app/a.py": CODE, "Procfile": "web: uvicorn app.a:app\n"}, "app/a.py", "pass: "),
        ({"app/a.py": CODE, "Makefile": "x:\n\tpython app/a.py\n"}, "app/a.py", "pass: "),
        ({"app/a.py": CODE, "pyproject.toml": '[project.scripts]\nx = "app.a:f"\n'}, "app/a.py",
         "pass: "),
        ({"app/a.py": CODE + 'if __name__ == "__main__":\n    f()\n'}, "app/a.py", "pass: "),
        ({"scripts/a.py": CODE}, "scripts/a.py", "pass: "),
        ({"tests/test_a.py": CODE}, "tests/test_a.py", "pass: "),
        ({"app/a.py": CODE, "app/b.py": "import os\n"}, "app/a.py", "nothing imports it"),
        ({"app/a.py": CODE, "tests/test_a.py": "from app import a\n", "b.py": "# import app.a\n",
          "README.md": "app.a\n"}, "app/a.py", "nothing imports it"),
        ({"app/a.py": CODE, "b.py": "from third import a\n"}, "app/a.py", "nothing imports it"),
        ({"src/a.ts": "export const a = 1\n", "src/b.ts": "import { a } from './a.js'\n"},
         "src/a.ts", "pass: "),
        ({"src/a.ts": "export const a = 1\n", "index.html": '<script src="/src/a.ts">\n'},
         "src/a.ts", "pass: "),
        ({"src/main.ts": "run()\n"}, "src/main.ts", "pass: "),
        ({"src/a.ts": "export const a = 1\n", "src/b.ts": "// import './a'\n"}, "src/a.ts",
         "nothing imports it"),
        ({"app/__init__.py": ""}, "app/__init__.py", "pass: "),
        ({"docs/a.md": "# A title\n"}, "docs/a.md", "pass: "),
        ({"logo.png": b"\x89PNG\0\0"}, "logo.png", "pass: "),
        ({"a.sql": ""}, "a.sql", "fail: a.sql is empty"),
        ({"a.py": "  \n"}, "a.py", "fail: a.py is empty"),
        ({"main.py": '"""Later."""\n# TODO\npass\n'}, "main.py", "warn: "),
        ({"main.py": "def f():\n    ...\ndef g():\n    raise NotImplementedError\n"}, "main.py",
         "warn: "),
        ({"main.py": "def f(:\n"}, "main.py", "warn: main.py cannot be read as Python 3."),
        ({"main.ts": "// TODO\n"}, "main.ts", "warn: "),
        ({"a.md": "TODO: write it\n"}, "a.md", "warn: a.md has nothing but a placeholder"),
        ({"backend/src/main.py": CODE}, "src/main.py",
         "warn: there is no src/main.py; backend/src/main.py has its name"),
        ({"a/x.py": CODE, "b/x.py": CODE}, "x.py", "fail: there is no x.py; a/x.py and others"),
        ({"a.py": CODE}, "b.py", "fail: there is no b.py among the 1 tracked files"),
        ({"src/new/a.txt": "a"}, "src/new/", "pass: "),
        ({"src/a.txt": "a"}, "src/new/", "fail: "),
    ],
)  # fmt: skip
def test_file(files: dict[str, str | bytes], path: str, expected: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, files, "file", path)
    is_unused = "nothing imports it" in expected
    assert found.startswith("warn: ") and expected in found if is_unused else \
        found.startswith(expected), found  # fmt: skip


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "a/../../secret", "~/secret", "a\0b", ".", "", ".."]
)
def test_no_path_leads_out_of_the_worktree(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tree = project(tmp_path / "tree", {"a.py": CODE})
    for what in ("file", "migration"):
        assert check(Checker(what, path), tree).verdict == "fail"
    assert check(Checker("test", "test_a", path), tree).verdict == "fail"


def test_a_link_out_of_the_worktree_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("SECRET_KEY = 1\n")
    root = tmp_path / "tree"
    project(root, {"a.txt": "a"})
    (root / "out.py").symlink_to(tmp_path / "secret.py")
    (root / "folder").symlink_to(tmp_path)
    (root / "in.txt").symlink_to("a.txt")
    tree = Tree(root, ["a.txt", "out.py", "folder/secret.py", "in.txt", "../secret.py"])
    for path in ("out.py", "folder/secret.py"):
        assert check(Checker("file", path), tree).verdict == "fail"
        assert tree.text(path) is None
    assert tree.text("../secret.py") is None
    assert tree.naming("SECRET_KEY") == []
    assert check(Checker("file", "in.txt"), tree).evidence == "in.txt is a link to a.txt"


def test_an_untracked_file_is_none(tmp_path: Path) -> None:
    project(tmp_path, {"a.py": CODE, "b.py": CODE})
    assert check(Checker("file", "b.py"), Tree(tmp_path, ["a.py"])).verdict == "fail"

"""The shape of the package: imports run one way, and each heavy library has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "adw_worktree"

LAYERS = [
    ["_version", "errors", "memory", "presence"],
    ["faults", "progress"],
    ["model", "atomic", "resources", "output", "gitwords"],
    ["locks", "screen", "fullscreen", "pasting", "mistyped", "parsing"],
    ["gitrepo", "ports", "envfile", "places", "database_url", "schema", "hookfile",
     "statedir", "become", "sqlite", "dirwatch", "unitfile"],
    ["discovery", "settings_rules", "settings_check", "userhooks", "githooks", "receipts",
     "registry", "stamp",
     "workstate", "worktrees", "cells", "background", "trash", "agentfiles", "watchlist", "units"],
    ["settings", "verdict", "ledger", "actions", "postgres", "glance"],
    ["holdings"],
    ["neighbours"],
    ["pool"],
    ["creators"],
    ["project"],
    ["creation", "databases"],
    ["exclude", "include", "programs", "furnish", "spares", "retire", "restore", "consent",
     "leftovers", "healing", "renaming", "visits", "overview", "scratch", "target", "merging",
     "landing"],
    ["create", "remove", "rename", "reconcile", "watch", "listview", "poolmap"],
    ["api", "doctor", "topics", "finish", "poolview"],
    ["livepool"],
    ["commands", "completion"],
    ["cli"],
    ["__init__", "__main__"],
]  # fmt: skip
"""Lowest first. A module imports from the layers below it, and from its own without a circle."""

DOORS = {
    "git": {"workstate"},
    "platformdirs": {"places"},
    "psutil": {"ports"},
    "psycopg": {"postgres"},
    "pydantic": {"schema", "settings_check"},
    "watchdog": {"dirwatch"},
    "pydantic_core": {"settings_check"},
    "rich": {"screen"},
}
"""Which modules import a library that is slow to load; inside a function, always."""

FORBIDDEN = {"utils", "util", "helpers", "common", "manager", "core", "misc"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the name that LAYERS knows; all commands are one."""
    return "commands" if path.parent.name == "commands" else path.stem


def own_imports(path: Path) -> Iterator[str]:
    """Yield the modules of this package that `path` imports, wherever in the file."""
    depth = 2 if path.parent.name == "commands" else 1
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            if node.module:
                yield node.module.split(".")[0]
            else:
                yield from (alias.name for alias in node.names)


def rank(name: str) -> int:
    return next(level for level, names in enumerate(LAYERS) if name in names)


def test_every_module_has_its_layer() -> None:
    known = {name for layer in LAYERS for name in layer}
    assert {module_name(path) for path in modules()} == known


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_imports_run_down(path: Path) -> None:
    name = module_name(path)
    for imported in own_imports(path):
        assert rank(imported) <= rank(name), f"{name} imports {imported}"


def test_no_circles_within_a_layer() -> None:
    graph = {
        module_name(path): {one for one in own_imports(path) if one != "commands"}
        for path in modules()
    }

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for step in graph.get(start, set()) - seen:
            if step == goal or reaches(step, goal, seen | {step}):
                return True
        return False

    assert [name for name in graph if reaches(name, name, set())] == []


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_slow_libraries_are_imported_late_and_by_one_module(path: Path) -> None:
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.level == 0 else []
        else:
            names = [alias.name for alias in node.names]
        for library in {name.split(".")[0] for name in names} & DOORS.keys():
            assert module_name(path) in DOORS[library], f"{path.name} imports {library}"
            assert id(node) in late, f"{path.name} imports {library} when it is imported"


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_modules_are_short_and_say_what_they_own(path: Path) -> None:
    text = path.read_text()
    assert path.stem not in FORBIDDEN
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


def test_no_module_takes_what_it_may_not_see_for_absent() -> None:
    """Since Python 3.14 the methods of a path say no to either; those of `presence` do not."""
    found = [
        (path.name, node.lineno)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.keywords
        if node.func.attr in ("exists", "is_dir", "is_file", "is_symlink") and not node.args
    ]
    assert found == []


def test_only_gitrepo_runs_git_and_only_output_prints() -> None:
    for path in modules():
        text = path.read_text()
        if "subprocess" in text:
            assert path.stem in ("gitrepo", "userhooks", "background"), path
        if "print(" in text:
            assert path.stem in ("cli", "trust"), path
        assert "shell=True" not in text


def test_no_pattern_is_compiled_by_an_import() -> None:
    """It takes as long as all else that a module does; `re` keeps what it compiled at first use."""
    for path in modules():
        assert "re.compile(" not in path.read_text(), path

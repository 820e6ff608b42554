"""The shape of the package: imports run one way, and each heavy library has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.checkout import PACKAGE

ROOMS = {
    "errors": "",
    "_version": "",
    "adw_id": "errors",
    "documents": "",
    "system": "errors",
    "settings": "errors system",
    "repo": "errors adw_id system settings",
    "pool": "errors adw_id system settings repo",
    "project": "errors system settings repo pool",
    "integrations": "errors system settings repo pool",
    "worktrees.files": "errors system settings repo pool project",
    "worktrees": "errors adw_id system settings repo pool project integrations worktrees.files",
    "worktrees.finish": "errors system settings repo pool project worktrees worktrees.files",
    "api": "errors adw_id system settings repo pool project worktrees.files",
    "orchestration.phases": "errors",
    "orchestration.gates": "system",
    "orchestration.plan": "errors system orchestration.gates orchestration.phases",
    "orchestration.agents": "errors system settings",
    "orchestration.store": "errors system settings orchestration.phases orchestration.plan",
    "orchestration.runs": "errors system settings pool orchestration.store",
    "orchestration.issues": "errors system repo project orchestration.store",
    "orchestration.workflows": "errors system settings orchestration.agents orchestration.plan",
    "orchestration.stages": "errors system pool project repo worktrees.files worktrees.finish "
    "orchestration.agents orchestration.gates orchestration.issues orchestration.phases "
    "orchestration.runs orchestration.store orchestration.workflows",
    "orchestration.running": "errors _version system settings repo pool project worktrees "
    "worktrees.files worktrees.finish orchestration.gates orchestration.issues orchestration.runs "
    "orchestration.stages orchestration.store orchestration.workflows",
    "orchestration": "errors system settings repo pool project worktrees orchestration.agents "
    "orchestration.gates orchestration.issues orchestration.plan orchestration.runs "
    "orchestration.running orchestration.stages orchestration.store orchestration.workflows",
    "board.access": "errors system orchestration.store",
    "board.contents": "errors documents system pool project orchestration.plan "
    "orchestration.store orchestration.runs board.access",
    "board.routes": "errors _version documents system pool project orchestration.plan "
    "orchestration.store orchestration.runs orchestration.running orchestration board.access "
    "board.contents",
    "board": "errors _version system orchestration.store board.access board.contents board.routes",
    "cli": "errors _version adw_id system settings repo pool project worktrees worktrees.files",
    "cli.terminal": "errors system repo pool project worktrees orchestration.phases "
    "orchestration.runs orchestration.store cli",
    "cli.commands": "errors adw_id system settings repo pool project integrations worktrees "
    "worktrees.files worktrees.finish orchestration.plan orchestration.store orchestration.runs "
    "orchestration.running orchestration.agents orchestration board board.access cli "
    "cli.terminal",
    "__init__": "_version api",
    "__main__": "cli",
}
"""Lowest first: a folder, or a file beside the folders, and the rooms that it imports from."""

LOADED_BY_FEW = {
    "board",
    "board.access",
    "board.contents",
    "board.routes",
    "documents",
    "orchestration",
    "orchestration.agents",
    "orchestration.issues",
    "orchestration.gates",
    "orchestration.phases",
    "orchestration.plan",
    "orchestration.running",
    "orchestration.runs",
    "orchestration.stages",
    "orchestration.store",
    "orchestration.workflows",
}
"""Rooms that nothing below them imports: there, a slow library is at home."""

DOORS = {
    "filelock": {"system.long_locks"},
    "genai_prices": {"orchestration.agents.prices"},
    "ftfy": {"orchestration.plan.encoding"},
    "httpx2": {"orchestration.issues.github"},
    "git": set(),  # of GitPython: what runs long will have it, tests ask it for a second opinion
    "markdown_it": {"orchestration.plan.markdown"},
    "platformdirs": {"settings.places"},
    "psutil": {"orchestration.runs.processes", "system.ports", "system.servers"},
    "psycopg": {"orchestration.store.postgres", "worktrees.postgres"},
    "pydantic": {
        "orchestration.agents.registry",
        "orchestration.issues.github",
        "orchestration.plan.feature_file",
        "orchestration.plan.fields",
        "orchestration.plan.front_matter",
        "orchestration.plan.plan",
        "orchestration.plan.reading",
        "orchestration.workflows.definitions",
        "orchestration.workflows.verification_table",
        "pool.document",
        "pool.lease_record",
        "settings.check",
    },
    "pydantic_core": {"settings.check"},
    "rich": {"cli.terminal.lines"},
    "tenacity": {"orchestration.stages.asking"},
    "yaml": {"orchestration.plan.front_matter"},
    "watchdog": {"system.directory_watch", "system.file_watch"},
}
"""Which modules import a library that is slow to load; inside a function, always."""

FORBIDDEN = {"utils", "util", "helpers", "common", "manager", "core", "misc"}


def modules() -> list[Path]:
    """Return the package's modules; a folder's `__init__` only describes it."""
    found = sorted(PACKAGE.rglob("*.py"))
    return [path for path in found if path.name != "__init__.py" or path.parent == PACKAGE]


def module_name(path: Path) -> str:
    """Return a module's name inside the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


NAMES = {module_name(path) for path in modules()}


def room_of(module: str) -> str:
    """Return the room that `module` is in: its folder, or itself beside the folders."""
    return module.rpartition(".")[0] or module


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of this package that `path` imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        package, _, place = node.module.partition(".")
        if package != "adw_worktree":
            continue
        for alias in node.names:
            inner = f"{place}.{alias.name}" if place else alias.name
            yield inner if inner in NAMES else place


def test_every_module_is_in_a_room_of_the_table() -> None:
    assert {room_of(name) for name in NAMES} == ROOMS.keys()


def test_each_room_imports_from_rooms_below_it() -> None:
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert set(below.split()) <= set(order[: order.index(room)]), room


def test_the_table_has_exactly_the_imports_between_rooms() -> None:
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in modules():
        room = room_of(module_name(path))
        found[room] |= {room_of(name) for name in imports(path)} - {room}
    assert found == {room: set(below.split()) for room, below in ROOMS.items()}


def test_imports_are_absolute() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


@pytest.mark.parametrize("room", ROOMS)
def test_no_circle_inside_a_room(room: str) -> None:
    inside = {module_name(path): path for path in modules() if room_of(module_name(path)) == room}
    graph = {name: set(imports(path)) & inside.keys() for name, path in inside.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" -> ".join(exc.args[1]))


def test_a_folder_imports_nothing_and_says_what_it_is() -> None:
    folders = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    assert folders
    for path in folders:
        [only] = ast.parse(path.read_text()).body
        assert isinstance(only, ast.Expr)


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
            if room_of(module_name(path)) in LOADED_BY_FEW:
                continue
            assert module_name(path) in DOORS[library], f"{path} imports {library}"
            assert id(node) in late, f"{path} imports {library} when it is imported"


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_modules_are_short_and_say_what_they_own(path: Path) -> None:
    text = path.read_text()
    assert path.stem not in FORBIDDEN
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


def test_no_module_takes_what_it_may_not_see_for_absent() -> None:
    """Since Python 3.14 the methods of a path say no to either; those of `system.paths` do not."""
    found = [
        (path.name, node.lineno)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.keywords
        if node.func.attr in ("exists", "is_dir", "is_file", "is_symlink") and not node.args
    ]
    assert found == []


SPAWNS = {
    "orchestration.agents.calling",
    "orchestration.agents.check",
    "orchestration.issues.token",
    "orchestration.running.forge",
    "orchestration.running.verifier",
    "orchestration.stages.commands",
    "orchestration.running.delivering",
    "repo.git",
    "worktrees.user_hooks",
    "system.background",
    "system.child_output",
    "integrations.service",
}
PRINTS = {
    "cli.main",
    "cli.commands.trust",
    "orchestration.running.coordinating",
    "orchestration.running.lander",
    "orchestration.running.nursery",
    "orchestration.running.runner",
    "orchestration.running.tidying",
    "orchestration.running.verifier",
    "orchestration.stages.calls",
}
"""The first two ask `cli.output` to; a runner's streams are its log."""


def test_only_repo_git_runs_git_and_only_output_prints() -> None:
    for path in modules():
        text, name = path.read_text(), module_name(path)
        if "subprocess" in text:
            assert name in SPAWNS, path
        if "print(" in text:
            assert name in PRINTS, path
        assert "shell=True" not in text


def test_no_pattern_is_compiled_by_an_import() -> None:
    """It takes as long as all else that a module does; `re` keeps what it compiled at first use."""
    for path in modules():
        assert "re.compile(" not in path.read_text(), path

"""Tests: which of them a runner collects, by the rules of pytest, Jest, Vitest and Go.

What holds here: a function that only looks like a test is none. Rules that a project sets are
followed; those that only a run would tell are not guessed.
"""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from adw_worktree.orchestration.gates.finding import Place
from adw_worktree.orchestration.gates.python_code import Function, dotted, last_name, syntax
from adw_worktree.orchestration.gates.tree import Tree, place_of
from adw_worktree.system.named_tuple import NamedTuple

_SCRIPT_TEST = r"(?:.*[./](?:test|spec)\.[cm]?[jt]sx?|(?:.*/)?__tests__/.*\.[cm]?[jt]sx?)"
_TITLE = r"""\b((?:x|f)?(?:it|test|describe)(?:\.\w+)*)\s*(?:\([^()]{0,200}\)\s*)?\(\s*(['"`])((?:\\.|(?!\2)[^\\]){1,500})\2"""  # noqa: E501


_CONFIGURATIONS = (
    ("pytest.toml", "pytest"),
    (".pytest.toml", "pytest"),
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest"),
    ("pyproject.toml", "tool.pytest.ini_options"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
)
"""Where pytest looks for its options, in this order, and in which section."""


class Rules(NamedTuple):
    """What pytest collects."""

    files: tuple[str, ...] = ("test_*.py", "*_test.py")
    classes: tuple[str, ...] = ("Test",)
    functions: tuple[str, ...] = ("test",)
    paths: tuple[str, ...] = ()


class Found(NamedTuple):
    """A test, or what looks like one."""

    name: str
    """With its class, as in `TestLogin::test_right`."""
    place: Place
    refused: str | None = None
    """Why no runner collects it."""
    skipped: bool = False


def rules(tree: Tree, path: str) -> Rules:
    """Return the rules for a file: of the configuration that is nearest above it."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        found = tree.kept(_rules_in, folder)
        if found is not None:
            return found
    return Rules()


def _rules_in(tree: Tree, folder: str) -> Rules | None:
    prefix = f"{folder}/" if folder else ""
    for name, section in _CONFIGURATIONS:
        text = tree.text(f"{prefix}{name}")
        reader = _toml_options if name.endswith(".toml") else _options
        options = reader(text, section) if text else None
        if options is not None:
            usual = Rules()
            return Rules(
                options.get("python_files") or usual.files,
                options.get("python_classes") or usual.classes,
                options.get("python_functions") or usual.functions,
                tuple(f"{prefix}{one}".rstrip("/") for one in options.get("testpaths", ())),
            )
    return None


def _options(text: str, section: str) -> dict[str, tuple[str, ...]] | None:
    """Return pytest's options; None if a file has none of its own."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    if not parser.has_section(section):
        return None
    return {key: tuple(value.split()) for key, value in parser.items(section) if value}


def _toml_options(text: str, section: str) -> dict[str, tuple[str, ...]] | None:
    """Return pytest's options; None if a file has none of its own."""
    try:
        found: object = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    for key in section.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    # Until version 9, pytest had its options in a table of its table.
    if not isinstance(found, dict) or found.keys() == {"ini_options"}:
        return None
    return {key: _words(value) for key, value in found.items()}


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def refusal(tree: Tree, path: str) -> str | None:
    """Return why pytest does not look into a file."""
    kept, name = rules(tree, path), path.rpartition("/")[2]
    by_unittest = (
        kept.files == Rules().files
        and fnmatchcase(name, "test*.py")
        and "TestCase" in (tree.text(path) or "")
    )
    if not by_unittest and not any(
        fnmatchcase(path if "/" in one else name, one) for one in kept.files
    ):
        return f"its name is none of {', '.join(kept.files)}"
    outside = kept.paths and not any(
        fnmatchcase(path, f"{one}/*") or path.startswith(f"{one}/") or path == one or one == "."
        for one in kept.paths
    )
    return f"it is not below testpaths, {', '.join(kept.paths)}" if outside else None


def python_tests(tree: Tree, path: str) -> list[Found]:
    """Return the functions of a file that are tests, or look like it."""
    module = syntax(tree, path)
    if module is None:
        return []
    kept = rules(tree, path)
    marked = any(
        isinstance(node, ast.Assign) and last_name(node.targets[0]) == "pytestmark"
        and _skips(ast.walk(node.value))
        for node in module.body
    )  # fmt: skip
    found = _within(module.body, "", path, kept, None, marked)
    top = {id(node) for node in _visible(module.body)}
    for node in ast.walk(module):
        if isinstance(node, Function):
            for inner in ast.walk(node):
                if isinstance(inner, Function) and inner is not node and id(inner) not in top:
                    found.append(
                        Found(inner.name, Place(path, inner.lineno), "it is inside of a function")
                    )
        elif isinstance(node, ast.If) and _is_never(node.test):
            for each in node.body:
                if isinstance(each, Function | ast.ClassDef):
                    place = Place(path, each.lineno)
                    found.append(
                        Found(each.name, place, "it is below a condition that never holds")
                    )
    return found


def _visible(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Return the statements of a body, with those below conditions and `try`."""
    found: list[ast.stmt] = []
    waiting = list(body)
    while waiting:
        node = waiting.pop(0)
        found.append(node)
        if isinstance(node, ast.If):
            waiting = [*([] if _is_never(node.test) else node.body), *node.orelse, *waiting]
        elif isinstance(node, ast.Try | ast.With):
            waiting = [*node.body, *waiting]
    return found


def _is_never(test: ast.expr) -> bool:
    is_false = isinstance(test, ast.Constant) and not test.value
    return is_false or last_name(test) == "TYPE_CHECKING"


def _within(
    body: list[ast.stmt], prefix: str, path: str, kept: Rules, refused: str | None, skipped: bool
) -> list[Found]:
    """Return the tests of a module or a class; of several of one name the last counts."""
    found: list[Found] = []
    last: dict[str, int] = {}
    for node in _visible(body):
        if isinstance(node, Function | ast.ClassDef):
            last[node.name] = node.lineno
    for node in _visible(body):
        if not isinstance(node, Function | ast.ClassDef):
            continue
        shadowed = f"line {last[node.name]} defines its name again" \
            if last[node.name] != node.lineno else None  # fmt: skip
        skips = skipped or any(_skips(ast.walk(one)) for one in node.decorator_list)
        reason = refused or shadowed
        if isinstance(node, ast.ClassDef):
            is_unit = any((dotted(base) or "").endswith("TestCase") for base in node.bases)
            outer = reason or _class_refusal(node, kept, is_unit)
            inner = kept._replace(functions=("test",)) if is_unit else kept
            whole = [*_inherited(node, body), *node.body]
            found += _within(whole, f"{prefix}{node.name}::", path, inner, outer, skips)
            found.append(Found(f"{prefix}{node.name}", Place(path, node.lineno), outer, skips))
        else:
            named = any(_begins(node.name, one) for one in kept.functions)
            reason = reason or (None if named else "no rule of pytest has its name")
            reason = reason or _fixture(node)
            skips = skips or _skips_itself(node)
            found.append(Found(f"{prefix}{node.name}", Place(path, node.lineno), reason, skips))
    return found


def _inherited(node: ast.ClassDef, body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the functions that a class has of others in the same body, and does not define."""
    classes = {one.name: one for one in _visible(body) if isinstance(one, ast.ClassDef)}
    own = {one.name for one in node.body if isinstance(one, Function)}
    found: dict[str, ast.stmt] = {}
    waiting, seen = [*node.bases], {node.name}
    while waiting:
        name = last_name(waiting.pop(0))
        base = classes.get(name)
        if base is None or name in seen:
            continue
        seen.add(name)
        for one in base.body:
            if isinstance(one, Function) and one.name not in own:
                found.setdefault(one.name, one)
        waiting += base.bases
    return [*found.values()]


def _begins(name: str, rule: str) -> bool:
    return fnmatchcase(name, rule) if set(rule) & set("*?[") else name.startswith(rule)


def _class_refusal(node: ast.ClassDef, kept: Rules, is_unit: bool) -> str | None:
    if not is_unit and not any(_begins(node.name, one) for one in kept.classes):
        # What it derives from may be a test case of somebody's own.
        return None if node.bases else f"pytest does not collect a class called {node.name}"
    makes = any(isinstance(one, Function) and one.name == "__init__" for one in node.body)
    return f"its class {node.name} has an __init__" if makes and not is_unit else None


def _fixture(node: Function) -> str | None:
    is_fixture = any(last_name(one) == "fixture" for one in node.decorator_list)
    return "it is a fixture" if is_fixture else None


def _skips(nodes: Iterable[ast.AST]) -> bool:
    """Return whether a mark or a call skips in any case."""
    return any(
        isinstance(node, ast.Attribute | ast.Name) and last_name(node) in ("skip", "xfail")
        for node in nodes
    )


def _skips_itself(node: Function) -> bool:
    first = next((one for one in node.body if not isinstance(one, ast.Expr)
                  or not isinstance(one.value, ast.Constant)), None)  # fmt: skip
    is_call = isinstance(first, ast.Expr) and isinstance(first.value, ast.Call)
    return is_call and last_name(first.value) in ("skip", "skipTest")  # type: ignore[union-attr]


def script_tests(tree: Tree, path: str) -> list[Found]:
    """Return the titles of tests in a script."""
    code = tree.code(path)
    is_collected = re.fullmatch(_SCRIPT_TEST, path) is not None
    refused = None if is_collected else "its name is that of no test file"
    found = []
    for match in re.finditer(_TITLE, code):
        skips = match[1].startswith("x") or bool(
            {"skip", "todo", "fixme"} & set(match[1].split("."))
        )
        found.append(Found(match[3], place_of(path, code, match.start()), refused, skips))
    return found


def go_tests(tree: Tree, path: str) -> list[Found]:
    """Return the tests of a Go file."""
    code = tree.code(path)
    refused = None if path.endswith("_test.go") else "its file's name does not end in _test.go"
    skips = r"[^}]{0,200}?\bt\.Skip(?:f|Now)?\("
    return [
        Found(match[1], place_of(path, code, match.start()), refused,
              re.match(skips, code[match.end() :]) is not None)
        for match in re.finditer(r"(?m)^func\s+(Test\w*)\s*\(\s*\w+\s+\*testing\.T\s*\)", code)
    ]  # fmt: skip

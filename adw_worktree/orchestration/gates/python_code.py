"""Python modules as their syntax tree tells them: names, imports, and who imports whom.

What holds here: nothing is imported or run. A name in a comment or a docstring is no use of it.
"""

from __future__ import annotations

import ast
import posixpath
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache

from adw_worktree.orchestration.gates.finding import Place
from adw_worktree.orchestration.gates.tree import Tree, is_test
from adw_worktree.system.named_tuple import NamedTuple

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The one whose syntax is understood here."""
_MOST_TREES = 256
_MOST_OF_A_STRING = 500
_MOST_STEPS = 8
_ROOTS = ("", "src", "lib", "python")
"""Directories that modules are imported from though nothing says so."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """A name that a module has from elsewhere."""

    module: str
    level: int
    """The dots before it."""
    name: str | None
    """None: the module itself."""
    local: str
    line: int


class Code(NamedTuple):
    """A module's names. Each is kept with the first line that has it."""

    imports: list[Import]
    loads: dict[str, int]
    """Names and attributes that are read."""
    strings: dict[str, int]
    """Short strings that are no docstrings."""
    defines: dict[str, int]
    """Functions, classes and assigned names, nested ones too."""
    constants: dict[str, str]
    """Names that are assigned a string."""


def syntax(tree: Tree, path: str) -> ast.Module | None:
    """Return a module's syntax tree; None if it has errors."""
    return tree.kept(_parser)(path)


def code_of(tree: Tree, path: str) -> Code:
    """Return a module's names; none if it has errors."""
    return tree.kept(_code, path)


def _parser(tree: Tree) -> Callable[[str], ast.Module | None]:
    return lru_cache(maxsize=_MOST_TREES)(lambda path: _parsed(tree.text(path)))


def _parsed(text: str | None) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def unreadable(tree: Tree, name: str) -> str | None:
    """Return a module that names something and cannot be read, as one of a later Python cannot."""
    for path in tree.naming(name):
        if path.endswith(".py") and not is_test(path) and syntax(tree, path) is None:
            return path
    return None


def docstrings(module: ast.AST) -> set[int]:
    """Return the ids of strings that stand alone: documentation."""
    return {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _code(tree: Tree, path: str) -> Code:
    code = Code([], {}, {}, {}, {})
    module = syntax(tree, path)
    if module is None:
        return code
    documented = docstrings(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                code.imports.append(Import(alias.name, 0, None, local, node.lineno))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                local = alias.asname or alias.name
                code.imports.append(
                    Import(node.module or "", node.level, alias.name, local, node.lineno)
                )
        elif isinstance(node, ast.Name):
            names = code.loads if isinstance(node.ctx, ast.Load) else code.defines
            names.setdefault(node.id, node.lineno)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            code.loads.setdefault(node.attr, node.end_lineno or node.lineno)
        elif isinstance(node, Function | ast.ClassDef):
            code.defines.setdefault(node.name, node.lineno)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if len(node.value) <= _MOST_OF_A_STRING and id(node) not in documented:
                code.strings.setdefault(node.value, node.lineno)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            _keep_constants(code, node)
    return code


def _keep_constants(code: Code, node: ast.Assign | ast.AnnAssign) -> None:
    if not isinstance(node.value, ast.Constant) or not isinstance(node.value.value, str):
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name):
            code.constants.setdefault(target.id, node.value.value)


def dotted(node: ast.AST | None) -> str | None:
    """Return a name with its attributes, such as `a.b.c`; None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def last_name(node: ast.AST | None) -> str:
    """Return the last part of a name, of an attribute, or of what a call calls; else nothing."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def argument(call: ast.Call, at: int | None, *names: str) -> ast.expr | None:
    """Return an argument of a call, by its place or one of its names."""
    for keyword in call.keywords:
        if keyword.arg in names:
            return keyword.value
    return call.args[at] if at is not None and at < len(call.args) else None


def inside(module: ast.Module) -> Iterator[tuple[ast.AST, Function | None]]:
    """Yield all nodes in order, each with the innermost function that it is in."""
    waiting: list[tuple[ast.AST, Function | None]] = [(module, None)]
    while waiting:
        node, function = waiting.pop()
        yield node, function
        within = node if isinstance(node, Function) else function
        for child in reversed([*ast.iter_child_nodes(node)]):
            decorates = isinstance(node, Function) and child in node.decorator_list
            waiting.append((child, function if decorates else within))


# ---- Modules and files ---------------------------------------------------------------------------


def _by_stem(tree: Tree) -> dict[str, list[str]]:
    """Return the files that can be a module of this last name."""
    found: dict[str, list[str]] = {}
    for path in tree.own:
        folder, _, name = path.rpartition("/")
        if name.endswith(".py"):
            stem = folder.rpartition("/")[2] if name == "__init__.py" else name[:-3]
            found.setdefault(stem, []).append(path)
    return found


def module_files(tree: Tree, importer: str, module: str, level: int = 0) -> list[str]:
    """Return the file that an import means; several if it cannot be told which."""
    folder = posixpath.dirname(importer)
    if level:
        for _ in range(level - 1):
            folder = posixpath.dirname(folder)
        return _module_at(tree, posixpath.join(folder, *filter(None, module.split("."))))
    parts = module.split(".")
    tail = "/".join(parts)
    found: dict[str, list[str]] = {}
    for path in tree.kept(_by_stem).get(parts[-1], ()):
        place = path.removesuffix("/__init__.py").removesuffix(".py")
        if place == tail or place.endswith(f"/{tail}"):
            root = place[: -len(tail)].rstrip("/")
            above = folder == root or folder.startswith(f"{root}/")
            is_root = f"{root}/__init__.py" not in tree and len(parts) > 1
            if root in _ROOTS or is_root or above:
                found.setdefault(root, []).append(path)
    if not found:
        return []
    nearest = max(found, key=lambda root: (len(posixpath.commonprefix([root, folder])), -len(root)))
    return found[nearest]


def _module_at(tree: Tree, place: str) -> list[str]:
    here = [f"{place}.py", f"{place}/__init__.py" if place else "__init__.py"]
    return [path for path in here if path in tree]


def targets(tree: Tree, importer: str, found: Import) -> list[str]:
    """Return the files that an import loads: the module, or the one inside it that it names."""
    if found.name is not None and found.name != "*":
        below = f"{found.module}.{found.name}" if found.module else found.name
        inner = module_files(tree, importer, below, found.level)
        if inner:
            return inner
    return module_files(tree, importer, found.module, found.level)


def importing(tree: Tree, path: str) -> list[tuple[str, Import]]:
    """Return the imports of a file, each with the module that has it; those of tests too."""
    folder, _, name = path.rpartition("/")
    stem = folder.rpartition("/")[2] if name == "__init__.py" else name.removesuffix(".py")
    near = tree.sources("python", tests=True)
    return [
        (other, one)
        for other in (sorted(set(tree.naming(stem)) & set(near)) if stem else near)
        for one in code_of(tree, other).imports
        if other != path and path in targets(tree, other, one)
    ]


def uses(tree: Tree, path: str, name: str) -> list[Place]:
    """Return where other modules use what `path` defines as `name`, re-exports followed."""
    found: list[Place] = []
    seen, waiting = {(path, name)}, [(path, name)]
    while waiting and len(seen) < _MOST_STEPS * 100:
        source, called = waiting.pop()
        for other, one in tree.kept(importing, source):
            from_module = one.name in (called, "*") and source in module_files(
                tree, other, one.module, one.level
            )
            local = one.local if from_module and one.name != "*" else called
            line = code_of(tree, other).loads.get(local)
            if line is not None:
                found.append(Place(other, line))
            if from_module and (other, local) not in seen:
                seen.add((other, local))
                waiting.append((other, local))
    return sorted(set(found))

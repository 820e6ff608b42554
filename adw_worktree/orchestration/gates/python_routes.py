"""The routes of Python apps: FastAPI, Flask, Django, Starlette and what is like them.

What holds here: names are followed through imports and re-exports to the router that they mean.
"""

from __future__ import annotations

import ast
import re

from adw_worktree.orchestration.gates.finding import Place
from adw_worktree.orchestration.gates.python_code import (
    code_of,
    dotted,
    last_name,
    module_files,
    syntax,
    targets,
)
from adw_worktree.orchestration.gates.python_scan import INCLUDES, RawInclude, RawRoute, scan
from adw_worktree.orchestration.gates.routing import Include, Owner, Route, Router, Routing
from adw_worktree.orchestration.gates.tree import Tree, is_test

_MOST_STEPS = 8


def python_routing(tree: Tree) -> Routing:
    """Return the routes of all Python files, and the includes of tests apart."""
    found = Routing()
    for path in tree.sources("python"):
        raw = tree.kept(scan, path)
        if syntax(tree, path) is None and re.search(INCLUDES, tree.text(path) or ""):
            found.unreadable.append(Place(path, 1))
        found.routers |= {(path, name): router for name, router in raw.routers.items()}
    _mark_django_roots(tree, found)
    for path in tree.sources("python", tests=True):
        raw = tree.kept(scan, path)
        for include in raw.includes:
            _keep_include(tree, path, include, found)
        for route in () if is_test(path) else raw.routes:
            _keep_route(tree, path, route, found)
    return found


def _mark_django_roots(tree: Tree, found: Routing) -> None:
    """Take the list of patterns that the settings name for an app."""
    for path in tree.naming("ROOT_URLCONF"):
        module = code_of(tree, path).constants.get("ROOT_URLCONF") if path.endswith(".py") else None
        for file in module_files(tree, path, module) if module and not is_test(path) else ():
            router = found.routers.get((file, "urlpatterns"))
            if router is not None:
                found.routers[file, "urlpatterns"] = router._replace(kind="app")


def _keep_route(tree: Tree, path: str, raw: RawRoute, found: Routing) -> None:
    place = Place(path, raw.line)
    if raw.function is not None:  # of an app that is given: it counts if somebody gives one
        owner: Owner = (path, f"{raw.function}()")
        found.routers.setdefault(owner, Router("router", "", place))
        caller = _caller(tree, path, raw.function)
        if caller is not None:
            found.includes.append(Include(None, owner, "", caller))
    else:
        owner = _owner(tree, path, raw.on) or (path, raw.on)
        if owner not in found.routers:
            found.routers[owner] = Router("unknown", "", place)
    found.routes.append(Route(owner, raw.methods, raw.path, place))


def _keep_include(tree: Tree, path: str, raw: RawInclude, found: Routing) -> None:
    place = Place(path, raw.line)
    if raw.function is not None and _caller(tree, path, raw.function) is None:
        return
    children = _children(tree, path, raw.child)
    if children is None:
        if not is_test(path):
            found.unreadable.append(place)
        return
    parent = _owner(tree, path, raw.parent) if raw.parent else None
    for child in children:
        include = Include(parent, child, raw.prefix, place, raw.replaces)
        (found.test_includes if is_test(path) else found.includes).append(include)


def _caller(tree: Tree, path: str, function: str) -> Place | None:
    """Return where a function is called or given away, tests apart."""
    for other in tree.naming(function):
        line = code_of(tree, other).loads.get(function) if other.endswith(".py") else None
        if line is not None and not is_test(other):
            return Place(other, line)
    return None


def _owner(tree: Tree, path: str, name: str, steps: int = 0) -> Owner | None:
    """Return the router that a dotted name means in a file."""
    raw = tree.kept(scan, path)
    if name in raw.routers:
        return path, name
    head, _, rest = name.partition(".")
    if rest and head in raw.routers:
        return path, head  # such as `router.urls`
    if steps > _MOST_STEPS:
        return None
    for one in code_of(tree, path).imports:
        if one.name is None and one.local == head:
            module = one.module if name.startswith(f"{one.module}.") else head
            inner = name[len(module) + 1 :]
            where = module_files(tree, path, one.module)
        elif one.name == "*" or one.local == head:
            files = module_files(tree, path, one.module, one.level)
            below = targets(tree, path, one)
            is_module = below != files
            inner = rest if is_module else f"{one.name}.{rest}" if rest else one.name or ""
            inner = name if one.name == "*" else inner
            where = below
        else:
            continue
        for file in where if inner else ():
            found = _owner(tree, file, inner, steps + 1) if file != path else None
            if found is not None:
                return found
    return None


def _children(tree: Tree, path: str, given: ast.expr, steps: int = 0) -> list[Owner] | None:
    """Return the routers that an expression means; None if only a run would tell."""
    raw = tree.kept(scan, path)
    if steps > _MOST_STEPS:
        return None
    if isinstance(given, ast.List | ast.Tuple):
        found = [_children(tree, path, each, steps + 1) for each in given.elts]
        return [owner for each in found for owner in each or ()]
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return [(file, "urlpatterns") for file in module_files(tree, path, given.value)]
    if isinstance(given, ast.Call):
        return _made_by(tree, path, given)
    name = dotted(given)
    if name is None:
        return None
    owner = _owner(tree, path, name)
    if owner is not None:
        return [owner]
    if name in raw.loops:
        return _children(tree, path, raw.loops[name], steps + 1)
    listed = _listed(tree, path, name, steps)
    return [] if listed is None and _is_foreign(tree, path, name) else listed


def _is_foreign(tree: Tree, path: str, name: str) -> bool:
    """Return whether a name is imported from outside of the repository."""
    head = name.partition(".")[0]
    found = [one for one in code_of(tree, path).imports if one.local == head]
    return bool(found) and not any(targets(tree, path, one) for one in found)


def _listed(tree: Tree, path: str, name: str, steps: int) -> list[Owner] | None:
    """Return the routers of a list, which may be another module's."""
    raw = tree.kept(scan, path)
    if name in raw.lists:
        found = [_children(tree, path, each, steps + 1) for each in raw.lists[name]]
        return [owner for each in found for owner in each or ()]
    last = name.rpartition(".")[2]
    for one in code_of(tree, path).imports:
        for file in targets(tree, path, one) if one.local == name.partition(".")[0] else ():
            if file != path and last in tree.kept(scan, file).lists:
                return _listed(tree, file, last, steps + 1)
            if file != path and (file, "urlpatterns") == (file, last):
                return [(file, last)]
    return None


def _made_by(tree: Tree, path: str, call: ast.Call) -> list[Owner] | None:
    """Return the routers that a function makes."""
    name = last_name(call)
    files = [path]
    for one in code_of(tree, path).imports:
        if one.local in (name, (dotted(call.func) or "").partition(".")[0]):
            files += targets(tree, path, one)
            name = one.name if one.name and one.local == name else name
    found = [
        (file, made)
        for file in files
        for made, router in tree.kept(scan, file).routers.items()
        if router.made_in == name
    ]
    is_dynamic = name in ("getattr", "import_module", "__import__", "load", "import_string")
    return found or (None if is_dynamic else [])

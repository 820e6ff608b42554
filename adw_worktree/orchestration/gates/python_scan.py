"""What a Python file says of routes: routers, paths, includes; names are not yet looked up."""

from __future__ import annotations

import ast
import re

from adw_worktree.orchestration.gates.finding import Place
from adw_worktree.orchestration.gates.python_code import (
    Function,
    argument,
    code_of,
    dotted,
    inside,
    last_name,
    module_files,
    syntax,
)
from adw_worktree.orchestration.gates.routing import ANY, COMPUTED, Router, joined
from adw_worktree.orchestration.gates.tree import Tree
from adw_worktree.system.named_tuple import NamedTuple

_APPS = frozenset(
    {"FastAPI", "Flask", "Quart", "Starlette", "Sanic", "Litestar", "Bottle", "APIFlask",
     "OpenAPI", "Robyn"}
)  # fmt: skip
_ROUTERS = r"\w*(?:Router|Blueprint|NinjaAPI)"
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
_ADDS = frozenset(
    {"add_api_route", "add_url_rule", "add_route", "add_resource", "add_api_websocket_route",
     "add_websocket_route"}
)  # fmt: skip
_INCLUDES = frozenset({"include_router", "register_blueprint", "mount", "blueprint", "add_router"})
_LISTED = frozenset({"Route", "WebSocketRoute", "APIRoute", "Mount"})
_DJANGO = frozenset({"path", "re_path", "url"})
INCLUDES = r"\b(?:include_router|register_blueprint|urlpatterns|mount|add_router)\b"
"""By which a file that cannot be read may include routers."""
_SPEAKS = r"\b(?:urlpatterns|(?:Web[Ss]ocket)?Route|\w*Router|\w*Blueprint|add_\w+|include_router" \
    r"|register_blueprint|mount|FastAPI|Flask|Quart|Starlette)\b|@\s*[\w.]+\.\w+\("  # fmt: skip


class RawRoute(NamedTuple):
    """A path, and the name of what it is defined on."""

    on: str
    methods: frozenset[str]
    path: str
    line: int
    function: str | None
    """The function that has it, if `on` is its argument."""


class RawInclude(NamedTuple):
    """An include, with the expressions that it has."""

    parent: str | None
    child: ast.expr
    prefix: str
    line: int
    replaces: bool
    function: str | None


class Scan:
    """What one file says."""

    def __init__(self) -> None:
        self.routers: dict[str, Router] = {}
        self.routes: list[RawRoute] = []
        self.includes: list[RawInclude] = []
        self.lists: dict[str, list[ast.expr]] = {}
        self.loops: dict[str, ast.expr] = {}


def scan(tree: Tree, path: str) -> Scan:
    """Return what a file says of routes."""
    found = Scan()
    module = syntax(tree, path)
    if module is None or not re.search(_SPEAKS, tree.text(path) or ""):
        return found
    reader = _Reader(tree, path, found)
    for node, function in inside(module):
        reader.read(node, function)
    return found


class _Reader:
    def __init__(self, tree: Tree, path: str, found: Scan) -> None:
        self.tree, self.path, self.found = tree, path, found

    def read(self, node: ast.AST, function: Function | None) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                name = dotted(target)
                if name is not None:
                    self._assigned(name, node.value, node.lineno, function)
        elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
            self.found.loops[node.target.id] = node.iter
        elif isinstance(node, Function):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    self._decorated(decorator, function)
        elif isinstance(node, ast.Call):
            self._called(node, function)

    def _assigned(self, name: str, value: ast.expr, line: int, function: Function | None) -> None:
        if isinstance(value, ast.Call):
            called = last_name(value)
            is_app = called in _APPS
            if is_app or re.fullmatch(_ROUTERS, called):
                prefix = self._text(argument(value, None, "prefix", "url_prefix"))
                place = Place(self.path, line)
                made_in = function.name if function else None
                self.found.routers[name] = Router(
                    "app" if is_app else "router", prefix, place, made_in
                )
                self._listed(name, argument(value, None, "routes"))
                return
        if name == "urlpatterns":
            self._router(name, line)
            for call in ast.walk(value):
                if isinstance(call, ast.Call) and last_name(call) in _DJANGO:
                    self._django(name, call)
        elif isinstance(value, ast.List | ast.Tuple):
            self.found.lists.setdefault(name, []).extend(value.elts)
            if any(last_name(each) in _LISTED for each in value.elts):
                self._router(name, line)
                self._listed(name, value)

    def _router(self, name: str, line: int) -> None:
        self.found.routers.setdefault(name, Router("router", "", Place(self.path, line)))

    def _listed(self, name: str, routes: ast.expr | None, prefix: str = "") -> None:
        """Read a list of routes, or the name of one, that belongs to `name`."""
        if routes is None:
            return
        if not isinstance(routes, ast.List | ast.Tuple):
            self._include(name, routes, prefix, routes.lineno)
            return
        for each in routes.elts:
            if not isinstance(each, ast.Call) or last_name(each) not in _LISTED:
                continue
            path = joined(prefix, self._text(argument(each, 0, "path")))
            if last_name(each) == "Mount":
                inner = argument(each, 1, "routes", "app")
                is_app = isinstance(inner, ast.Call)
                self._listed(name, argument(inner, None, "routes") if is_app else inner, path)  # type: ignore[arg-type]
            else:
                is_socket = last_name(each) == "WebSocketRoute"
                methods = frozenset({"WS"}) if is_socket else self._methods(each, {"GET"})
                self._route(name, methods, path, each.lineno, None)

    def _django(self, name: str, call: ast.Call) -> None:
        path, view = self._text(argument(call, 0, "route", "regex")), argument(call, 1, "view")
        inner = view.args[0] if isinstance(view, ast.Call) and view.args else None
        if last_name(view) == "include" and isinstance(view, ast.Call) and inner is not None:
            if isinstance(inner, ast.Tuple) and inner.elts:
                inner = inner.elts[0]
            self._include(name, inner, path, call.lineno)
        elif isinstance(view, ast.Attribute) and view.attr == "urls":
            self._include(name, view, path, call.lineno)
        else:
            self._route(name, ANY, path, call.lineno, None)

    def _decorated(self, call: ast.Call, function: Function | None) -> None:
        verb, on = last_name(call), call.func
        owner = dotted(on.value) if isinstance(on, ast.Attribute) else None
        given = argument(call, 0, "path", "rule")
        if owner is None or given is None:
            return
        if verb in _VERBS:
            methods = frozenset({verb.upper()})
        elif verb in ("websocket", "websocket_route"):
            methods = frozenset({"WS"})
        elif verb in ("route", "api_route"):
            methods = self._methods(call, {"GET"})
        else:
            return
        self._route(owner, methods, self._text(given), call.lineno, _taker(owner, function))

    def _called(self, call: ast.Call, function: Function | None) -> None:
        if not isinstance(call.func, ast.Attribute):
            if last_name(call) in _APPS:
                routes = argument(call, None, "routes")
                if routes is not None and not isinstance(routes, ast.List):
                    self._include(None, routes, "", call.lineno)
            return
        verb, owner = call.func.attr, dotted(call.func.value)
        if owner is None:
            return
        taker = _taker(owner, function)
        if verb in _ADDS and call.args:
            self._added(owner, verb, call, taker)
        elif verb == "register" and owner in self.found.routers and len(call.args) >= 2:
            path = self._text(call.args[0])  # the set of views of Django's REST framework
            self._route(owner, ANY, path, call.lineno, None)
            self._route(owner, ANY, joined(path, "{pk}"), call.lineno, None)
        elif verb in _INCLUDES:
            second = verb in ("mount", "add_router")
            child = argument(call, 1 if second else 0, "app", "router", "blueprint")
            prefix = argument(call, 0 if second else None, "prefix", "url_prefix", "path")
            if child is not None:
                parent = None if taker else owner
                replaces = verb == "register_blueprint"
                self.found.includes.append(
                    RawInclude(parent, child, self._text(prefix), call.lineno, replaces, taker)
                )

    def _added(self, owner: str, verb: str, call: ast.Call, taker: str | None) -> None:
        if verb == "add_resource":
            paths, methods = call.args[1:], ANY
        else:
            paths = call.args[:1]
            by_view = any(isinstance(each, ast.Call) for each in
                          (*call.args[1:], *(word.value for word in call.keywords)))  # fmt: skip
            methods = ANY if by_view else self._methods(call, {"GET"})
            methods = frozenset({"WS"}) if "websocket" in verb else methods
        for each in paths:
            self._route(owner, methods, self._text(each), call.lineno, taker)

    def _route(
        self, on: str, methods: frozenset[str], path: str, line: int, function: str | None
    ) -> None:
        self.found.routes.append(RawRoute(on, methods, path, line, function))

    def _include(self, parent: str | None, child: ast.expr, prefix: str, line: int) -> None:
        self.found.includes.append(RawInclude(parent, child, prefix, line, False, None))

    def _methods(self, call: ast.Call, usual: set[str]) -> frozenset[str]:
        given = argument(call, None, "methods")
        if given is None:
            return frozenset(usual)
        if not isinstance(given, ast.List | ast.Tuple | ast.Set):
            return ANY
        texts = [self._text(each).upper() for each in given.elts]
        return ANY if any(COMPUTED in text for text in texts) else frozenset(texts)

    def _text(self, given: ast.expr | None) -> str:
        """Return the text of an expression; what only a run would tell is COMPUTED."""
        if given is None:
            return ""
        if isinstance(given, ast.Constant):
            return given.value if isinstance(given.value, str) else COMPUTED
        if isinstance(given, ast.JoinedStr):
            parts = [each.value if isinstance(each, ast.FormattedValue) else each
                     for each in given.values]  # fmt: skip
            return "".join(self._text(each) for each in parts)
        if isinstance(given, ast.BinOp) and isinstance(given.op, ast.Add):
            sides = [given.right]
            left = given.left
            while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
                sides.append(left.right)
                left = left.left
            return "".join(self._text(side) for side in (left, *reversed(sides)))
        return self._constant(given.id) if isinstance(given, ast.Name) else COMPUTED

    def _constant(self, name: str) -> str:
        code = code_of(self.tree, self.path)
        if name in code.constants:
            return code.constants[name]
        for one in code.imports:
            if one.local == name and one.name is not None:
                for path in module_files(self.tree, self.path, one.module, one.level):
                    if one.name in code_of(self.tree, path).constants:
                        return code_of(self.tree, path).constants[one.name]
        return COMPUTED


def _taker(owner: str, function: Function | None) -> str | None:
    """Return the function that `owner` is an argument of."""
    if function is None:
        return None
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return function.name if owner.partition(".")[0] in names and owner != "self" and \
        not owner.startswith("self.") else None  # fmt: skip

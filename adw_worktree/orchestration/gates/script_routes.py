"""The routes of JavaScript apps: Express, Hono, Fastify, Koa, and Next.js and SvelteKit by place.

What holds here: a call of `get` or `post` counts on what is made as an app or a router, or is given
to the function that has it; a client's does not.
"""

from __future__ import annotations

import re

from adw_worktree.orchestration.gates.finding import Place
from adw_worktree.orchestration.gates.routing import (
    ANY,
    COMPUTED,
    Include,
    Owner,
    Route,
    Router,
    Routing,
)
from adw_worktree.orchestration.gates.script_code import importing, imports, is_entry, packages
from adw_worktree.orchestration.gates.tree import Tree, is_test, place_of

_APP = (
    r"(?:express|require\([\'\"]express[\'\"]\))\s*\(|[Ff]astify\s*\(|new\s+(?:Koa|Elysia)\s*[<(]"
)
_ROUTER = (
    r"(?:(?:express|require\([^)\n]{1,60}\))\s*\.\s*)?Router\s*\("
    r"|new\s+(?:Hono|OpenAPIHono|Router|KoaRouter)\s*[<(]"
)
_MADE = (
    r"\b(?:(?:const|let|var)\s+([\w$]+)\s*(?::[^=\n]{0,100})?=|export\s+default)\s*(?:await\s+)?"
    rf"(?:({_APP})|{_ROUTER})"
)
_GIVEN = r"(?:\bfunction\b[^(\n]{0,80}\(|=\s*(?:async\s*)?\(|\bdefault\s+(?:async\s*)?\()\s*" \
    r"(app|router|server|fastify|instance)\b"  # fmt: skip
_VERB = r"get|post|put|patch|delete|del|head|options|all"
_PATH = r"""(['"`])((?:\\.|(?!\3)[^\\\n]){1,300})\3"""
_ROUTE = (
    rf"(?:\b([\w$]+)|\))\s*\.\s*({_VERB}|route|ws)\s*(?:<[^<>()]{{0,200}}>)?\(\s*{_PATH}\s*([,)])"
)
_LATER = rf"\s*\.\s*({_VERB})\s*\("
_INCLUDE = (
    r"(?:\b([\w$]+)|\))\s*\.\s*(use|register|route|mount)\s*\(\s*"
    r"(?:['\"`]([^'\"`\n]{0,300})['\"`]\s*,)?(?=([^;]{0,400}))"
)
_PREFIX = r"""\bprefix\s*:\s*['"`]([^'"`\n]{0,300})['"`]"""
_MOST_STEPS = 5
_GIVEN_NAME = "(given)"
_NEXT = r"(?:^|/)app/(.*/)?route\.[jt]sx?"
_NEXT_PAGES = r"(?:^|/)pages/(api/.*)\.[jt]sx?"
_SVELTE = r"(?:^|/)routes/(.*/)?\+server\.[jt]s"
_NUXT = r"(?:^|/)server/(api|routes)/(.+?)(?:\.(get|post|put|patch|delete))?\.[jt]s"
_HANDLER = (
    r"\bexport\s+(?:async\s+)?(?:function|const)\s+(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b"
)


def script_routing(tree: Tree) -> Routing:
    """Return the routes of all scripts, and the includes of tests apart."""
    found = Routing()
    paths = [
        path for path in tree.sources("script", tests=True)
        if re.search(rf"{_APP}|{_ROUTER}|{_GIVEN}", tree.code(path))
    ]  # fmt: skip
    for path in paths:
        if not is_test(path):
            _keep_routers(tree, path, found)
    for path in paths:
        if not is_test(path):
            _keep_routes(tree, path, found)
        _keep_includes(tree, path, found)
    _keep_given(tree, found)
    for path in tree.sources("script"):
        _keep_placed(tree, path, found)
    return found


def _keep_routers(tree: Tree, path: str, found: Routing) -> None:
    code = tree.code(path)
    for match in re.finditer(_MADE, code):
        kind = "app" if match[2] else "router"
        name, place = match[1] or "default", place_of(path, code, match.start())
        # An instance of Hono is an app as well: one that nothing includes and that is served.
        begins = is_entry(tree, path) and re.search(r"\bexport\s+default\b", code) is not None
        serves = begins or re.search(r"\b(?:serve|handle|listen|fire)\s*\(", code) is not None
        is_app = kind == "app" or ("Hono" in match[0] and serves)
        based = re.search(
            rf"{re.escape(match[0])}[^;]{{0,200}}\.basePath\(\s*['\"]([^'\"\n]+)", code
        )
        prefix = based[1] if based else ""
        new = Router("app" if is_app else "router", prefix, place)
        found.routers.setdefault((path, name), new)
    given = re.search(_GIVEN, code)
    if given is not None:
        place = place_of(path, code, given.start(1))
        found.routers.setdefault((path, _GIVEN_NAME), Router("router", "", place))


def _keep_routes(tree: Tree, path: str, found: Routing) -> None:
    code = tree.code(path)
    given = {match[1] for match in re.finditer(_GIVEN, code)}
    for match in re.finditer(_ROUTE, code):
        on, verb, route = match[1], match[2], match[4].replace("\\/", "/")
        place = place_of(path, code, match.start(2))
        on = on or _chained(path, place, found)
        if on is None or not ((path, on) in found.routers or on in given):
            owner = _imported(tree, path, on, found) if on else None
        else:
            owner = (path, on) if (path, on) in found.routers else (path, _GIVEN_NAME)
        if owner is None or not route.startswith(("/", ":", "*", "{", "$")):
            continue
        route = re.sub(r"\$\{[^}]*\}", COMPUTED, route)
        if verb == "route":
            if match[5] == ")":
                for each in _later(code[match.end() : match.end() + 2000]):
                    found.routes.append(Route(owner, each, route, place))
        else:
            methods = ANY if verb == "all" else frozenset({_method(verb)})
            found.routes.append(Route(owner, methods, route, place))


def _chained(path: str, place: Place, found: Routing) -> str | None:
    """Return the router of a call that follows another, as in `new Hono().get(…).post(…)`."""
    before = [
        (router.place.line, name)
        for (file, name), router in found.routers.items()
        if file == path and name != _GIVEN_NAME and router.place.line <= place.line
    ]
    return max(before)[1] if before else None


def _later(code: str) -> list[frozenset[str]]:
    """Return the methods that follow `route(path)`, up to the end of the statement."""
    verbs = re.findall(_LATER, re.split(r";|\n\s*\n", code, maxsplit=1)[0])
    return [ANY if verb == "all" else frozenset({_method(verb)}) for verb in verbs]


def _method(verb: str) -> str:
    return {"del": "DELETE"}.get(verb, verb.upper())


def _keep_includes(tree: Tree, path: str, found: Routing) -> None:
    code = tree.code(path)
    for match in re.finditer(_INCLUDE, code):
        place = place_of(path, code, match.start(2))
        parent: Owner | None = (path, match[1] or _chained(path, place, found) or "")
        if parent not in found.routers:
            parent = (path, _GIVEN_NAME) if (path, _GIVEN_NAME) in found.routers else None
        rest = _call(match[4])
        prefix = re.search(_PREFIX, rest)
        at = match[3] or (prefix[1] if prefix else "")
        if re.search(r"(?i)auto-?load", rest) and not is_test(path):
            found.unreadable.append(place)
        for child in _named(tree, path, rest, found):
            kept = found.test_includes if is_test(path) else found.includes
            kept.append(Include(parent, child, at, place))


def _call(rest: str) -> str:
    """Return what stands before the bracket that closes a call."""
    depth = 1
    for at, char in enumerate(rest):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return rest[:at]
    return rest


def _named(tree: Tree, path: str, rest: str, found: Routing) -> list[Owner]:
    """Return the routers that the arguments of a call name."""
    owners = []
    for name in dict.fromkeys(re.findall(r"[\w$]+", re.sub(r"=>.*", "", rest, flags=re.DOTALL))):
        owner = (path, name) if (path, name) in found.routers else None
        owner = owner or _imported(tree, path, name, found)
        if owner is not None:
            owners.append(owner)
    for one in imports(tree, path):
        stem = one.file.partition("/index.")[0].rpartition("/")[2].partition(".")[0]
        if one.kind == "lazy" and stem in rest:
            owners += _routers_of(tree, one.file, found)
    return owners


def _imported(tree: Tree, path: str, name: str, found: Routing) -> Owner | None:
    for one in imports(tree, path):
        if one.local == name:
            there = (one.file, one.name)
            if there in found.routers:
                return there
            owners = _routers_of(tree, one.file, found)
            return owners[0] if owners else None
    return None


def _routers_of(tree: Tree, file: str, found: Routing, steps: int = 0) -> list[Owner]:
    """Return the routers of a file, or of those that it passes on."""
    own = [owner for owner in found.routers if owner[0] == file]
    if own or steps > _MOST_STEPS:
        return own
    return [
        owner
        for one in imports(tree, file)
        if one.kind in ("export", "require")
        for owner in _routers_of(tree, one.file, found, steps + 1)
    ]


def _keep_given(tree: Tree, found: Routing) -> None:
    """Take a function that an app is given to for included where its file is imported and used."""
    included = {include.child for include in found.includes}
    for owner in [owner for owner in found.routers if owner[1] == _GIVEN_NAME]:
        for path, one in importing(tree, owner[0]):
            calls = one.local and re.search(rf"\b{re.escape(one.local)}\s*\(", tree.code(path))
            if owner not in included and (calls or one.kind == "lazy") and not is_test(path):
                found.includes.append(Include(None, owner, "", Place(path, one.line)))


def _keep_placed(tree: Tree, path: str, found: Routing) -> None:
    """Keep the routes of a file that a framework finds by its place."""
    used = tree.kept(packages)
    route, methods = None, ANY
    if "next" in used and (match := re.search(rf"{_NEXT}$", path)):
        route = re.sub(r"\([^/]*\)/", "", match[1] or "")
    elif "next" in used and (match := re.search(rf"{_NEXT_PAGES}$", path)):
        route = re.sub(r"(^|/)index$", "", match[1])
    elif "@sveltejs/kit" in used and (match := re.search(rf"{_SVELTE}$", path)):
        route = re.sub(r"\([^/]*\)/", "", match[1] or "")
    elif "nuxt" in used and (match := re.search(rf"{_NUXT}$", path)):
        route = ("api/" if match[1] == "api" else "") + re.sub(r"(^|/)index$", "", match[2])
        methods = frozenset({match[3].upper()}) if match[3] else ANY
    if route is None:
        return
    owner = (path, "(placed)")
    found.routers[owner] = Router("app", "", Place(path, 1))
    handlers = list(re.finditer(_HANDLER, tree.code(path)))
    if not handlers:
        found.routes.append(Route(owner, methods, f"/{route}", Place(path, 1)))
    for handler in handlers:
        place = place_of(path, tree.code(path), handler.start())
        found.routes.append(Route(owner, frozenset({handler[1]}), f"/{route}", place))

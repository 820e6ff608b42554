"""Endpoints: defined on a router that leads to an app, and answering the method that is planned.

What holds here: a path that is only written somewhere never passes. An app that is made in a way
that is not understood gives `unknown`, never `fail`.
"""

from __future__ import annotations

import re

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.files import user_of
from adw_worktree.orchestration.gates.finding import Finding, Place
from adw_worktree.orchestration.gates.python_code import code_of
from adw_worktree.orchestration.gates.python_routes import python_routing
from adw_worktree.orchestration.gates.routing import (
    COMPUTED,
    Way,
    is_part,
    matches,
    segments,
    ways,
)
from adw_worktree.orchestration.gates.script_routes import script_routing
from adw_worktree.orchestration.gates.tree import Tree, is_test, language, place_of

_ROUTINGS = (python_routing, script_routing)


def check_endpoint(checker: Checker, tree: Tree) -> Finding:
    """Find the endpoint's route, and the app that it leads to."""
    method, _, path = checker.subject.rpartition(" ")
    found = tree.kept(_all_ways)
    same = [way for way in found if matches(path, way.path)]
    right = [way for way in same if _answers(way, method)]
    for way in right:
        if way.end == "app":
            return _found(way, checker, tree)
    if right:
        return _unreached(right[0], tree)
    answered = sorted({one for way in same if way.end == "app" for one in way.route.methods})
    if answered:
        at = next(way for way in same if way.end == "app").route.place
        return Finding("fail", f"{at} answers {', '.join(answered)} there, not {method}")
    near = [way for way in found if is_part(path, way.path) and _answers(way, method)]
    near.sort(key=lambda way: way.end == "app")
    for way in near:
        if way.end != "app":
            return _unreached(way, tree)
        return Finding("warn", f"{way.route.place} answers at {_shown(way)}, not at {path}")
    for way in found:
        if _is_meant(way, checker) and _answers(way, method):
            return Finding("fail", f"{way.route.place} answers at {_shown(way)}, not at {path}")
    return _undefined(path, tree)


def _all_ways(tree: Tree) -> list[Way]:
    return [way for routing in _ROUTINGS for way in ways(tree.kept(routing))]


def _found(way: Way, checker: Checker, tree: Tree) -> Finding:
    """Return what is to be said of a route that leads to an app: its module has to be loaded."""
    path = way.route.place.path
    is_own = path == way.last[0] or language(path) != "python"
    if is_own or user_of(tree, path) is not None:
        return Finding("pass", _reached(way, checker))
    what = f"{way.route.place} defines it, and nothing imports that file"
    return Finding("warn", f"{what} ({tree.searched})")


def _is_meant(way: Way, checker: Checker) -> bool:
    """Return whether a way ends as planned, in the planned file, under another prefix."""
    if way.end != "app" or checker.place is None:
        return False
    wanted, there = segments(checker.subject.rpartition(" ")[2]), segments(way.path)
    if not wanted or not there or wanted[-1] in ("{}", COMPUTED):
        return False
    return wanted[-1] == there[-1] and way.route.place.path.endswith(checker.place)


def _shown(way: Way) -> str:
    return "/" + "/".join(segments(way.path)).replace(COMPUTED, "…")


def _answers(way: Way, method: str) -> bool:
    methods = way.route.methods
    return not method or not methods or method in methods or (method == "HEAD" and "GET" in methods)


def _reached(way: Way, checker: Checker) -> str:
    place = way.route.place
    said = f"{place} defines it"
    if way.included is not None:
        said += f"; {way.included} includes its router"
    if not way.route.methods:
        said += "; its handler decides which methods it answers"
    if checker.place is not None and not place.path.endswith(checker.place):
        said += f"; not in {checker.place}, as planned"
    return said


def _unreached(way: Way, tree: Tree) -> Finding:
    """Return what is to be said of a route that leads to no app."""
    place, name = way.route.place, way.last[1]
    routings = [tree.kept(routing) for routing in _ROUTINGS]
    if way.end == "unknown":
        return Finding("unknown", f"{place} defines it on {name}, which is made in no known way")
    unreadable = [place for routing in routings for place in routing.unreadable]
    if unreadable:
        reason = f"{unreadable[0]} includes routers in a way that cannot be read"
        return Finding("unknown", f"{place} defines it; {reason}")
    if name == "urlpatterns" and not tree.naming("ROOT_URLCONF"):
        return Finding("unknown", f"{place} defines it; no settings name the first list of paths")
    tests = [one.place for routing in routings for one in routing.test_includes
             if one.child == way.last]  # fmt: skip
    if tests:
        return Finding("fail", f"only a test, {tests[0]}, includes the router of {place}")
    if name.endswith("()"):
        return Finding("fail", f"nothing calls {name} of {place} ({tree.searched})")
    return Finding("fail", f"nothing includes the router of {place} ({tree.searched})")


def _undefined(path: str, tree: Tree) -> Finding:
    """Return what is to be said of a path that no route has."""
    literal = [part for part in segments(path) if part != "{}"]
    last = literal[-1] if literal else ""
    named = _in_code(tree, last) if last else []
    others = [place for place in named if language(place.path) == "other"]
    if others:
        return Finding(
            "unknown", f"{others[0]} names {last}; routes cannot be read in that language"
        )
    routings = [tree.kept(routing) for routing in _ROUTINGS]
    understood = any(routing.routes for routing in routings)
    computed = [
        route.place
        for routing in routings
        for route in routing.routes
        if set(segments(route.path)) == {COMPUTED}
    ]
    decorated = [
        place for place in named
        if re.search(r"@Controller\b|createTRPC|\brouter\(\{", tree.text(place.path) or "")
    ]  # fmt: skip
    if named and (not understood or computed or decorated):
        at = (decorated or computed or named)[0]
        return Finding("unknown", f"{at} may define it, in a way that only a run can tell")
    mentions = [place for place in _mentions(tree, path) if place.path not in tree.kept(_locks)]
    if mentions:
        return Finding("fail", f"mentioned at {mentions[0]}, defined nowhere ({tree.searched})")
    return Finding("fail", f"nothing defines it ({tree.searched})")


def _locks(tree: Tree) -> frozenset[str]:
    return frozenset(path for path in tree.own if path.endswith((".lock", "package-lock.json")))


def _in_code(tree: Tree, name: str) -> list[Place]:
    """Return where code outside of tests has a string, or in other languages a word, with it."""
    found = []
    for path in tree.naming(name):
        if is_test(path):
            continue
        if language(path) == "python":
            lines = [line for text, line in code_of(tree, path).strings.items()
                     if name in re.split(r"[/<>{}\s]+", text)]  # fmt: skip
            found += [Place(path, line) for line in lines[:1]]
        elif language(path) in ("script", "other"):
            code = tree.code(path)
            match = re.search(rf"""['"`/:]{re.escape(name)}(?![\w-])""", code)
            if match:
                found.append(place_of(path, code, match.start()))
    return found


def _mentions(tree: Tree, path: str) -> list[Place]:
    """Return where the path is written, in whatever file."""
    found = []
    plain = re.sub(r"[{<:].*$", "", path).rstrip("/")
    for file in tree.naming(plain):
        text = tree.text(file) or ""
        match = re.search(rf"{re.escape(plain)}(?![\w-])", text)
        if match:
            found.append(place_of(file, text, match.start()))
    return found

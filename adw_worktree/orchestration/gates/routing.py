"""Routes and the routers that lead to them, whatever the language.

What holds here: a route counts as reachable only along includes that end at an app. Paths are
compared by segments; one part in braces is like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from adw_worktree.orchestration.gates.finding import Place
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

COMPUTED = "\0"
"""In a path: a part that only a run would tell."""
ANY: frozenset[str] = frozenset()
_MOST_WAYS = 64

Owner = tuple[str, str]
"""A file and a name in it."""


class Router(NamedTuple):
    """What routes are defined on."""

    kind: Literal["app", "router", "unknown"]
    prefix: str
    place: Place
    made_in: str | None = None
    """The function whose every call makes it."""


class Route(NamedTuple):
    """A path that is answered."""

    owner: Owner
    methods: frozenset[str]
    """None of them: all, or its handler decides."""
    path: str
    place: Place


class Include(NamedTuple):
    """A router that is put into another, or into an app."""

    parent: Owner | None
    """None: an app that is made elsewhere, such as the argument of a function."""
    child: Owner
    prefix: str
    place: Place
    replaces: bool = False
    """Whether its prefix stands in place of the router's own."""


class Routing:
    """All that the files of one language say of routes."""

    def __init__(self) -> None:
        self.routers: dict[Owner, Router] = {}
        self.routes: list[Route] = []
        self.includes: list[Include] = []
        self.test_includes: list[Include] = []
        self.unreadable: list[Place] = []
        """Includes of what cannot be told by reading."""

    def parents(self) -> dict[Owner, list[Include]]:
        """Return the includes of each router."""
        found: dict[Owner, list[Include]] = {}
        for include in self.includes:
            found.setdefault(include.child, []).append(include)
        return found


class Way(NamedTuple):
    """A route with its whole path, and how it is reached."""

    route: Route
    path: str
    end: Literal["app", "router", "unknown"]
    """Where it ends: `router` is one that nothing includes."""
    last: Owner
    """The outermost router."""
    included: Place | None
    """Where it is included first."""


def ways(routing: Routing) -> list[Way]:
    """Return the ways that lead to each route."""
    parents = routing.parents()
    return [way for route in routing.routes for way in _ways_to(route, routing.routers, parents)]


def _ways_to(
    route: Route, routers: Mapping[Owner, Router], parents: Mapping[Owner, list[Include]]
) -> list[Way]:
    found: list[Way] = []
    waiting: list[tuple[Owner, str, Place | None, tuple[Owner, ...]]] = [
        (route.owner, route.path, None, (route.owner,))
    ]
    while waiting and len(found) < _MOST_WAYS:
        owner, path, included, seen = waiting.pop()
        router = routers.get(owner)
        own = joined(router.prefix, path) if router else path
        above = [one for one in parents.get(owner, ()) if one.parent not in seen]
        for one in above:
            here = included or one.place
            outer = joined(one.prefix, path if one.replaces and one.prefix else own)
            if one.parent is None:
                found.append(Way(route, outer, "app", owner, here))
            elif len(seen) < _MOST_WAYS:
                waiting.append((one.parent, outer, here, (*seen, one.parent)))
        kind = router.kind if router else "unknown"
        if not above:
            found.append(Way(route, own, kind, owner, included))
    return found


def joined(prefix: str, path: str) -> str:
    """Return a path behind its prefix."""
    return f"{prefix.rstrip('/')}/{path.lstrip('/')}" if prefix and path else prefix or path


@lru_cache(maxsize=8192)
def segments(path: str) -> tuple[str, ...]:
    """Return the parts of a path; parameters, however they are written, are `{}`."""
    plain = re.sub(r"\(\?P<\w+>(?:\[[^\]]*\]|[^()\[\]])*\)", "{}", path)
    plain = re.sub(r"(^|/)\^|/?\??\$$", r"\1", plain)
    return tuple(_segment(part) for part in plain.split("/") if part)


def _segment(part: str) -> str:
    if COMPUTED in part:
        return COMPUTED
    is_parameter = re.fullmatch(r"\{.*\}|<.*>|:.+|\[.*\]|\$\w+|\*\w*|\d+", part)
    return "{}" if is_parameter else part


def matches(wanted: str, path: str) -> bool:
    """Return whether `path` is the one that is wanted; what is computed in it may be anything."""
    want, have = segments(wanted), segments(path)
    if COMPUTED not in have:
        return want == have
    first = have.index(COMPUTED)
    last = len(have) - have[::-1].index(COMPUTED)
    head, tail = have[:first], have[last:]
    return (
        any(part != "{}" for part in tail)
        and len(head) + len(tail) <= len(want)
        and want[:first] == head
        and want[len(want) - len(tail) :] == tail
    )


def is_part(wanted: str, path: str) -> bool:
    """Return whether one of two paths is the end of the other."""
    want, have = segments(wanted), tuple(part for part in segments(path) if part != COMPUTED)
    short, long = sorted((want, have), key=len)
    return any(part != "{}" for part in short) and long[len(long) - len(short) :] == short

"""Components of React, Vue and Svelte: exported, imported from elsewhere, and used there.

What holds here: tests and stories are no use. An import alone is none either.
"""

from __future__ import annotations

import re

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.finding import Finding, Place
from adw_worktree.orchestration.gates.script_code import (
    exports,
    globbed,
    importing,
    is_entry,
    is_routed,
    packages,
    unfollowed,
    used_after_import,
)
from adw_worktree.orchestration.gates.tree import (
    Tree,
    is_test,
    language,
    mentioned,
    place_of,
    word,
)

_MOST_FILES = 500
_AUTOMATIC = ("nuxt", "nuxt3", "unplugin-vue-components")
_SINGLE = (".vue", ".svelte", ".astro")


def check_component(checker: Checker, tree: Tree) -> Finding:
    """Find the component, and a file that imports and uses it."""
    name = checker.subject
    defined = _definitions(tree, name)
    if checker.place is not None:
        defined = [one for one in defined if one.path.endswith(checker.place)] or defined
    if not defined:
        return Finding("fail", f"no component is defined: {mentioned(tree, name, tree.own)}")
    found = [_used(tree, one, name) for one in defined]
    order = ("pass", "warn", "unknown", "fail")
    return min(found, key=lambda one: order.index(one.verdict))


def _definitions(tree: Tree, name: str) -> list[Place]:
    found = []
    for path in tree.sources("script"):
        folder, _, file = path.rpartition("/")
        stem = file.partition(".")[0]
        stem = folder.rpartition("/")[2] if stem == "index" else stem
        if stem == name and path.endswith(_SINGLE):
            found.append(Place(path, 1))
    for path in sorted(set(tree.naming(name)) & set(tree.sources("script"))):
        code = tree.code(path)
        made = rf"\b(?:function|class|const|let|var)\s+{word(name)}(?!\s*[;,)]|\s*=\s*require\b)"
        match = re.search(made, code)
        if match:
            found.append(place_of(path, code, match.start()))
    return found


def _used(tree: Tree, at: Place, name: str) -> Finding:
    """Return whether other files use the component that is defined there."""
    if is_routed(tree, at.path):
        return Finding("pass", f"{at} defines it; the framework finds it by its place")
    exported = "default" if at.path.endswith(_SINGLE) else exports(tree, at.path, name)
    if exported is None:
        return _inner(tree, at, name)
    users, idle = _users(tree, at.path, exported)
    for user in users:
        if is_entry(tree, user.path) or _is_wanted(tree, user.path):
            return Finding("pass", f"{at} defines it; {user} uses it")
    if users:
        return Finding("warn", f"{at} defines it; {users[0]} uses it, which nothing imports")
    everything = globbed(tree, at.path)
    if everything is not None:
        return Finding("unknown", f"{at} defines it; {everything} loads all files beside it")
    tag = _tag(tree, at.path, name)
    if tag is not None:
        automatic = any(one in tree.kept(packages) for one in _AUTOMATIC)
        verdict = "pass" if automatic else "warn"
        how = "which is imported by itself" if automatic else "and does not import it"
        return Finding(verdict, f"{at} defines it; {tag} uses it, {how}")  # type: ignore[arg-type]
    place = _perhaps(tree, at.path, name)
    if place is not None:
        return Finding("unknown", f"{at} defines it; {place} may import it, by a name of its own")
    if idle:
        return Finding("fail", f"{at} defines it; {idle[0]} imports it and does not use it")
    return Finding("fail", f"{at} defines it; nothing imports it ({tree.searched})")


def _perhaps(tree: Tree, path: str, name: str) -> Place | None:
    """Return where something of its name is imported from a place that cannot be followed."""
    stem = path.rpartition("/")[2].partition(".")[0]
    for other in tree.naming(name):
        if other == path or is_test(other) or language(other) != "script":
            continue
        for place, names, said in unfollowed(tree, other):
            last = said.rpartition("/")[2].partition(".")[0]
            if last == stem or re.search(word(name), names):
                return place
    return None


def _inner(tree: Tree, at: Place, name: str) -> Finding:
    """Judge a component that its file keeps for itself."""
    code = tree.code(at.path)
    if not re.search(rf"<{word(name)}|\({word(name)}[,)]", code):
        return Finding("fail", f"{at} defines it, does not export it, and does not use it")
    if is_entry(tree, at.path) or _is_wanted(tree, at.path):
        return Finding("pass", f"{at} defines it, and uses it itself")
    return Finding("warn", f"{at} defines it and uses it itself, and nothing imports that file")


def _users(tree: Tree, path: str, exported: str) -> tuple[list[Place], list[Place]]:
    """Return where files use what `path` exports, and where others import it for nothing."""
    users: list[Place] = []
    idle: list[Place] = []
    seen, waiting = {(path, exported)}, [(path, exported)]
    while waiting and len(seen) < _MOST_FILES:
        source, called = waiting.pop()
        for other, one in importing(tree, source):
            if is_test(other) or one.name not in (called, "*"):
                continue
            place = Place(other, one.line)
            if one.kind == "lazy":
                users.append(place)
                continue
            local = one.local or called
            passed = (other, local)
            passes_on = one.kind == "export"
            if passed not in seen and (passes_on or exports(tree, other, local)):
                seen.add(passed)
                waiting.append(passed)
            if passes_on or not one.local:
                continue
            use = used_after_import(tree, other, local)
            (users if use else idle).append(use or place)
    return users, idle


def _tag(tree: Tree, path: str, name: str) -> Place | None:
    """Return where another file has the component's tag without an import."""
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
    for other in tree.sources("script"):
        code = tree.code(other)
        match = re.search(rf"<(?:{re.escape(name)}|{re.escape(kebab)})[\s/>]", code)
        if match and other != path and other.endswith((".vue", ".mdx")):
            return place_of(other, code, match.start())
    return None


def _is_wanted(tree: Tree, path: str) -> bool:
    """Return whether a file is imported by another that is of no test."""
    imported = any(not is_test(other) for other, _ in importing(tree, path))
    return imported or globbed(tree, path) is not None

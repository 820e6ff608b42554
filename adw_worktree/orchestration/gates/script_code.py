"""JavaScript and TypeScript files, Vue and Svelte ones too, by a small number of patterns.

What holds here: comments are blanked first. An import that leads to no file of the repository is
somebody else's package.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator

from adw_worktree.orchestration.gates.finding import Place
from adw_worktree.orchestration.gates.tree import Tree, is_test, language, place_of, word
from adw_worktree.system.named_tuple import NamedTuple

_STRING = r"""['"`]([^'"`\n]{1,300})['"`]"""
_CLAUSE = (
    r"\s*+(?:type\b\s*+)?(?:[\w$]++\s*+,?\s*+)?"
    r"(?:\*\s*+(?:as\s++[\w$]++\s*+)?|\{[^{}]{0,2000}\}\s*+)?"
)
_FROM = rf"""(?m)(?:^|[;}}>])[ \t]*(import|export)\b({_CLAUSE})\bfrom\s*{_STRING}"""
_LOADED = rf"""\b(import|require)\s*\(\s*(?:/\*[^*]*\*/)?\s*{_STRING}"""
_ASSIGNED = (
    rf"""\b(?:const|let|var)\s+([\w$]+|\{{[^{{}}]{{0,500}}\}})\s*=\s*(?:await\s+)?{_LOADED}"""
)
_BARE = rf"""(?m)(?:^|;)[ \t]*import\s*{_STRING}"""
_PIECE = r"(?:type\s+)?([\w$*]+)(?:\s*(?:\bas\b|:)\s*([\w$]+))?"
_GLOB = rf"""\b(?:glob(?:Eager)?|context)\s*(?:<[^>]*>)?\(\s*\[?\s*{_STRING}"""
_ENDINGS = (
    "", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".vue", ".svelte", ".astro",
    "/index.ts", "/index.tsx", "/index.js", "/index.jsx", "/index.mjs", "/index.vue",
)  # fmt: skip
_ENTRY = (
    r"(?:\.[\w.-]+|main|index|app|entry[\w.-]*|root|server|client|background|content|preload|worker|sw"
    r"|setup[\w.-]*|bootstrap|polyfills|instrumentation|middleware|cli|[\w.-]*\.config|[\w.-]*\.d)"
    r"\.\w+"
)
_ROUTED_NAME = (
    r"(?:page|layout|template|loading|error|global-error|not-found|default|route|_app|_document"
    r"|_layout|\+\w[\w.@-]*)\.\w+"
)
_ROUTED_FOLDERS = frozenset({"pages", "routes", "layouts", "middleware", "plugins", "server"})
_ROUTERS = (
    r"next|nuxt|nuxt3|@sveltejs/kit|@remix-run/\S+|@react-router/dev|gatsby|expo-router"
    r"|astro|@tanstack/\S+-router|unplugin-vue-router|vike|@solidjs/start|waku|@fastify/autoload"
)


class Import(NamedTuple):
    """A name that a file has from another."""

    file: str
    """The other."""
    name: str
    """What it is called there: `default`, or `*` for all of it."""
    local: str
    """What it is called here; empty if it has no name here."""
    kind: str
    """import, export (passed on), lazy (loaded when it is wanted) or require."""
    line: int


def imports(tree: Tree, path: str) -> list[Import]:
    """Return what a file has from other files of the repository."""
    return tree.kept(_imports, path)


def _imports(tree: Tree, path: str) -> list[Import]:
    return list(_found(tree, path, tree.code(path)))


def _found(tree: Tree, path: str, code: str) -> Iterator[Import]:
    for match in re.finditer(_FROM, code):
        file = resolved(tree, path, match[3])
        if file is not None:
            line = place_of(path, code, match.start(1)).line
            for name, local in _names(match[2], passes_on=match[1] == "export"):
                yield Import(file, name, local, match[1], line)
    for match in re.finditer(_BARE, code):
        file = resolved(tree, path, match[1])
        if file is not None:
            yield Import(file, "*", "", "import", place_of(path, code, match.start(1)).line)
    named = set()
    for match in re.finditer(_ASSIGNED, code):
        file = resolved(tree, path, match[3])
        if file is not None:
            named.add(match.start(3))
            line = place_of(path, code, match.start()).line
            for name, local in _names(match[1], passes_on=False):
                yield Import(file, name, local, "require", line)
    for match in re.finditer(_LOADED, code):
        file = resolved(tree, path, match[2]) if match.start(2) not in named else None
        if file is not None:
            yield Import(file, "*", "", "lazy", place_of(path, code, match.start()).line)


def _names(clause: str, *, passes_on: bool) -> Iterator[tuple[str, str]]:
    """Yield the names of an import clause, each with what it is called here."""
    before, brace, rest = clause.partition("{")
    for match in re.finditer(_PIECE, re.sub(r"^\s*type\b(?!\s*,)", "", before)):
        name, local = match[1], match[2] or match[1]
        whole = name == "*"
        yield ("*" if whole else "default"), ("" if whole and not match[2] else local)
    if brace:
        for match in re.finditer(_PIECE, rest.partition("}")[0]):
            yield match[1], match[2] or match[1]
    elif passes_on and not before.strip():
        yield "*", ""


def unfollowed(tree: Tree, path: str) -> Iterator[tuple[Place, str, str]]:
    """Yield the imports of a file that lead nobody knows where, each with its names and its words.

    An alias of a build tool does, and a package of the same repository; a dependency does not.
    """
    code = tree.code(path)
    for match in re.finditer(_FROM, code):
        said = match[3]
        root = "/".join(said.split("/")[: 2 if said.startswith("@") else 1])
        is_package = root in tree.kept(packages) or (root == said and said[:1] != "@")
        is_foreign = is_package and root not in tree.kept(_own_packages)
        if not said.startswith(".") and not is_foreign and resolved(tree, path, said) is None:
            yield place_of(path, code, match.start(1)), match[2], said


def resolved(tree: Tree, path: str, said: str) -> str | None:
    """Return the file that an import means; None for a package."""
    said = said.partition("?")[0]
    if said.startswith("."):
        return _at(tree, posixpath.normpath(posixpath.join(posixpath.dirname(path), said)))
    bare = re.sub(r"^(?:@|~|#|\$lib|src)/+", "", said)
    if bare == said and not said.startswith("/"):
        return _at(tree, said) if "/" in said else None  # from a base directory
    folder = posixpath.dirname(path)
    while True:
        for inner in ("src", "", "app", "src/lib", "lib", "resources/js"):
            found = _at(tree, posixpath.normpath(posixpath.join(folder, inner, bare.lstrip("/"))))
            if found is not None:
                return found
        if not folder:
            return None
        folder = posixpath.dirname(folder)


def _at(tree: Tree, place: str) -> str | None:
    stem = re.sub(r"\.(?:js|jsx|mjs|cjs)$", "", place)  # TypeScript imports `./a.ts` as `./a.js`
    for base in (place, stem):
        for ending in _ENDINGS:
            if f"{base}{ending}" in tree and language(f"{base}{ending}") in ("script", "data"):
                return f"{base}{ending}"
    return None


def importing(tree: Tree, path: str) -> list[tuple[str, Import]]:
    """Return the imports of a file, each with the file that has it; those of tests too."""
    return tree.kept(_by_file).get(path, [])


def _by_file(tree: Tree) -> dict[str, list[tuple[str, Import]]]:
    found: dict[str, list[tuple[str, Import]]] = {}
    for path in tree.sources("script", tests=True):
        for one in imports(tree, path):
            if one.file != path:
                found.setdefault(one.file, []).append((path, one))
    return found


def globbed(tree: Tree, path: str) -> Place | None:
    """Return where a file is loaded with all others that match a pattern."""
    for other in tree.naming("glob") + tree.naming("context"):
        if language(other) != "script" or is_test(other):
            continue
        code = tree.code(other)
        for match in re.finditer(_GLOB, code):
            start = match[1].partition("*")[0].rpartition("/")[0] or "."
            folder = posixpath.normpath(posixpath.join(posixpath.dirname(other), start))
            if start.startswith(("/", "@/", "~/")):
                folder = start.lstrip("@~/")
            if path.startswith(f"{folder}/") or folder == ".":
                return place_of(other, code, match.start())
    return None


def exports(tree: Tree, path: str, name: str) -> str | None:
    """Return what a file exports `name` as: its own name, `default`, or None if it does not."""
    code, called = tree.code(path), word(name)
    if re.search(rf"\bexport\s+default\b[^\n;{{]{{0,200}}{called}|\bmodule\.exports\s*=\s*{called}"
                 rf"|\bexport\s*\{{[^}}]{{0,2000}}{called}\s+as\s+default\b", code):  # fmt: skip
        return "default"
    own = (
        rf"\bexport\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?[a-z]+\*?\s+(?:enum\s+)?{called}"
    )
    listed = rf"\bexport\s*(?:type\s*)?\{{[^}}]{{0,2000}}{called}|\bexports\.{re.escape(name)}\b"
    given = rf"\bmodule\.exports\s*=\s*\{{[^}}]{{0,2000}}{called}"
    return name if re.search(rf"{own}|{listed}|{given}", code) else None


def used_after_import(tree: Tree, path: str, local: str) -> Place | None:
    """Return where a file uses a name, its imports and exports apart."""
    code = tree.code(path)
    bare = re.sub(_FROM, _blanked, code)
    bare = re.sub(_ASSIGNED, _blanked, bare)
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", local).lower()
    tag = rf"|<{re.escape(kebab)}[\s/>]" if "-" in kebab and path.endswith(".vue") else ""
    # Not as a key or in a string: `<Local`, `Local(`, `Local,` and the like.
    found = re.search(rf"(?<!['\"]){word(local)}(?!['\"]|\s*:(?!:)\s*['\"]){tag}", bare)
    return place_of(path, bare, found.start()) if found else None


def _blanked(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def packages(tree: Tree) -> frozenset[str]:
    """Return the packages that the project depends on."""
    found: set[str] = set()
    for path in tree.own:
        if path.rpartition("/")[2] == "package.json":
            try:
                document = json.loads(tree.text(path) or "")
            except (ValueError, RecursionError):
                continue
            for key in ("dependencies", "devDependencies", "peerDependencies"):
                listed = document.get(key) if isinstance(document, dict) else None
                found.update(listed if isinstance(listed, dict) else ())
    return frozenset(found)


def _own_packages(tree: Tree) -> frozenset[str]:
    """Return the names of the packages that the repository itself has."""
    texts = [tree.text(path) or "" for path in tree.own if path.endswith("package.json")]
    found = [re.search(r'"name"\s*:\s*"([^"\n]{1,214})"', text) for text in texts]
    return frozenset(match[1] for match in found if match is not None)


def is_routed(tree: Tree, path: str) -> bool:
    """Return whether a framework finds a file by its place."""
    routers = {name for name in tree.kept(packages) if re.fullmatch(_ROUTERS, name)}
    *folders, name = path.split("/")
    if not routers or re.fullmatch(_ROUTED_NAME, name) is not None:
        return bool(routers)
    if any(folder.startswith("_") for folder in folders) or "@sveltejs/kit" in routers:
        return False  # what only lies beside a page
    return bool(_ROUTED_FOLDERS & {*folders}) or ("expo-router" in routers and "app" in folders)


def is_entry(tree: Tree, path: str) -> bool:
    """Return whether a file is where a program begins, as far as its name and others tell."""
    name = path.rpartition("/")[2]
    return (
        re.fullmatch(_ENTRY, name, re.IGNORECASE) is not None
        or is_routed(tree, path)
        or is_named(tree, path)
    )


def is_named(tree: Tree, path: str) -> bool:
    """Return whether a page, a command or a configuration names the file."""
    name = path.rpartition("/")[2]
    return any(
        re.search(rf"(?<![\w-]){re.escape(name)}", tree.code(other))
        for other in tree.naming(name)
        if other != path
        and (language(other) == "data" or ".config." in other)
        and not is_test(other)
    )

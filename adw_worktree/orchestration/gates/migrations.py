"""Migrations: Alembic's chain, Django's packages, and directories of SQL that something runs.

What holds here: a migration that is only there is no migration that runs.
"""

from __future__ import annotations

import ast
import posixpath
import re

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.files import located
from adw_worktree.orchestration.gates.finding import Finding, Place
from adw_worktree.orchestration.gates.python_code import PYTHON, code_of, syntax
from adw_worktree.orchestration.gates.tree import (
    Tree,
    first_place,
    is_test,
    language,
    place_of,
)
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.text import named

_RUNNERS = (
    (r"(?:^|/)prisma/migrations/", r"(?:^|/)schema\.prisma", "Prisma"),
    (r"(?:^|/)supabase/migrations/", r"(?:^|/)supabase/config\.toml", "Supabase"),
    (r"(?:^|/)db/migrate/", r"(?:^|/)(?:config/application\.rb|Rakefile)", "Rails"),
    (r"(?:^|/)database/migrations/", r"(?:^|/)artisan", "Laravel"),
    (r"(?:^|/)db/migration/V", r"(?:^|/)(?:flyway\.conf|flyway\.toml|pom\.xml|build\.gradle.*)",
     "Flyway"),
    (r"(?:^|/)drizzle/", r"(?:^|/)drizzle\.config\.\w+", "Drizzle"),
)  # fmt: skip
"""A directory by convention, the file that shows that its tool is in use, and the tool."""

_COMMANDS = (
    r"(?:GNU)?[Mm]akefile|[Jj]ustfile|Procfile|(?:Docker|Container)file.*|package\.json"
    r"|(?:wrangler|diesel|flyway)\.toml|.*\.(?:sh|bash|mk|ya?ml)"
)


class _Revision(NamedTuple):
    """A migration of Alembic's."""

    path: str
    revision: str
    after: tuple[str, ...]


def check_migration(checker: Checker, tree: Tree) -> Finding:
    """Find the migration, and what runs it."""
    path = located(tree, checker.subject)
    if isinstance(path, Finding):
        return path
    if not (tree.text(path) or "").strip():
        return Finding("fail", f"{path} is empty or cannot be read")
    if path.endswith(".py"):
        defines = code_of(tree, path).defines
        if syntax(tree, path) is None:
            return Finding("unknown", f"{path} cannot be read as Python {PYTHON}")
        if "down_revision" in defines:
            return _alembic(tree, path)
        if "Migration" in defines and "/migrations/" in f"/{path}":
            return _django(tree, path)
    return _directory(tree, path)


def _alembic(tree: Tree, path: str) -> Finding:
    """Judge a migration by the chain that it is part of."""
    folder = posixpath.dirname(path)
    chain = [one for other in tree.own if posixpath.dirname(other) == folder
             for one in _revision(tree, other)]  # fmt: skip
    by_name: dict[str, list[_Revision]] = {}
    for one in chain:
        by_name.setdefault(one.revision, []).append(one)
    mine = next((one for one in chain if one.path == path), None)
    if mine is None:
        return Finding("fail", f"{path} has no revision that can be read")
    if len(by_name[mine.revision]) > 1:
        other = next(one.path for one in by_name[mine.revision] if one.path != path)
        return Finding("fail", f"{path} and {other} have the same revision {mine.revision}")
    # One that joins two branches has nothing else to do.
    if len(mine.after) < 2 and (line := _idle_upgrade(tree, path)) is not None:
        return Finding("fail", f"{Place(path, line)}: upgrade() does nothing")
    broken = _broken_link(mine, by_name)
    if broken is not None:
        return Finding("fail", broken)
    followed = {name for one in chain for name in one.after}
    heads = sorted(one.revision for one in chain if one.revision not in followed)
    if len(heads) > 1:
        return Finding(
            "fail", f"{folder} has {len(heads)} heads, {named(heads)}; `upgrade head` fails"
        )
    if not any(f"{posixpath.dirname(folder)}/env.py".lstrip("/") == one for one in tree.own):
        return Finding("warn", f"{path} is in the chain, and there is no env.py that runs it")
    before = f"after {mine.after[0]}" if mine.after else "the first one"
    return Finding(
        "pass", f"{path} is in the chain of {len(chain)}, {before}; one head, {heads[0]}"
    )


def _revision(tree: Tree, path: str) -> list[_Revision]:
    module = syntax(tree, path) if path.endswith(".py") else None
    found: dict[str, tuple[str, ...]] = {}
    for node in module.body if module else ():
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                texts = [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
                found[target.id] = tuple(text for text in texts if isinstance(text, str))
    if not found.get("revision") or "down_revision" not in found:
        return []
    return [_Revision(path, found["revision"][0], found["down_revision"])]


def _idle_upgrade(tree: Tree, path: str) -> int | None:
    """Return the line of a migration's `upgrade` that has nothing in it; None if it has."""
    module = syntax(tree, path)
    for node in module.body if module else ():
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
            words = (ast.Pass, ast.Constant)
            is_idle = all(
                isinstance(each, ast.Pass)
                or (isinstance(each, ast.Expr) and isinstance(each.value, words))
                for each in node.body
            )
            return node.lineno if is_idle else None
    return None


def _broken_link(mine: _Revision, by_name: dict[str, list[_Revision]]) -> str | None:
    """Return why a chain does not lead back to its beginning."""
    seen, waiting = {mine.revision}, [mine]
    while waiting:
        one = waiting.pop()
        for name in one.after:
            if name == mine.revision:
                return f"{one.path} follows {name}, which follows it"
            if name not in by_name:
                return f"{one.path} follows {name}, which is in no migration"
            if name not in seen:
                seen.add(name)
                waiting += by_name[name]
    return None


def _django(tree: Tree, path: str) -> Finding:
    """Judge a migration by its package, its dependencies and its app."""
    folder = posixpath.dirname(path)
    app = posixpath.basename(posixpath.dirname(folder))
    if f"{folder}/__init__.py" not in tree:
        return Finding("fail", f"{folder} has no __init__.py: Django does not see {path}")
    for label, name in _dependencies(tree, path):
        folders = {posixpath.dirname(one) for one in tree.own
                   if f"/{one}".find(f"/{label}/migrations/") >= 0}  # fmt: skip
        missing = not any(f"{one}/{name}.py" in tree for one in folders)
        if folders and missing and not name.startswith("__"):
            return Finding("fail", f"{path} depends on {label}.{name}, which does not exist")
    installed = _installed(tree)
    if installed is None:
        return Finding("warn", f"{path} is in its package; no INSTALLED_APPS was found")
    place, apps = installed
    if not any(app in one.split(".") for one in apps):
        return Finding("fail", f"INSTALLED_APPS at {place} does not have {app}")
    return Finding("pass", f"{path} is in its package; {place} installs {app}")


def _dependencies(tree: Tree, path: str) -> list[tuple[str, str]]:
    module = syntax(tree, path)
    found = []
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            texts = [one.value for one in node.elts if isinstance(one, ast.Constant)]
            if len(texts) == 2 and all(isinstance(text, str) for text in texts):
                found.append((str(texts[0]), str(texts[1])))
    return [pair for pair in found if re.match(r"\d{4}_|__", pair[1])]


def _installed(tree: Tree) -> tuple[Place, list[str]] | None:
    """Return the apps that Django's settings install, in all their parts, and where."""
    first, apps = None, []
    for path in tree.naming("INSTALLED_APPS"):
        line = code_of(tree, path).defines.get("INSTALLED_APPS") if path.endswith(".py") else None
        if line is not None and not is_test(path):
            first = first or Place(path, line)
            apps += list(code_of(tree, path).strings)
    return (first, apps) if first else None


def _directory(tree: Tree, path: str) -> Finding:
    """Judge a file of a directory: a tool of this convention, or code that names it, runs it."""
    for where, marker, tool in _RUNNERS:
        if re.search(where, path):
            for other in tree.own:
                if re.search(f"{marker}$", other):
                    return Finding("pass", f"{path} is where {tool} looks, as {other} shows")
    folder, _, file = path.rpartition("/")
    if posixpath.basename(folder) == "migrations":
        for other in tree.naming("migrate"):
            # Without a name of its own, the macro takes the directory `migrations`.
            found = re.search(r"\bsqlx::migrate!\s*\(\s*\)", tree.code(other))
            if found is not None and not is_test(other):
                at = place_of(other, tree.code(other), found.start())
                return Finding("pass", f"{at} runs all of {folder}")
    itself = _named_by(tree, file, path)
    if itself is not None:
        return Finding("pass", f"{itself} names {file}")
    beside = [other for other in tree.own if posixpath.dirname(other) == folder and other != path]
    places = [_named_by(tree, other.rpartition("/")[2], path) for other in beside]
    listed = [place for place in places if place is not None]
    if listed:
        return Finding("warn", f"{listed[0]} names others of {folder} and not {file}")
    runs = _named_by(tree, posixpath.basename(folder), path) if folder else None
    if runs is not None:
        return Finding("pass", f"{runs} names {folder}, where it is")
    reason = f"no code and no command names it or its directory ({tree.searched})"
    return Finding("fail", f"nothing runs {path}: {reason}")


def _named_by(tree: Tree, name: str, path: str) -> Place | None:
    """Return where code or a command outside of the directory names a file or a directory."""
    folder = posixpath.dirname(path)
    pattern = rf"(?<![\w.-]){re.escape(name)}(?![\w-])"
    for other in tree.naming(name):
        if is_test(other) or language(other) == "prose" or posixpath.dirname(other) == folder:
            continue
        if language(other) == "python":
            for text, line in code_of(tree, other).strings.items():
                if re.search(pattern, text):
                    return Place(other, line)
            continue
        if language(other) == "data" and not _runs(other):
            continue
        # In Go, a directory is put into the program by a comment.
        code = tree.text(other) or "" if other.endswith(".go") else tree.code(other)
        quoted = rf"[\"'`/ =:]{re.escape(name)}(?![\w-])"
        if re.search(quoted if language(other) != "data" else pattern, code):
            return first_place(other, code, name)
    return None


def _runs(path: str) -> bool:
    """Return whether a file that is no code has commands; lists of what to leave out do not."""
    return re.fullmatch(_COMMANDS, path.rpartition("/")[2]) is not None

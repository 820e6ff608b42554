"""Files: there, tracked, with something in them, and modules imported from somewhere.

What holds here: a path that leads out of the worktree fails and is not looked at.
"""

from __future__ import annotations

import ast
import posixpath
import re

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.finding import Finding, Place
from adw_worktree.orchestration.gates.python_code import (
    PYTHON,
    Function,
    code_of,
    importing,
    syntax,
)
from adw_worktree.orchestration.gates.script_code import globbed, is_entry
from adw_worktree.orchestration.gates.script_code import importing as importing_script
from adw_worktree.orchestration.gates.tree import Tree, first_place, is_inside, is_test, language

_EMPTY_BY_INTENT = ("__init__.py", "py.typed", ".gitkeep", ".keep", ".nojekyll")
_PLACEHOLDER = r"(?i)\W*(?:todo|fixme|tbd|placeholder|not (?:yet )?implemented)\b[^\n]{0,200}\s*"
_PYTHON_ENTRY = (
    r"__init__|__main__|main|app|application|asgi|wsgi|manage|setup|conftest|noxfile|fabfile|tasks"
    r"|settings|urls|models|admin|apps|signals|celery|gunicorn.*|conf|hookimpl|cli|env|server|run"
)
_PYTHON_FOLDERS = frozenset(
    {"scripts", "script", "bin", "tools", "migrations", "versions", "alembic", "management",
     "commands", "examples", "example", "benchmarks", "docs", "plugins", "hooks", "notebooks",
     "templatetags"}
)  # fmt: skip
_SCRIPT_FOLDERS = frozenset(
    {"scripts", "script", "bin", "tools", "migrations", "seeds", "examples", "docs", "public",
     "static", "types", "config", "hooks"}
)  # fmt: skip


def check_file(checker: Checker, tree: Tree) -> Finding:
    """Find the file, something in it, and who imports it if it is a module."""
    subject = checker.subject
    if subject.endswith("/"):
        return _check_folder(subject, tree)
    path = located(tree, subject)
    if isinstance(path, Finding):
        return path
    size = tree.size(path)
    if size is None:
        return _link(path, tree)
    if posixpath.basename(path) in _EMPTY_BY_INTENT:
        return Finding("pass", f"{path} exists")
    text = tree.text(path)
    if size == 0 or (text is not None and not text.strip()):
        return Finding("fail", f"{path} is empty")
    reason = _hollow(tree, path) if text is not None else None
    if reason is not None:
        return Finding("warn", f"{path} {reason}")
    if posixpath.normpath(subject) != path:
        return Finding("warn", f"there is no {subject}; {path} has its name")
    return _wanted(tree, path, size)


def located(tree: Tree, subject: str) -> str | Finding:
    """Return the tracked file that a path means, or why there is none."""
    if not is_inside(subject):
        return Finding("fail", f"{subject} leads out of the worktree")
    path = posixpath.normpath(subject)
    if path in tree:
        return path
    ending = [one for one in tree.own if one.endswith(f"/{path}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        return Finding("fail", f"there is no {path}; {ending[0]} and others end like it")
    return Finding("fail", f"there is no {path} among the {len(tree.files)} tracked files")


def _check_folder(subject: str, tree: Tree) -> Finding:
    if not is_inside(subject):
        return Finding("fail", f"{subject} leads out of the worktree")
    folder = f"{posixpath.normpath(subject)}/"
    inside = [path for path in tree.files if path.startswith(folder)]
    if not inside:
        return Finding("fail", f"there is no tracked file in {folder}")
    return Finding("pass", f"{folder} has {len(inside)} tracked files, {inside[0]} first")


def _link(path: str, tree: Tree) -> Finding:
    target = tree.target(path)
    if target is None:
        return Finding("fail", f"{path} is no file that can be read inside of the worktree")
    return Finding("pass", f"{path} is a link to {target}")


def _hollow(tree: Tree, path: str) -> str | None:
    """Return why there is nothing in a text that matters."""
    text, code = tree.text(path) or "", tree.code(path)
    if re.fullmatch(_PLACEHOLDER, text) or (language(path) == "prose" and len(text.split()) < 2):
        return "has nothing but a placeholder"
    is_code = language(path) in ("script", "other") and not path.endswith(".d.ts")
    if is_code and not code.strip():
        return "has nothing but comments"
    if language(path) != "python":
        return None
    module = syntax(tree, path)
    if module is None:
        return f"cannot be read as Python {PYTHON}"
    if all(_is_nothing(node) for node in module.body):
        return "has nothing but comments, docstrings or `pass`"
    functions = [node for node in module.body if isinstance(node, Function)]
    usual = Function | ast.Import | ast.ImportFrom
    others = [node for node in module.body if not (isinstance(node, usual) or _is_nothing(node))]
    if functions and not others and all(_is_stub(node) for node in functions):
        return "has nothing but functions that do nothing"
    return None


def _is_nothing(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Pass)


def _is_stub(function: Function) -> bool:
    return all(
        _is_nothing(node) or (isinstance(node, ast.Raise) and "NotImplemented" in ast.dump(node))
        for node in function.body
    )


def _wanted(tree: Tree, path: str, size: int) -> Finding:
    """Judge a file that is there: a module is imported, or begins something by itself."""
    there = f"{path} exists, with {size} bytes"
    if is_test(path) or path not in tree.own or language(path) not in ("python", "script"):
        return Finding("pass", there)
    place = user_of(tree, path)
    if place is None:
        return Finding("warn", f"{there}; nothing imports it ({tree.searched})")
    return Finding("pass", f"{there}; {place}" if place else there)


def user_of(tree: Tree, path: str) -> str | None:
    """Return what uses a module or script, nothing if it needs no user, and None if it has none."""
    return _python_user(tree, path) if language(path) == "python" else _script_user(tree, path)


def _python_user(tree: Tree, path: str) -> str | None:
    *folders, name = path.split("/")
    is_alone = re.fullmatch(_PYTHON_ENTRY, name[:-3]) or _PYTHON_FOLDERS & set(folders)
    is_command = (tree.text(path) or "").startswith("#!") or "__name__" in code_of(tree, path).loads
    for other, one in importing(tree, path):
        if not is_test(other):
            return f"{Place(other, one.line)} imports it"
    if is_alone or is_command:
        return ""
    named = _named(tree, path, name[:-3])
    return f"{named} names it" if named else None


def _named(tree: Tree, path: str, stem: str) -> Place | None:
    """Return where a command, a configuration or a string names a module."""
    module = path.removesuffix(".py").replace("/", ".")
    tail = re.escape(".".join(module.split(".")[-2:]))
    alone = re.escape(stem)
    pattern = rf"(?<!\w){tail}(?!\w)|(?<![\w-]){alone}\.py\b|(?:^|[\s\"']){alone}:\w"
    for other in tree.naming(stem):
        if other == path or is_test(other) or language(other) == "prose":
            continue
        if language(other) == "python":
            for text, line in code_of(tree, other).strings.items():
                is_relative = text in (stem, f".{stem}") and _loads_by_name(tree, other)
                if re.search(pattern, text) or is_relative:
                    return Place(other, line)
        elif language(other) == "data" and re.search(pattern, tree.code(other)):
            return first_place(other, tree.code(other), stem)
    return None


def _loads_by_name(tree: Tree, path: str) -> bool:
    loads = code_of(tree, path).loads
    return "import_module" in loads or "__import__" in loads or "iter_modules" in loads


def _script_user(tree: Tree, path: str) -> str | None:
    for other, one in importing_script(tree, path):
        if not is_test(other):
            return f"{Place(other, one.line)} imports it"
    everything = globbed(tree, path)
    if everything is not None:
        return f"{everything} loads all files beside it"
    is_alone = is_entry(tree, path) or _SCRIPT_FOLDERS & set(path.split("/")[:-1])
    return "" if is_alone or (tree.text(path) or "").startswith("#!") else None

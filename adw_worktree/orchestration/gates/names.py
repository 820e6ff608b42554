"""Message types, keys of a state, functions and classes: named in one file, used in another.

What holds here: comments, docstrings, documents and tests are no use. One file that has a name for
itself is no use from elsewhere.
"""

from __future__ import annotations

import ast
import re

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.finding import Finding, Place
from adw_worktree.orchestration.gates.python_code import code_of, last_name, syntax, uses
from adw_worktree.orchestration.gates.script_code import used_after_import
from adw_worktree.orchestration.gates.tree import (
    Tree,
    is_test,
    language,
    mentioned,
    place_of,
    word,
)

_REGISTERS = (
    r"(?:shared_|periodic_)?task|command|group|callback|receiver|register|subscribe|listen(?:er|s_for)?"
    r"|on(?:_\w+)?|handler|hook(?:impl)?|event|action|simple_tag|filter|middleware|exception_handler"
)
_IDENTIFIER = r"[A-Za-z_$][\w$]*"


def check_message(checker: Checker, tree: Tree) -> Finding:
    """Find two files that name a message type: who sends it, and who takes it."""
    name = checker.subject
    found = _with_literal(tree, name)
    constants = {constant for place in found for constant in _constants(tree, place.path, name)}
    for constant in sorted(constants):
        found += _with_name(tree, constant)
    if re.fullmatch(_IDENTIFIER, name):
        found += _with_name(tree, name)
    return _judged(found, name, tree)


def check_state(checker: Checker, tree: Tree) -> Finding:
    """Find two files that name a key of a state; a part of a path may be written otherwise."""
    found = check_message(checker, tree)
    parts = checker.subject.split(".")
    if found.verdict == "pass" or len(parts) == 1:
        return found
    for path in _sources(tree, checker.subject):
        code = tree.code(path)
        match = re.search(word(checker.subject), code) if language(path) != "python" else None
        if match:
            at = place_of(path, code, match.start())
            return Finding("unknown", f"{at} names it; who else uses it cannot be told")
    return Finding("unknown", f"{found.evidence}; it may be written as {parts[-1]} of something")


def check_name(checker: Checker, tree: Tree) -> Finding:
    """Find where a function or a class is defined, and another file that uses it."""
    *owner, name = re.split(r"\.|::", checker.subject)
    sources = _sources(tree, name)
    defined = [
        (path, line)
        for path in sources
        if (line := code_of(tree, path).defines.get(name)) is not None
    ]
    if not defined:
        found = _with_name(tree, name)
        return _judged(found, name, tree)
    for path, line in defined:
        used = [place for place in uses(tree, path, name) if not is_test(place.path)]
        loaded = [
            Place(other, code_of(tree, other).loads[name])
            for other in sources
            if owner and other != path and name in code_of(tree, other).loads
        ]
        for place in (*used, *loaded):
            return Finding("pass", f"{Place(path, line)} defines it; {place} uses it")
    for path in tree.naming(name):
        # `[project.scripts]`, and what else runs `module:name`.
        ran = re.search(rf"""["'][\w.]+:{re.escape(name)}["']""", tree.text(path) or "")
        if ran is not None and path.endswith("pyproject.toml"):
            at = place_of(path, tree.text(path) or "", ran.start())
            return Finding("pass", f"{Place(*defined[0])} defines it; {at} runs it")
    for path, line in defined:
        if _is_registered(tree, path, name):
            at = Place(path, line)
            return Finding("unknown", f"{at} is registered by its decorator, if it is loaded")
    path, line = defined[0]
    itself = code_of(tree, path).loads.get(name)
    if itself is not None:
        return Finding("warn", f"{Place(path, line)} defines it; only its own file uses it")
    return Finding("fail", f"{Place(path, line)} defines it; nothing uses it ({tree.searched})")


def _is_registered(tree: Tree, path: str, name: str) -> bool:
    """Return whether a decorator hands a function to something that calls it."""
    module = syntax(tree, path) if language(path) == "python" else None
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            called = [last_name(one) or "" for one in node.decorator_list]
            return any(re.fullmatch(_REGISTERS, one) for one in called)
    return False


def _sources(tree: Tree, name: str) -> list[str]:
    return [path for path in tree.naming(name) if not is_test(path)
            and language(path) in ("python", "script", "other")]  # fmt: skip


def _with_literal(tree: Tree, name: str) -> list[Place]:
    """Return the files that have the name as a text of its own, each once."""
    found = []
    for path in _sources(tree, name):
        if language(path) == "python":
            line = code_of(tree, path).strings.get(name)
            if line is not None:
                found.append(Place(path, line))
        else:
            code = tree.code(path)
            match = re.search(rf"""(['"`]){re.escape(name)}\1""", code)
            if match:
                found.append(place_of(path, code, match.start()))
    return found


def _constants(tree: Tree, path: str, name: str) -> list[str]:
    """Return the constants of a file that hold the name."""
    if language(path) == "python":
        return [key for key, value in code_of(tree, path).constants.items() if value == name]
    pattern = rf"""\b({_IDENTIFIER})\s*(?::\s*[\w.]+\s*)?[=:]\s*(['"`]){re.escape(name)}\2"""
    # A key such as `type: "login.done"` is a message's own field.
    found = [match[1] for match in re.finditer(pattern, tree.code(path))]
    return [one for one in found if one not in ("type", "kind", "event", "name", "action", "topic")]


def _with_name(tree: Tree, name: str) -> list[Place]:
    """Return the files that define or use an identifier, imports apart, each once."""
    found = []
    for path in _sources(tree, name):
        if language(path) == "python":
            code = code_of(tree, path)
            line = code.defines.get(name) or code.loads.get(name)
            if line is not None:
                found.append(Place(path, line))
        elif language(path) == "script":
            use = used_after_import(tree, path, name)
            if use is not None:
                found.append(use)
        else:
            bare = re.sub(r"\"(?:\\.|[^\"\\\n])*+\"", _blanked, tree.code(path))
            match = re.search(word(name), bare)
            if match:
                found.append(place_of(path, bare, match.start()))
    return found


def _blanked(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _judged(found: list[Place], name: str, tree: Tree) -> Finding:
    """Return what follows from the files that name something."""
    files = {place.path: place for place in reversed(found)}
    if len(files) >= 2:
        first, second, *_ = sorted(files.values())
        return Finding("pass", f"{first} and {second} name it")
    for place in files.values():
        return Finding("fail", f"only {place} names it; nothing else uses it ({tree.searched})")
    return Finding("fail", mentioned(tree, name, tree.own))

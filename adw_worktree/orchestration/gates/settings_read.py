"""Settings: read by code, and what was read is used.

What holds here: a declaration is no read, nor is an assignment. A value that is read into a name
which nothing uses counts as unread.
"""

from __future__ import annotations

import ast
import re

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.finding import Finding, Place
from adw_worktree.orchestration.gates.python_code import (
    argument,
    code_of,
    dotted,
    last_name,
    syntax,
)
from adw_worktree.orchestration.gates.tree import (
    Tree,
    first_place,
    is_test,
    language,
    place_of,
    word,
)
from adw_worktree.system.named_tuple import NamedTuple

_READERS = r"(?i)(?!.*set)(?!put).*(?:get|env|config|setting|read|require|load|lookup|fetch|pop" \
    r"|secret|option)\w*|str|int|bool|float|list|path|url"  # fmt: skip
_HOLDERS = (
    r"(?i).*(?:settings?|config|conf|cfg|env|environ|environment|options?|opts|app|self|cls|s)"
)
_SETTINGS_CLASS = r"(?i).*(?:settings|config|options|environment|env)"
_ENV = r"(?:process\.env|import\.meta\.env|Bun\.env|\w*[eE]nv\w*|\w*[cC]onfig\w*|\w*[sS]ettings?)"
_SHELL = r"(?:.*\.(?:sh|bash|zsh|fish)|(?:GNU)?[Mm]akefile|justfile|Justfile|.*\.mk)"


class _Declared(NamedTuple):
    """A name that holds a setting: a field of a class, or a constant."""

    name: str
    place: Place
    is_field: bool


def check_setting(checker: Checker, tree: Tree) -> Finding:
    """Find code that reads the setting, and uses what it has read."""
    name = re.split(r"[.]", checker.subject)[-1]
    reads, holders, unused = [], [], []
    for path in _near(tree, name):
        if language(path) == "python":
            found, held = _python(tree, path, name)
            idle_reads = _unused(tree, path, name)
            unused += idle_reads
            reads += [one for one in found if one not in [place for place, _ in idle_reads]]
            holders += held
        else:
            reads += _patterns(tree, path, name)
    if reads:
        return Finding("pass", f"{reads[0]} reads it")
    idle = [holder for holder in holders if _use_of(tree, holder) is None]
    for holder in holders:
        use = _use_of(tree, holder)
        if use is not None:
            return Finding("pass", f"{holder.place} has it as {holder.name}; {use} reads that")
    nested = _nested(tree, name)
    if nested is not None:
        return nested
    if unused and not idle:
        place, local = unused[0]
        return Finding("fail", f"{place} reads it into {local}, which nothing uses")
    if idle:
        holder = idle[0]
        reason = f"has it as {holder.name}, which nothing reads ({tree.searched})"
        return Finding("fail", f"{holder.place} {reason}")
    return _unread(tree, name)


def _near(tree: Tree, name: str) -> list[str]:
    """Return the files that may read a setting: those with its name, in either case."""
    named = {*tree.naming(name), *tree.naming(name.lower()), *tree.naming(name.upper())}
    for prefix in tree.kept(_prefixes):
        if name.upper().startswith(prefix):
            named |= set(tree.naming(name[len(prefix) :].lower()))
    return sorted(path for path in named if not is_test(path))


def _nested(tree: Tree, name: str) -> Finding | None:
    """Judge a setting of a class inside of a class of settings, such as `DB__URL`.

    Returns None if it is none, or no field is of its name.
    """
    *outer, field = name.lower().split("__")
    if not outer or not field or not tree.naming("env_nested_delimiter"):
        return None
    declared: Place | None = None
    for path in tree.naming(field):
        module = syntax(tree, path) if language(path) == "python" and not is_test(path) else None
        for node in ast.walk(module) if module else ():
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Load)
                and node.attr == field
                and last_name(node.value) == outer[-1]
            ):
                return Finding("pass", f"{Place(path, node.lineno)} reads {outer[-1]}.{field}")
            is_field = isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            if is_field and node.target.id == field:  # type: ignore[attr-defined]
                declared = declared or Place(path, node.lineno)  # type: ignore[attr-defined]
    if declared is None:
        return None
    reason = f"has it as {outer[-1]}.{field}, which nothing reads ({tree.searched})"
    return Finding("fail", f"{declared} {reason}")


def _unused(tree: Tree, path: str, name: str) -> list[tuple[Place, str]]:
    """Return where functions read the setting into a name of their own, and use it no more."""
    module = syntax(tree, path)
    found = []
    for function in ast.walk(module) if module else ():
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inner = [*ast.walk(function)]
        used = {one.id for one in inner
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}  # fmt: skip
        shared = {each for one in inner if isinstance(one, ast.Global | ast.Nonlocal)
                  for each in one.names}  # fmt: skip
        for node in inner:
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
                continue
            [target] = node.targets
            is_idle = isinstance(target, ast.Name) and target.id not in used | shared
            reads = [one for one in ast.walk(node.value) if _is_read(one, name)]
            if is_idle and reads:
                found.append((Place(path, reads[0].lineno), target.id))  # type: ignore[attr-defined]
    return found


def _prefixes(tree: Tree) -> list[str]:
    """Return the prefixes that classes of settings put before their fields."""
    found = set()
    for path in tree.naming("env_prefix"):
        module = syntax(tree, path) if path.endswith(".py") else None
        for node in ast.walk(module) if module else ():
            if isinstance(node, ast.ClassDef):
                found.add(_prefix(node).upper())
    return sorted(found - {""})


def _prefix(node: ast.ClassDef) -> str:
    for each in ast.walk(node):
        name = each.arg if isinstance(each, ast.keyword) else None
        if isinstance(each, ast.Assign):
            name = last_name(each.targets[0])
        value = each.value if isinstance(each, ast.keyword | ast.Assign) else None
        if (
            name == "env_prefix"
            and isinstance(value, ast.Constant)
            and isinstance(value.value, str)
        ):
            return value.value
    return ""


def _python(tree: Tree, path: str, name: str) -> tuple[list[Place], list[_Declared]]:
    """Return where a module reads a setting, and the names that it keeps it under."""
    module = syntax(tree, path)
    if module is None:
        return [], []
    reads: list[Place] = []
    holders: list[_Declared] = []
    held: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            holders += _fields(path, node, name)
        for target in _kept_at(node, module):
            value = node.value  # type: ignore[attr-defined]
            inner = [one for one in ast.walk(value) if _is_read(one, name)]
            held.update(id(one) for one in inner)
            if inner and not any(one.name == target for one in holders):
                in_class = isinstance(node, ast.AnnAssign | ast.Assign) and node not in module.body
                holders.append(_Declared(target, Place(path, node.lineno), in_class))  # type: ignore[attr-defined]
    for node in ast.walk(module):
        if id(node) not in held and _is_read(node, name):
            reads.append(Place(path, node.lineno))  # type: ignore[attr-defined]
    constant = code_of(tree, path).defines.get(name)
    if constant is not None and re.search(_SETTINGS_CLASS, path.rpartition("/")[2][:-3]):
        holders.append(_Declared(name, Place(path, constant), False))
    return reads, holders


def _kept_at(node: ast.AST, module: ast.Module) -> list[str]:
    """Return the constants, or the fields of a class, that a statement assigns."""
    if isinstance(node, ast.Module):
        return []
    is_statement = isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
    if not is_statement:
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[attr-defined]
    outer = node in module.body or any(
        isinstance(each, ast.ClassDef) and node in each.body for each in module.body
    )
    return [target.id for target in targets if isinstance(target, ast.Name)] if outer else []


def _fields(path: str, node: ast.ClassDef, name: str) -> list[_Declared]:
    """Return the fields of a class of settings that the setting fills."""
    bases = [last_name(base) for base in node.bases]
    if not any(re.fullmatch(_SETTINGS_CLASS, one) for one in (node.name, *bases)):
        return []
    prefix = _prefix(node).upper()
    found = []
    for each in node.body:
        if not isinstance(each, ast.AnnAssign | ast.Assign):
            continue
        target = each.target if isinstance(each, ast.AnnAssign) else each.targets[0]
        field = target.id if isinstance(target, ast.Name) else ""
        aliases = {
            one.value
            for keyword in ast.walk(each)
            if isinstance(keyword, ast.keyword) and keyword.arg in _ALIASES
            for one in ast.walk(keyword.value)
            if isinstance(one, ast.Constant)
        }
        if name in aliases or f"{prefix}{field.upper()}" == name.upper() or field == name:
            found.append(_Declared(field, Place(path, each.lineno), True))
    return found


_ALIASES = ("alias", "validation_alias", "env")


def _is_read(node: ast.AST, name: str) -> bool:
    """Return whether an expression reads the setting by its name as a text."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return _is_text(node.slice, name)
    if isinstance(node, ast.Call):
        called = last_name(node)
        if called in ("getattr", "hasattr") and len(node.args) > 1:
            return _is_text(node.args[1], name) and _holds(node.args[0])
        if called and re.fullmatch(_READERS, called) and _is_text(argument(node, 0, "key"), name):
            return True
        return _is_text(argument(node, None, "envvar", "env_var"), name)
    if isinstance(node, ast.Compare) and _is_text(node.left, name):
        return any(isinstance(one, ast.In | ast.NotIn) for one in node.ops) and "environ" in str(
            dotted(node.comparators[0])
        )
    is_attribute = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    return is_attribute and node.attr == name and _holds(node.value)  # type: ignore[attr-defined]


def _is_text(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == name


def _holds(node: ast.AST) -> bool:
    """Return whether an object's name is that of settings."""
    return re.fullmatch(_HOLDERS, last_name(node)) is not None


def _use_of(tree: Tree, holder: _Declared) -> Place | None:
    """Return where the name that holds a setting is read."""
    for path in tree.naming(holder.name):
        if language(path) != "python" or is_test(path):
            continue
        module = syntax(tree, path)
        for node in ast.walk(module) if module else ():
            by_object = (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Load)
                and node.attr == holder.name
            )
            by_name = (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Load)
                and node.id == holder.name
                and not holder.is_field
            )
            if by_object or by_name:
                return Place(path, node.lineno)  # type: ignore[attr-defined]
    return None


def _patterns(tree: Tree, path: str, name: str) -> list[Place]:
    """Return where a file that is not Python reads a setting."""
    code, called = tree.code(path), re.escape(name)
    unassigned = r"(?!\s*=(?!=))"
    if language(path) == "script":
        pattern = (
            rf"\b{_ENV}\s*\??\.\s*{called}(?![\w$]){unassigned}"
            rf"|\b{_ENV}\s*(?:\?\.)?\[\s*['\"`]{called}['\"`]\s*\]{unassigned}"
            rf"|\b[\w.]*(?:[gG]et|[eE]nv|[cC]onfig)\w*\(\s*['\"`]{called}['\"`]"
            rf"|\{{[^{{}}]{{0,500}}{word(name)}[^{{}}]{{0,500}}\}}\s*=\s*{_ENV}\b"
            rf"|\bimport\s*\{{[^{{}}]{{0,500}}{word(name)}[^{{}}]{{0,500}}\}}\s*from\s*['\"]\$env/"
        )
    elif language(path) == "other":
        pattern = rf"(?i:env\w*|conf\w*|viper\.\w+|fetch|var|property)\W{{1,4}}[\"'`]{called}[\"'`]"
    elif re.fullmatch(_SHELL, path.rpartition("/")[2]):
        pattern = rf"\$\(?\{{?{called}(?!\w)"
    else:
        return []
    match = re.search(pattern, code)
    return [place_of(path, code, match.start())] if match else []


def _is_container(path: str) -> bool:
    """Return whether a file hands its settings to the images of other people."""
    return re.fullmatch(r".*compose.*\.ya?ml|Dockerfile.*", path.rpartition("/")[2]) is not None


def _unread(tree: Tree, name: str) -> Finding:
    """Return what is to be said of a setting that no code was seen to read."""
    named = [path for path in tree.naming(name) if not is_test(path)]
    for path in named:
        in_code = re.search(word(name), tree.code(path)) is not None
        if language(path) == "other" and in_code:
            at = first_place(path, tree.code(path), name)
            return Finding("unknown", f"{at} names it; whether it reads it cannot be told")
        if language(path) == "script" and in_code:
            at = first_place(path, tree.code(path), name)
            other = any(name in tree.code(one) for one in named
                        if one != path and language(one) == "script")  # fmt: skip
            if other:
                return Finding("unknown", f"{at} names it; whether it reads it cannot be told")
    shown = sorted(named, key=lambda path: language(path) != "data")
    for path in shown:
        at = first_place(path, tree.text(path) or "", name)
        if all(_is_container(one) for one in shown):
            return Finding("warn", f"{at} hands it to a container; no code of ours reads it")
        return Finding("fail", f"named at {at}, read nowhere ({tree.searched})")
    if tree.naming(name):
        return Finding("fail", f"only {tree.naming(name)[0]}, a test, names it")
    return Finding("fail", f"nothing names it ({tree.searched})")

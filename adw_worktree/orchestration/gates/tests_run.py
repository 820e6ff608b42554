"""Tests of a checklist: there, collected, and run as far as it can be seen.

What holds here: a test that nothing lists is not called unrun; a list of others than it is a fault.
"""

from __future__ import annotations

import re

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.collected import (
    Found,
    go_tests,
    python_tests,
    refusal,
    script_tests,
)
from adw_worktree.orchestration.gates.files import located
from adw_worktree.orchestration.gates.finding import Finding
from adw_worktree.orchestration.gates.printed import listed, lists_like, read
from adw_worktree.orchestration.gates.tree import Tree, first_place, is_test, language


def check_test(checker: Checker, tree: Tree, printed: str) -> Finding:
    """Find the test, whether a runner collects it, and whether what was printed has it."""
    name, place = checker.subject, checker.place
    if (
        place is None
        and (re.search(r"\.\w+$", name) or "/" in name)
        and not name.startswith("Test")
    ):
        return _check_tests_of_file(name, tree, printed)
    files = _candidates(tree, name, place)
    if isinstance(files, Finding):
        return files
    wanted = re.sub(r"\.|::", "::", name) if " " not in name else name
    found = [one for path in files for one in _tests(tree, path) if _is(one.name, wanted)]
    collected = [one for one in found if one.refused is None]
    if not found:
        return _absent(name, files, tree)
    if not collected:
        one = found[0]
        return Finding("fail", f"{one.place} is not collected: {one.refused}")
    one = next((each for each in collected if not each.skipped), collected[0])
    reason = _file_refusal(tree, one.place.path)
    if reason is not None:
        return Finding("fail", f"{one.place} is not collected: {reason}")
    if one.skipped:
        return Finding("warn", f"{one.place} is skipped")
    return _seen(one.place.path, one.name, str(one.place), printed)


def _is(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f"::{wanted}")


def _candidates(tree: Tree, name: str, place: str | None) -> list[str] | Finding:
    """Return the files in which a test may be: the one that is named, or all that have its name."""
    if place is not None:
        path = located(tree, place)
        if isinstance(path, str):
            return [path]
        return path
    return tree.naming(re.split(r"\.|::|/", name)[-1])


def _tests(tree: Tree, path: str) -> list[Found]:
    if language(path) == "python":
        return python_tests(tree, path)
    if language(path) == "script":
        return script_tests(tree, path)
    return go_tests(tree, path) if path.endswith(".go") else []


def _file_refusal(tree: Tree, path: str) -> str | None:
    return refusal(tree, path) if language(path) == "python" else None


def _absent(name: str, files: list[str], tree: Tree) -> Finding:
    """Return what is to be said of a test that no file defines."""
    last = re.split(r"\.|::|/", name)[-1]
    for path in files:
        if tree.text(path) is None:
            return Finding("unknown", f"{path} cannot be read")
        if language(path) == "python" and not python_tests(tree, path) and is_test(path):
            return Finding("fail", f"{path} has no test that can be read")
        understood = language(path) in ("python", "script") or path.endswith(".go")
        if not understood and last in tree.code(path) and language(path) == "other":
            at = first_place(path, tree.code(path), last)
            return Finding("unknown", f"{at} names it; what is collected there cannot be told")
    return Finding("fail", f"there is no test {name} ({tree.searched})")


def _check_tests_of_file(subject: str, tree: Tree, printed: str) -> Finding:
    """Judge a file of tests as a whole."""
    path = located(tree, subject)
    if isinstance(path, Finding):
        return path
    if language(path) not in ("python", "script") and not path.endswith(".go"):
        return Finding("unknown", f"{path} exists; what is collected there cannot be told")
    found = [one for one in _tests(tree, path) if one.refused is None]
    reason = _file_refusal(tree, path)
    if reason is not None:
        return Finding("fail", f"{path} is not collected: {reason}")
    if not found:
        return Finding("fail", f"{path} has no test that is collected")
    if all(one.skipped for one in found):
        return Finding("warn", f"{path}: all its tests are skipped")
    return _seen(path, None, f"{found[0].place}, the first of {len(found)}", printed)


def _seen(path: str, name: str | None, where: str, printed: str) -> Finding:
    """Judge a test that is collected by what a run has printed."""
    found = read(printed)
    own = listed(found, path)
    ends = [
        end
        for (file, test), end in found.tests.items()
        if (file in own or (not file and path.endswith(".go"))) and (name is None or test == name)
    ]
    if ends:
        end = next((one for one in ("failed", "passed", "skipped") if one in ends), "skipped")
        verdict = {"failed": "fail", "passed": "pass"}.get(end, "warn")
        return Finding(verdict, f"{where} was run and {end}")  # type: ignore[arg-type]
    by_test = any(file in own for file, _ in found.tests)
    if own and by_test:
        return Finding("fail", f"{where} exists, and the tests that ran do not include it")
    if own:
        return Finding("pass", f"{where} is there, and {path} was run")
    if lists_like(found, path):
        return Finding("fail", f"{where} exists, and the tests that ran do not include {path}")
    return Finding("pass", f"{where} is collected; nothing shows whether it was run")

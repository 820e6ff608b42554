"""From a checker to a verdict: each kind of it has a module of its own.

What holds here: a mention alone never passes; where a language or a framework is not understood,
the verdict is `unknown`. Commands are run by the stage, not here: their verdict here is `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.components import check_component
from adw_worktree.orchestration.gates.endpoints import check_endpoint
from adw_worktree.orchestration.gates.files import check_file
from adw_worktree.orchestration.gates.finding import Finding
from adw_worktree.orchestration.gates.migrations import check_migration
from adw_worktree.orchestration.gates.names import check_message, check_name, check_state
from adw_worktree.orchestration.gates.python_code import PYTHON, unreadable
from adw_worktree.orchestration.gates.settings_read import check_setting
from adw_worktree.orchestration.gates.tests_run import check_test
from adw_worktree.orchestration.gates.tree import Tree
from adw_worktree.system.text import printable

_MOST_CHARACTERS = 500

_CHECKS: Mapping[str, Callable[[Checker, Tree], Finding]] = MappingProxyType(
    {
        "endpoint": check_endpoint,
        "message": check_message,
        "state": check_state,
        "setting": check_setting,
        "component": check_component,
        "migration": check_migration,
        "name": check_name,
        "file": check_file,
    }
)


def check(checker: Checker, tree: Tree, printed: str = "") -> Finding:
    """Return the verdict on a checker, with one line of evidence.

    `printed` is all that the stage of tests has printed: a part of it would hide tests that ran.
    """
    if checker.what == "test":
        found = check_test(checker, tree, printed)
    elif checker.what in _CHECKS:
        found = _CHECKS[checker.what](checker, tree)
    else:
        found = Finding("unknown", f"a {checker.what} is not told by reading")
    if found.verdict == "fail" and checker.what != "test":
        found = _doubted(found, checker, tree)
    evidence = printable(found.evidence)
    return found._replace(evidence=evidence[:_MOST_CHARACTERS])


def _doubted(found: Finding, checker: Checker, tree: Tree) -> Finding:
    """Return `unknown` in place of `fail` if a module that names the subject cannot be read."""
    path = unreadable(tree, re.split(r"[./ ]", checker.subject.rstrip("/"))[-1])
    if path is None or checker.what in ("file", "migration"):
        return found
    return Finding("unknown", f"{found.evidence}; {path} cannot be read as Python {PYTHON}")

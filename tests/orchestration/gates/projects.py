"""Small projects for the checks: a few files each, written where a test says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adw_worktree.orchestration.gates.check import check
from adw_worktree.orchestration.gates.checklist import Checker
from adw_worktree.orchestration.gates.tree import Tree


def project(root: Path, files: Mapping[str, str | bytes]) -> Tree:
    """Write the files and return them as a tree."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return Tree(root, list(files))


def verdict(root: Path, files: Mapping[str, str | bytes], *checker: str, printed: str = "") -> str:
    """Return the verdict on a project and its evidence, as `pass: …`."""
    found = check(Checker(*checker), project(root, files), printed)
    return f"{found.verdict}: {found.evidence}"

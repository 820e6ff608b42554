"""The `prepare` hooks: run in a worktree before it is anybody's, an ADW's or a spare, alike."""

from __future__ import annotations

import json
from pathlib import Path

from adw_worktree.project import Project
from adw_worktree.settings.approvals import require_trusted
from adw_worktree.worktrees.user_hooks import PREPARE, run_hooks


def prepare_digest(project: Project) -> str:
    """Return the digest of what the `prepare` hooks run; empty if there are none."""
    hook = project.settings.hooks.get(PREPARE)
    if hook is None or not hook.commands:
        return ""
    from hashlib import sha256

    return sha256(json.dumps(hook.commands).encode()).hexdigest()


def prepare(project: Project, worktree: Path, output: int | None) -> None:
    """Run the `prepare` hooks in a worktree, an ADW's or a spare, alike.

    Raises HookFailed, HookUntrusted.
    """
    repo = project.repo
    require_trusted(project.settings, project.state_dir, repo.common_dir, [PREPARE])
    variables = {"ADW_WORKTREE": str(worktree), "ADW_REPO": str(repo.home)}
    run_hooks(PREPARE, project.settings, cwd=worktree, variables=variables, output=output)

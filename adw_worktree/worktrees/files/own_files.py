"""The files that we wrote into a worktree: nobody's work, also where git shows them.

A project's `.gitignore` is stronger than `info/exclude`: a line such as `!.env*` takes the env file
back in.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.pool.env_header import load_header
from adw_worktree.project import Project
from adw_worktree.repo.work import Uncommitted, uncommitted


def work_in(project: Project, worktree: Path, admin: Path) -> Uncommitted:
    """Return what the worktree of the admin directory holds that a person made and is in no commit.

    Raises GitFailed.
    """
    return uncommitted(worktree, admin, own_files(project, worktree))


def own_files(project: Project, worktree: Path) -> list[str]:
    """Return the names of the files in `worktree` that say they are ours, relative to its top."""
    env_file = project.settings.env_file
    header = load_header(worktree / env_file)
    names = [env_file] if header is not None else []
    if project.settings.write:
        from adw_worktree.worktrees.files.programs import written_files

        names += written_files(project, header.adw_id if header else worktree.name, worktree)
    return names

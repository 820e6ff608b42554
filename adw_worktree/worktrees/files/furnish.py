"""What a worktree is given beside git's files: env file, ignored files, files for programs.

What holds here: what only some settings ask for is loaded only then.
"""

from __future__ import annotations

from pathlib import Path

from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.settings.places import INCLUDE_FILE
from adw_worktree.system.paths import is_file
from adw_worktree.worktrees.files.env_file import write
from adw_worktree.worktrees.files.exclude import shown_notes
from adw_worktree.worktrees.files.variables import env_text


def furnish(project: Project, lease: Lease, worktree: Path) -> list[str]:
    """Bring the env file and the files for programs up to date; return what to tell a person.

    Raises SettingsError, HookUntrusted, FileUnusable.
    """
    write(worktree, project.settings.env_file, env_text(project, lease))
    notes = shown_notes(project, worktree)
    if not project.settings.write:
        return notes
    from adw_worktree.worktrees.files.programs import write_files

    return [*notes, *write_files(project, lease, worktree)]


def forget_name(project: Project, adw_id: str, worktree: Path) -> None:
    """Take away what was written for programs under a name the worktree no longer has.

    Raises FileUnusable.
    """
    if project.settings.write:
        from adw_worktree.worktrees.files.programs import drop_named

        drop_named(project, adw_id, worktree)


def left_behind(project: Project, worktree: Path) -> list[str]:
    """Return notes on what `bring_along` would have brought into a worktree that was there already.

    Raises GitFailed.
    """
    if not _has_companions(project):
        return []
    from adw_worktree.worktrees.files.include import lacking

    return lacking(project, worktree)


def _has_companions(project: Project) -> bool:
    """Whether anything is named that git does not carry."""
    settings, main = project.settings, project.repo.main
    return main is not None and bool(
        settings.include or settings.link or is_file(main / INCLUDE_FILE)
    )


def bring_along(project: Project, worktree: Path, output: int | None) -> list[str]:
    """Bring in what git does not carry; return what a person should know of it.

    `output` is as for `include.bring`. Raises GitFailed, FileUnusable.
    """
    main = project.repo.main
    if not _has_companions(project):
        return []
    from adw_worktree.worktrees.files.include import bring

    brought = bring(project, worktree, output=output)
    files = "1 file" if brought.copied == 1 else f"{brought.copied} files"
    parts = [f"copied {files}"] if brought.copied else []
    parts += [f"linked {brought.linked}"] if brought.linked else []
    told = [f"{' and '.join(parts)} from {main}"] if parts else []
    return [*told, *brought.notes]

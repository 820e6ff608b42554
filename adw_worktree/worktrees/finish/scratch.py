"""A worktree for the time of one merge, so that no checkout of a person's is merged in.

It lies among the spares and is called like one, but has no record: so all that hides spares hides
it, and what sweeps up after a killed filler sweeps it up, too.

What holds here: its `<name>.lock` is held from before it is made until it is to go, by the git
commands that work in it as well, so that nobody sweeps it away under them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from adw_worktree.errors import AdwError, FileUnusable
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout
from adw_worktree.repo.repository import SPARE
from adw_worktree.repo.worktrees import add_worktree, check_out
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held_with_children
from adw_worktree.system.sharing import make_directories
from adw_worktree.worktrees import spares
from adw_worktree.worktrees.spare_files import lock_of

_LOCK_REASON = "a merge of adw-worktree\n"


@contextmanager
def scratch_worktree(project: Project, commit: str) -> Iterator[Checkout]:
    """Have a worktree detached at `commit` for the block. Raises GitFailed, FileUnusable."""
    repo, settings = project.repo, project.settings
    name = f"{SPARE}{os.urandom(4).hex()}"
    path = repo.spares_dir / name
    try:
        make_directories(path.parent)
        reached("scratch.directory")
        with held_with_children(lock_of(repo, name), settings.lock_timeout):
            add_worktree(repo, settings, path, commit, detach=True)
            (repo.admin_root / name / "locked").write_text(_LOCK_REASON)
            reached("scratch.locked")
            scratch = Checkout(repo.admin_root / name, path)
            check_out(scratch)
            yield scratch
    except OSError as exc:
        raise FileUnusable.because(f"no worktree to merge in can be made at {path}", exc) from exc
    finally:
        with suppress(OSError, AdwError):  # or the next command sweeps it away
            spares.remove(project, name)

"""Where one was last: what `-` stands for where an ADW is named, as for `cd -`.

`create` and `adw cd` note where they lead, by the token of the lease: an ADW that is renamed stays
the same, one that is made again does not. Nobody else reads or writes the file, and what is lost
with it is a convenience: it is written without ceremony.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from adw_worktree.errors import FileUnusable, UnknownAdw, UsageError
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.ledger import Leases
from adw_worktree.project import Project
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.records import read_file

# More than two, or nothing would be left of it when the last one is removed.
_REMEMBERED = 10


def shell_file(again: str) -> Path:
    """Return the file in which the shell finds where to go; `again` is what a person types.

    Raises UsageError if no shell asks.
    """
    named = os.environ.get("ADW_CD_FILE")
    if not named:
        raise UsageError(
            "only a shell can go into another directory",
            hint=f'eval "$(adw-worktree shell-init bash)"; {again}',
        )
    return Path(named)


def lead_shell(file: Path, path: str) -> None:
    """Have the shell that made `file` go to `path`."""
    try:
        file.write_bytes(os.fsencode(path))
    except OSError as exc:
        raise FileUnusable.because(f"{file} cannot be written", exc) from exc


def note_visit(project: Project, lease: Lease) -> None:
    """Note that somebody goes into the worktree of `lease`, from where the command works."""
    here = project.current_lease(project.pool.leases())
    tokens = [lease.token, *([here.token] if here else []), *_noted(project)]
    text = "\n".join(list(dict.fromkeys(tokens))[:_REMEMBERED]) + "\n"
    with suppress(OSError):
        write_atomically(_file(project), text.encode(), lasting=False, synced=False, shared=True)
        reached("visit.noted")


def last_visited(project: Project, leases: Leases) -> Lease:
    """Return the lease of the worktree that was made or gone into last, other than the current one.

    Raises UnknownAdw if there is none.
    """
    here = project.current_lease(leases)
    by_token = {lease.token: lease for lease in leases.values() if lease != here}
    for token in _noted(project):
        if token in by_token:
            return by_token[token]
    other = "other than this was" if here else "was"
    raise UnknownAdw(
        f"there is no last worktree: none {other} made with create, or gone into with adw cd",
        hint="name the ADW: adw-worktree list",
    )


def _noted(project: Project) -> list[str]:
    """Return the tokens, the latest first."""
    try:
        noted = read_file(_file(project))
    except OSError:
        return []
    return re.findall(r"(?m)^[0-9a-f]{32}$", noted.decode(errors="replace"))


def _file(project: Project) -> Path:
    return project.repo.tool_dir / "visits"

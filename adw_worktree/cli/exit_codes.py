"""What each exit code of the command line says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXIT_CODES: Mapping[int, str] = MappingProxyType(
    {
        0: "done",
        1: "unexpected",
        2: "usage or an invalid ADW id",
        3: "settings, ledger, a file, a library or the database server unusable",
        4: "not a git repository, or git failed",
        5: "pool exhausted",
        6: "no such ADW or worktree",
        7: "refused: work would be lost, or something is in the way",
        8: "a lock is held too long",
        9: "a hook or an agent failed",
        10: "`--check` or `doctor` found something",
        11: "`--wait`: a phase failed or is blocked",
        12: "`--wait`: a person or a limit is waited for",
    }
)
"""What each exit code of the command line says; `run` has its command's own."""

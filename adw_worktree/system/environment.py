"""The process's environment without git's own repository variables."""

from __future__ import annotations

import os
from collections.abc import Mapping

# `git rev-parse --local-env-vars`: git sets these for its hooks, and a child that inherits them
# works on the wrong repository.
_REPOSITORY_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_QUARANTINE_PATH",
        "GIT_REFLOG_ACTION",
    }
)

BUSY_VARIABLE = "ADW_WORKTREE_BUSY"
"""Set for every git child, so that managed hooks do not call the tool back."""


def clean_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return `environ` (default: the process's) without git's repository variables."""
    source = os.environ if environ is None else environ
    return {
        name: value
        for name, value in source.items()
        if name not in _REPOSITORY_VARIABLES
        and not name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))
    }

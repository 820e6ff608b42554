"""All documents, and the JSON Schema of them.

A model has exactly the keys of its document; `tests/whole/test_reference.py` holds what commands
really print against it.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from adw_worktree.documents.board import (
    BoardHookSecret,
    BoardInvitation,
    BoardLink,
    BoardToken,
    StoreBackup,
    StoreRestore,
)
from adw_worktree.documents.document import Document, Failed
from adw_worktree.documents.hosts import StoreCopy, StoreMigrate, Worker
from adw_worktree.documents.phases import (
    AgentCheck,
    AgentList,
    FeatureList,
    FeatureShow,
    ImportQueue,
    PhaseDiff,
    PhaseList,
    PhaseLog,
    PhaseReport,
    PhaseShow,
    Work,
)
from adw_worktree.documents.plans import (
    FeatureChecklist,
    PhaseIssue,
    PhaseJudge,
    PlanCheck,
    PlanDraft,
    PlanNew,
    PlanShow,
)
from adw_worktree.documents.pool import (
    Doctor,
    Freed,
    Reconcile,
    Release,
    Reserve,
    Status,
    Trouble,
    Watching,
)
from adw_worktree.documents.setup import (
    ClaudeCreated,
    ClaudeRemoved,
    Help,
    Hooks,
    ShellInit,
    SparesDropped,
    SparesFilled,
    SparesStarted,
    SparesStatus,
    Trust,
)
from adw_worktree.documents.worktrees import (
    Adopt,
    Create,
    Discarded,
    Env,
    Finish,
    List,
    Lock,
    Path,
    Remove,
    RemoveSeveral,
    Rename,
    Restored,
    RestoreList,
)

DOCUMENTS: tuple[type[Document], ...] = (
    Create, Adopt, Remove, RemoveSeveral, Finish, Rename, RestoreList, Restored, Discarded, List,
    Status, Lock, Path, Env, Reserve, Release, Reconcile, Doctor, Hooks, Trust, SparesStatus,
    SparesFilled, SparesStarted, SparesDropped, ClaudeCreated, ClaudeRemoved, ShellInit,
    PlanNew, PlanCheck, PlanShow, PlanDraft,
    FeatureList, FeatureShow, FeatureChecklist, ImportQueue, PhaseList, PhaseShow, PhaseIssue,
    PhaseJudge, PhaseLog, PhaseDiff, PhaseReport, Work,
    AgentList, AgentCheck, BoardLink, BoardToken, BoardHookSecret, BoardInvitation,
    StoreBackup, StoreRestore, StoreMigrate, StoreCopy, Worker,
    Help, Watching, Freed, Trouble, Failed,
)  # fmt: skip
"""All, in the order of the reference. `run` has its command's output."""


def schema() -> dict[str, Any]:
    """Return one JSON Schema for all: the documents are in `$defs`, by name."""
    union: Any = DOCUMENTS[0]
    for one in DOCUMENTS[1:]:
        union = union | one
    return dict(TypeAdapter(union).json_schema())

"""Every foreseeable failure: a stable code, an exit code, what happened, and what to do next.

Errors are raised where the reason is known and caught once, in the command line's boundary.
`code` is for programs and never changes its meaning; the text is for people and may.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence


class AdwError(Exception):
    """A failure that has no code of its own.

    Subclasses set `code` (stable, for programs) and `exit_code` (the process's).
    The message states one fact with the names in it. The hint says what to do next and stands
    alone: a command in it can be pasted, and ends with the hint or before ` (`, `, ` or `; `.
    """

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_document(self) -> dict[str, str | None]:
        """Return the failure as JSON documents have it."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class Unexpected(AdwError):
    """A mistake of ours; the hint names the report."""

    code = "unexpected"


class UsageError(AdwError):
    """The command line cannot be understood, or asks for what cannot be."""

    code = "usage"
    exit_code = 2


class InvalidAdwId(UsageError):
    """A name that cannot be an ADW id."""

    code = "invalid-adw-id"


class PlanInvalid(UsageError):
    """A document describes no feature that can run; the text names the lines."""

    code = "plan-invalid"


class SettingsError(AdwError):
    """A settings file, variable or template that cannot be used as it is."""

    code = "settings"
    exit_code = 3


class LibraryMissing(SettingsError):
    """A library that only some commands need is not installed."""

    code = "library-missing"


class WorkflowInvalid(SettingsError):
    """A workflow, stage, agent or prompt that cannot run; nothing was started."""

    code = "workflow-invalid"


class LedgerError(AdwError):
    """A ledger, registry or state directory that cannot be read or written."""

    code = "ledger"
    exit_code = 3


class LedgerTooNew(LedgerError):
    """A ledger written by a later version; it is left untouched."""

    code = "ledger-too-new"


class StoreError(AdwError):
    """The database of features and phases cannot be used; nothing in it was changed."""

    code = "store"
    exit_code = 3


class StoreUnavailable(StoreError):
    """The server that has the store is away; what runs goes on, and is taken in when it is back."""

    code = "store-unavailable"


class StoreTooNew(StoreError):
    """A later version made the database of features and phases; it is left untouched."""

    code = "store-too-new"


class FileUnusable(AdwError):
    """A file or directory that the disk does not let us write: full, broken, read-only."""

    code = "file-unusable"
    exit_code = 3

    @classmethod
    def because(cls, what: str, cause: OSError) -> FileUnusable:
        """Return the error that says `what` failed, why, and what may help."""
        reason = cause.strerror or type(cause).__name__
        return cls(f"{what}: {reason}", hint=remedy(cause))


_REMEDIES = {
    errno.ENOSPC: "free some space, then repeat",
    errno.EDQUOT: "free some space, then repeat",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then repeat",
    errno.EIO: "the disk fails: see what the kernel says of it (dmesg)",
    errno.EROFS: "have the file system of {} mounted writable, then repeat",
    errno.EACCES: "make {} readable and writable for you, then repeat",
    errno.EPERM: "make {} readable and writable for you, then repeat",
}


def remedy(cause: OSError, directory: os.PathLike[str] | None = None) -> str:
    """Return what may help against `cause`.

    `directory` is where it happened, if `cause` does not name the file.
    """
    place = "the directory" if directory is None else os.fspath(directory)
    if isinstance(cause.filename, str | os.PathLike):
        name = os.path.abspath(cause.filename)
        # Whoever may see what it is was let into the directory: then it is the file's own fault.
        itself = os.path.lexists(name) and not os.access(name, os.R_OK | os.W_OK)
        place = name if itself else os.path.dirname(name)
    told = _REMEDIES.get(cause.errno or 0, "check the disk and the permissions of {}, then repeat")
    return told.replace("{}", place)


def is_disk_failure(error: OSError) -> bool:
    """Whether the disk or its permissions, not a mistake of ours, are behind `error`."""
    return error.errno in _REMEDIES


class DatabaseFailed(AdwError):
    """The database server cannot be reached, or does not do what it is asked."""

    code = "database-failed"
    exit_code = 3


class ForgeFailed(AdwError):
    """A pull request cannot be opened, or issues of phases cannot be on GitHub."""

    code = "forge-failed"
    exit_code = 3


class BoardUnusable(AdwError):
    """The board cannot be served, or the one that runs cannot be found."""

    code = "board-unusable"
    exit_code = 3


class NotARepository(AdwError):
    """The directory is in no git repository."""

    code = "not-a-repository"
    exit_code = 4


class GitFailed(AdwError):
    """git failed, could not be started, or lacks what was asked for; `stderr` says why."""

    code = "git-failed"
    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        argv: Sequence[str] = (),
        returncode: int = 0,
        stderr: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr


class BranchUnusable(AdwError):
    """The branch or ref asked for does not exist, is no valid name, or is checked out elsewhere."""

    code = "branch-unusable"
    exit_code = 4


class PoolExhausted(AdwError, RuntimeError):
    """No slot is free. The text names every holder and every blocked slot."""

    code = "pool-exhausted"
    exit_code = 5


class SlotUnavailable(AdwError):
    """The one slot asked for is leased, blocked, or outside the pool."""

    code = "slot-unavailable"
    exit_code = 5


class UnknownAdw(AdwError):
    """No ADW, or no worktree, goes by this name."""

    code = "unknown-adw"
    exit_code = 6


class UnknownPhase(AdwError):
    """No feature, or no phase, goes by this name."""

    code = "unknown-phase"
    exit_code = 6


class Refused(AdwError):
    """Work would be lost, or something is in the way; nothing was changed."""

    code = "refused"
    exit_code = 7


class DirtyWorktree(Refused):
    """The worktree has uncommitted work."""

    code = "dirty-worktree"


class UnmergedBranch(Refused):
    """The branch has commits that are nowhere else."""

    code = "unmerged-branch"


class LockedWorktree(Refused):
    """Somebody ran `git worktree lock` on it."""

    code = "locked-worktree"


class WorktreeInside(Refused):
    """Another worktree lies inside the one to remove, and would go with it."""

    code = "worktree-inside"


class MountInside(Refused):
    """A file system is mounted inside what is to be deleted, and would be emptied with it."""

    code = "mount-inside"


class AdwIdTaken(Refused):
    """Another ADW is called that."""

    code = "adw-id-taken"


class MergeConflict(Refused):
    """Two branches change the same, and a person has to say what is meant."""

    code = "merge-conflict"


class Diverged(Refused):
    """The target has moved on, and may not be merged with as it is."""

    code = "diverged"


class TargetMoved(Refused):
    """The branch to merge into moves too fast for us."""

    code = "target-moved"


class PathOccupied(Refused):
    """The directory for a new worktree exists and is not empty."""

    code = "path-occupied"


class DatabaseTaken(Refused):
    """There is a database of that name, and it is somebody else's."""

    code = "database-taken"


class WorktreeUnavailable(Refused):
    """The worktree is neither there nor known to be gone, or is there and in the way."""

    code = "worktree-unavailable"


class ServersRunning(Refused):
    """A server that was asked to end is still running."""

    code = "servers-running"


class FeatureExists(Refused):
    """A feature of that slug is not over yet."""

    code = "feature-exists"


class PhaseNotInState(Refused):
    """A feature or phase is not in a state in which that can be done."""

    code = "phase-not-in-state"


class StaleAttempt(Refused):
    """The attempt that reports is not the one that runs; nothing was changed."""

    code = "stale-attempt"


class LockTimeout(AdwError):
    """Another process holds a lock for longer than the setting `lock_timeout` allows."""

    code = "lock-timeout"
    exit_code = 8


class AlreadyWatching(LockTimeout):
    """Another process of the user's watches the same state directory."""

    code = "already-watching"


class HookFailed(AdwError):
    """A hook command exited non-zero."""

    code = "hook-failed"
    exit_code = 9


class AgentFailed(AdwError):
    """An agent that a command has called cannot be used, or did not do its work."""

    code = "agent-failed"
    exit_code = 9


class HookUntrusted(HookFailed):
    """The repository asks to run commands that nobody has approved."""

    code = "hook-untrusted"


class CommandNotFound(AdwError):
    """The command to run does not exist."""

    code = "command-not-found"
    exit_code = 127


class CommandNotExecutable(AdwError):
    """The command to run cannot be executed."""

    code = "command-not-executable"
    exit_code = 126

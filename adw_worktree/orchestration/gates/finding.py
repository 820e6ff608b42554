"""What a checker finds: a verdict, and the evidence for it."""

from __future__ import annotations

from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Verdict = Literal["pass", "warn", "fail", "unknown"]


class Place(NamedTuple):
    """A line of a file."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Finding(NamedTuple):
    """What came of a check."""

    verdict: Verdict
    """`unknown`: it cannot be told by reading."""
    evidence: str
    """One line for people: files with their lines, and why."""

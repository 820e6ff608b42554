"""The documents of plans, checklists and issues."""

from __future__ import annotations

from typing import Literal

from adw_worktree.documents.document import Document, Done

Verdict = Literal["pass", "warn", "fail", "unknown"]


class CheckRow(Document):
    """A point of a checklist."""

    position: int
    kind: Literal["integration", "file", "criterion", "test", "success"]
    text: str
    checked_by: Literal["gate", "reader"]
    """`reader`: only a person or an agent can tell."""
    verdict: Verdict
    evidence: str | None
    """None as long as nobody has looked."""
    commit: str | None
    """The commit that the verdict is about."""


class PhaseChecklist(Document):
    """The checklist of a phase."""

    name: str
    title: str
    checklist: list[CheckRow]


class FeatureChecklist(Done):
    """`feature checklist`"""

    phases: list[PhaseChecklist]


class PhaseJudge(Done):
    """`phase judge`"""

    name: str
    title: str
    checklist: list[CheckRow]


class IssueTokens(Document):
    """How large an issue is beside two other ways, in tokens of about four bytes."""

    issue: int
    whole_plan: int
    """If each agent got the whole plan."""
    parent_and_children: int
    """If each got the whole plan, and the issues of all phases."""


class PhaseIssue(Done):
    """`phase issue`"""

    name: str
    issue: str
    tokens: IssueTokens


class Finding(Document):
    """Something about a plan that its author should know."""

    line: int
    level: Literal["error", "warning"]
    text: str


class PlanLane(Document):
    """A build agent of a plan."""

    number: str
    scope: str


class PlanTask(Document):
    """A task of a plan."""

    id: str
    phase_number: int
    name: str
    line: int
    lane: str | None
    module: str | None
    depends_on: list[str]
    criteria: list[str]
    creates: list[str]
    changes: list[str]
    tests: list[str]
    hours: float | None


class PlanOverlap(Document):
    """Two tasks that have the same file, and may run at once."""

    first: str
    second: str
    path: str


class PlanDocument(Document):
    """A plan as it was understood."""

    slug: str
    title: str
    phases: Literal["tasks", "lanes"]
    """What becomes a phase each."""
    lanes: list[PlanLane]
    tasks: list[PlanTask]
    overlaps: list[PlanOverlap]
    critical_path: list[str]
    critical_hours: float
    hours: float
    at_once: int
    """How many tasks can run side by side at most."""


class PlanNew(Done):
    """`plan new`"""

    path: str
    slug: str


class PlanCheck(Done):
    """`plan check`"""

    path: str
    errors: int
    findings: list[Finding]
    plan: PlanDocument | None
    """None if there is too little of a plan."""


class PlanShow(Done):
    """`plan show`"""

    plan: PlanDocument


class PlanDraft(Done):
    """`plan draft`"""

    path: str
    slug: str
    rounds: int
    """How often the agent was asked."""
    errors: int
    findings: list[Finding]
    cost_usd: float | None
    """None if it is not known."""

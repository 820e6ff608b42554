"""The documents of features, phases and their attempts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adw_worktree.documents.document import AdwId, Document, Done, Time
from adw_worktree.documents.plans import CheckRow, Verdict

Token = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Status = Literal[
    "queued", "ready", "running", "review", "paused", "completed", "failed", "blocked", "cancelled"
]
EndReason = Literal[
    "completed", "agent-error", "command-failed", "gate-failed", "conflict", "timeout", "stalled",
    "limit", "over-budget", "denied", "needs-person", "no-changes", "lost", "no-slot",
    "handed-back", "cancelled",
]  # fmt: skip


class Cost(Document):
    """What agents have cost."""

    usd: float
    """Of the calls whose cost is known."""
    calls: int
    unknown: int
    """Calls whose cost is not known."""


class FeatureRow(Document):
    """A feature."""

    feature_id: int
    slug: str
    title: str
    status: Literal["added", "running", "paused", "completed", "cancelled"]
    branch: str
    """Where its phases land."""
    priority: int
    """10 is urgent, 90 the background."""
    land: Literal["leave", "merge", "pr"]
    """What becomes of it when it is completed."""
    landing: str | None
    """What came of that: `landed`, the address of a pull request, or `failed: ` and why."""
    verify_at: Time | None
    """When it is verified, since it has landed."""
    verified: str | None
    """What came of that: `passed`, or `failed: ` and why."""
    issues: Literal["file", "github"]
    """Where its phases have their issues: a file on this machine, or also GitHub."""
    drafting: str | None
    """Of one without a plan: `running` while an agent drafts it, or `failed: ` and why."""
    repository: str
    """Its main worktree."""
    created_at: Time
    ended_at: Time | None
    phases: dict[Status, int]
    """How many are in each status."""
    checklist: dict[Verdict, int]
    """How many points of the phases' checklists have each verdict."""
    cost: Cost


class PhaseRow(Document):
    """A phase."""

    name: str
    """What commands call it, such as `login.3`."""
    feature_id: int
    phase_number: int
    title: str
    status: Status
    depends_on_phases: list[int]
    blocked_by: str | None
    awaits_slot: bool
    """Whether it found no free slot, and waits for one."""
    priority: int
    adw_id: AdwId
    checklist: dict[Verdict, int]
    """How many points of its checklist have each verdict. With `warn` or `fail` among them, a
    completed phase is completed with warnings."""
    estimated_hours: float | None
    issue_number: int | None
    """On GitHub."""
    error_message: str | None
    resume_at: Time | None
    """When the limit of its agents ends, if that is why it is paused."""
    created_at: Time
    ready_at: Time | None
    started_at: Time | None
    ended_at: Time | None


class StageRow(Document):
    """A step of an attempt."""

    position: int
    name: str
    kind: Literal["agent", "run", "approve", "ship"]
    round: int
    """1, and one more for each failure that led to it."""
    status: Literal["running", "passed", "failed", "moved", "waiting", "interrupted"]
    """`moved`: the feature's branch had moved on, and it was tested again; `interrupted`: its
    attempt ended before it did."""
    exit_code: int | None
    log: str | None
    """Its file in the directory of the attempt."""
    tested_commit: str | None
    """The commit that a check has looked at."""
    started_at: Time
    ended_at: Time | None


class CallRow(Document):
    """A call of an agent."""

    number: int
    stage: str
    agent: str
    model: str | None
    session_id: str | None
    turns: int | None
    prompt_length: int
    """In characters."""
    input_tokens: int | None
    """Without those that were read from a cache or written to one."""
    cached_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    """Of the output."""
    cost_usd: float | None
    """Null if it is not known."""
    cost_source: Literal["reported", "estimated", "unknown"]
    status: Literal["ok", "error", "limit", "budget", "turns", "denied", "killed"]
    error: str | None
    denied: list[str]
    """What it asked for and was not allowed."""
    retry_count: int
    latency_ms: int | None
    started_at: Time
    ended_at: Time


class AttemptRow(Document):
    """One run of a phase."""

    token: Token
    number: int
    host: str
    pid: int | None
    worktree: str | None
    base_commit: str | None
    head_commit: str | None
    """Of the feature's branch, once it landed there."""
    stage: str | None
    stop: Literal["cancel", "pause"] | None
    """What a person asked for."""
    report: Literal["done", "fail", "block"] | None
    """What it said of itself."""
    report_message: str | None
    end_reason: EndReason | None
    """None while it runs."""
    exit_code: int | None
    allowance_usd: float | None
    """How much its agents may cost."""
    verdict: Literal["approved", "rejected"] | None
    """What a person said of it."""
    verdict_message: str | None
    started_at: Time
    ended_at: Time | None
    stages: list[StageRow]
    calls: list[CallRow]


class EventRow(Document):
    """A change, in the order in which they came."""

    id: int
    at: Time
    feature_id: int | None
    phase_id: int | None
    attempt: Token | None
    stage: str | None
    kind: str
    """Such as `phase.running`, `attempt.ended`, `report.note`."""
    data: dict[str, str | int | float | None]


class FeatureList(Done):
    """`feature list`"""

    features: list[FeatureRow]


class ImportQueue(Done):
    """`import-queue`"""

    features: list[FeatureRow]


class FeatureShow(Done):
    """`feature show`, and every other `feature`"""

    feature: FeatureRow
    phases: list[PhaseRow]


class PhaseList(Done):
    """`phase list`"""

    phases: list[PhaseRow]


class PhaseShow(Done):
    """`phase show`, `retry`, `cancel`, `pause`, `resume`, `approve` and `reject`"""

    phase: PhaseRow
    commands: list[str]
    attempts: list[AttemptRow]
    events: list[EventRow]
    checklist: list[CheckRow]


class PhaseLog(Done):
    """`phase log`"""

    name: str
    attempt: Token
    log: str


class PhaseDiff(Done):
    """`phase diff`"""

    name: str
    base: str
    """The commit that the phase began at."""
    head: str
    patch: str


class PhaseReport(Done):
    """`phase done`, `fail`, `block` and `note`"""

    attempt: Token
    report: Literal["done", "fail", "block", "note"]
    changed: bool
    """False if the same was reported before."""


class AgentRow(Document):
    """A program that takes a prompt and works."""

    name: str
    command: list[str]
    prompt: Literal["stdin", "argument"]
    """How it gets the prompt."""
    reads: Literal["claude", "codex", "gemini", "opencode", "text"]
    """How what it prints is read."""
    origin: Literal["built in", "settings", "repository"]
    path: str | None
    """Where the program is; null if it is not installed."""


class AgentList(Done):
    """`agents`"""

    agents: list[AgentRow]


class CheckedAgent(AgentRow):
    """An agent that was looked at."""

    version: str | None
    login: Literal["yes", "not seen"]
    usable: bool
    state: str
    """In words."""
    cost_usd: float | None
    """Of the prompt that `--live` sent; null if none was, or nobody knows."""


class AgentCheck(Done):
    """`agents check`"""

    agents: list[CheckedAgent]


class Work(Done):
    """`work`"""

"""What the API takes and gives, beside the documents that the command line prints, too."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from adw_worktree.board.contents.people import Me
from adw_worktree.documents.document import AdwId, Document, Error
from adw_worktree.documents.hosts import Host
from adw_worktree.documents.phases import AttemptRow, EventRow, FeatureRow, PhaseRow
from adw_worktree.documents.plans import CheckRow, Finding, IssueTokens
from adw_worktree.documents.pool import Blocked
from adw_worktree.orchestration.plan.fields import Line

MOST_PLAN_CHARACTERS = 4 * 1024 * 1024
MOST_MESSAGE_CHARACTERS = 20_000


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Money = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Priority = Annotated[int, Field(ge=0, le=100, strict=True), BeforeValidator(_whole)]
"""14.0 is a whole number in JSON."""
Message = Annotated[str, Field(min_length=1, max_length=MOST_MESSAGE_CHARACTERS, pattern=r"\S")]


class Refusal(Document):
    """Why there is no answer."""

    error: Error


class QueueRow(PhaseRow):
    """A phase in the queue."""

    queue_id: int
    feature: str
    """The slug of its feature."""


class FeaturePage(Document):
    """A part of the list of features."""

    items: list[FeatureRow]
    next: str | None
    """The `cursor` of the part that follows."""


class QueuePage(Document):
    """A part of the queue."""

    items: list[QueueRow]
    next: str | None


class EventPage(Document):
    """Events, in their order."""

    items: list[EventRow]
    next: str | None
    """The last id in it, to be asked for as `after`, if there are more."""


class FeatureDetail(Document):
    """A feature with its phases."""

    feature: FeatureRow
    owner: str | None
    """The address of the user whose it is; None if it is none of a user's."""
    may_steer: bool
    """Whether whoever asks may change it."""
    description: str
    plan_path: str | None
    phases: list[QueueRow]


class PhaseDetail(Document):
    """A phase with all that happened to it."""

    phase: QueueRow
    may_steer: bool
    """Whether whoever asks may change it."""
    title: str
    """Of its feature."""
    repository: str
    """The main worktree of its feature."""
    commands: list[str]
    attempts: list[AttemptRow]
    events: list[EventRow]
    checklist: list[CheckRow]
    usual_seconds: dict[str, float]
    """How long its repository's stages usually take, by their names, where enough have run."""
    ports: dict[str, int]
    """Those of the slot that it has now; none if it has none."""
    worktree: str | None


class Patch(Document):
    """What a phase has changed."""

    name: str
    base: str
    head: str
    patch: str


class Issue(Document):
    """What the agent of a phase gets."""

    name: str
    issue: str
    tokens: IssueTokens


class LogPart(Document):
    """A part of what a stage has printed."""

    attempt: str
    log: str
    """Its file."""
    start: int
    """In bytes, from the beginning of the file."""
    end: int
    size: int
    """Of the whole file, in bytes."""
    text: str


class Held(Document):
    """A slot that is leased."""

    slot: int
    adw_id: str
    repository: str
    state: str
    path: str | None
    branch: str | None
    ports: dict[str, int]
    listening: list[int]
    """Those of its ports that somebody listens on."""


class Slots(Document):
    """Who holds which slot on this machine."""

    total: int
    allocated: int
    available: int
    held: list[Held]
    others: list[int]
    """Slots that are held by what whoever asks may not see."""
    blocked: list[Blocked]


class HostList(Document):
    """The hosts that share the store."""

    hosts: list[Host]


class Home(Document):
    """What the page begins with."""

    version: str
    repositories: list[str]
    read_only: bool
    """Whether whoever asks can change nothing."""
    user: Me | None
    """Who asks; None if the board has no users."""
    max_running: int


class PlanText(Document):
    """A plan."""

    name: str = Field("plan.md", min_length=1, max_length=200, pattern=r"^[^/\\\x00-\x1f]+\.md$")
    """Its file's."""
    text: str = Field(max_length=MOST_PLAN_CHARACTERS)


class PlannedPhase(Document):
    """What would become of a task."""

    phase_number: int
    title: str
    depends_on_phases: list[int]


class CheckedPlan(Document):
    """What there is to say of a plan."""

    errors: int
    findings: list[Finding]
    slug: str | None
    """None if it cannot be run, as long as there are errors."""
    title: str | None
    phases: list[PlannedPhase]


class NewPlan(Document):
    """A feature to add, with its plan."""

    plan: PlanText
    repository: str | None = None
    """Its main worktree; None is where the board was started."""


class Wish(Document):
    """A feature to add, whose plan is to be drafted."""

    title: Line
    description: str = Field("", max_length=MOST_MESSAGE_CHARACTERS)
    repository: str | None = None
    """Its main worktree; None is where the board was started."""


class Changes(Document):
    """What is to change of a feature."""

    priority: Priority


class Start(Document):
    """The start of a feature."""

    approve: str | None = None
    """The digest of what was shown before: approves exactly that."""


class Asked(Document):
    """What a feature asks to run, which nobody has approved yet."""

    error: Error
    digest: str
    asks: list[str]
    """A line for each command, prompt and effect."""


class Budget(Document):
    """Another budget."""

    budget_usd: Money | None = None
    """What its agents may cost, with what they have cost so far."""


class Comment(Document):
    """What is to be changed."""

    message: Message


class Report(Document):
    """How the work on a phase has ended, as a workflow reports it."""

    queue_id: Annotated[int, Field(ge=1, le=10**15)]
    feature_id: int
    phase_number: int
    status: Literal["completed", "failed", "blocked"]
    adw_id: AdwId
    error_message: str | None = Field(None, max_length=MOST_MESSAGE_CHARACTERS)


class Reported(Document):
    """What became of a report."""

    changed: bool
    """False if the same was reported before."""
    phase: QueueRow


class Health(Document):
    """Whether the board works."""

    status: str
    checks: dict[str, Any]

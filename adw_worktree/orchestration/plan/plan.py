"""The plan: the model of a document that describes a feature.

What holds here: whatever of the document phases, gates and pictures need stands in it, each with
its line. It is input alone: nothing of it changes when phases run.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from adw_worktree.orchestration.plan.fields import (
    SLUG,
    Issues,
    Label,
    Landing,
    Line,
    Money,
    Name,
    Priority,
    Weight,
)

MOST_TASKS = 10_000
Title = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class Finding(NamedTuple):
    """Something about a plan that its author should know."""

    line: int
    level: Literal["error", "warning"]
    """A plan with an error is not run."""
    text: str


class Point(NamedTuple):
    """A point of the plan, one line of text."""

    line: int
    text: str


class PlannedFile(NamedTuple):
    """A file that a task creates or changes."""

    line: int
    path: str
    """Relative to the repository."""
    text: str
    """The whole point."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FrontMatter(_Frozen):
    """The keys at the head of a plan. All of them are optional."""

    slug: Annotated[str, StringConstraints(pattern=SLUG)] | None = None
    title: Line | None = None
    priority: Priority = 50
    workflow: Name = "build"
    budget_usd: Money | None = None
    """For all agents of all phases."""
    land: Landing | None = None
    base: (
        Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20\x7f-][^\x00-\x20\x7f]*$")] | None
    ) = None
    phases: Literal["tasks", "lanes"] = "tasks"
    """Whether each task is a phase, or each build agent with all of its tasks."""
    checklist: Weight | None = None
    issues: Issues | None = None
    serialize_overlaps: Annotated[bool, Field(strict=True)] = False
    """Whether of two tasks that name the same file the second waits for the first."""


class Lane(NamedTuple):
    """A build agent: tasks that one agent would do one after the other."""

    line: int
    number: str
    scope: str
    about: str
    """What the document says to all of its tasks, as Markdown."""


class Task(_Frozen):
    """A part of the feature that one agent can do by itself."""

    id: Annotated[str, StringConstraints(max_length=40)]
    name: Line
    line: int
    lane: str | None
    """The number of its build agent."""
    module: Annotated[str, StringConstraints(max_length=300)] | None = None
    depends_on: tuple[str, ...] = ()
    criteria: tuple[Point, ...] = ()
    creates: tuple[PlannedFile, ...] = ()
    changes: tuple[PlannedFile, ...] = ()
    tests: tuple[Point, ...] = ()
    hours: Annotated[float, Field(gt=0, le=1000)] | None = None
    labels: tuple[Label, ...] = ()
    """What the host has to have that runs it."""
    text: str
    """Its part of the document, as Markdown: what its agent gets."""


class Plan(_Frozen):
    """A feature as its document describes it."""

    slug: Annotated[str, StringConstraints(pattern=SLUG)]
    title: Line
    front: FrontMatter
    objective: str
    lanes: tuple[Lane, ...]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1, max_length=MOST_TASKS)]
    integration: tuple[Point, ...]
    success: tuple[Point, ...]

    def lane(self, number: str | None) -> Lane | None:
        """Return the build agent of that number; None if there is none."""
        return next((lane for lane in self.lanes if lane.number == number), None)

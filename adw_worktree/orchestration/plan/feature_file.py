"""The feature file: the small TOML document of a feature whose phases are commands.

What holds here: a document is refused as a whole, with every line that is wrong, before anything of
it reaches the store, a shell or git.
"""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from adw_worktree.errors import PlanInvalid
from adw_worktree.orchestration.phases.graph import flaws
from adw_worktree.orchestration.plan.fields import (
    SLUG,
    Command,
    Issues,
    Label,
    Landing,
    Line,
    Listed,
    Money,
    Name,
    Priority,
    Prompt,
    Seconds,
    Weight,
)

_MOST_PHASES = 10_000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PhaseEntry(_Strict):
    """One phase: commands, run one after the other in the phase's own worktree, or the prompt of
    an agent that works there."""

    number: Annotated[int, Field(ge=1, le=_MOST_PHASES, strict=True)]
    title: Line
    run: Annotated[tuple[Command, ...], Listed] = ()
    prompt: Prompt | None = None
    workflow: Name | None = None
    """None: the feature's."""
    agents: Annotated[tuple[Name, ...], Listed] = ()
    """Each after the first is a fallback. None: those of the workflow."""
    budget_usd: Money | None = None
    """For all agents of the phase."""
    idle_timeout: Seconds | None = None
    """For which an agent may print nothing."""
    depends_on: tuple[Annotated[int, Field(strict=True)], ...] = ()
    needs: Annotated[tuple[Label, ...], Listed] = ()
    """What the host has to have that runs it, by its labels."""
    priority: Priority | None = None
    """None: the feature's."""
    changes: Literal["commits", "none"] = "commits"
    """`none`: the phase makes no commits, and nothing of it is merged."""
    attempts: Annotated[int, Field(ge=1, le=1000, strict=True)] = 2
    """How often it may be lost before it fails."""
    timeout: Seconds | None = None
    """For which each command, or the agent of each stage, may run."""
    estimated_hours: Annotated[float, Field(gt=0, le=100_000)] | None = None

    @model_validator(mode="after")
    def _has_work(self) -> PhaseEntry:
        if bool(self.run) == (self.prompt is not None):
            raise ValueError("a phase has either run, or a prompt")
        for key in ("workflow", "agents", "budget_usd", "idle_timeout"):
            if self.run and getattr(self, key):
                raise ValueError(f"{key} is for phases with a prompt")
        return self


class FeatureFile(_Strict):
    """A feature and its phases."""

    slug: Annotated[str, StringConstraints(pattern=SLUG)]
    title: Line
    description: Annotated[str, StringConstraints(max_length=100_000)] = ""
    priority: Priority = 50
    base: (
        Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20\x7f-][^\x00-\x20\x7f]*$")] | None
    ) = None
    """What the feature's branch starts from; None: the setting `base`."""
    workflow: Name = "build"
    """The workflow of phases that have a prompt."""
    budget_usd: Money | None = None
    """For all agents of all phases."""
    land: Landing | None = None
    """None: the setting `land`."""
    checklist: Weight | None = None
    """None: the setting `checklist`."""
    issues: Issues | None = None
    """None: the setting `issues`."""
    phases: Annotated[tuple[PhaseEntry, ...], Field(min_length=1, max_length=_MOST_PHASES)]


def parse_feature(text: str, name: str) -> FeatureFile:
    """Return the feature that the TOML `text` describes; `name` is the document's, for errors.

    Raises PlanInvalid.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise PlanInvalid(f"{name} is not TOML: {exc or 'nested too deeply'}", hint=_HINT) from exc
    try:
        feature = FeatureFile.model_validate(document)
    except ValidationError as exc:
        found = [_sentence(text, error["loc"], error["msg"]) for error in exc.errors()]
        raise _invalid(name, found) from exc
    pairs = [(phase.number, phase.depends_on) for phase in feature.phases]
    places = {phase.number: place for place, phase in enumerate(feature.phases)}
    wrong = [f"line {_line_of(text, places[flaw.number])}: {flaw.text}" for flaw in flaws(pairs)]
    if wrong:
        raise _invalid(name, wrong)
    return feature


_HINT = "adw-worktree help phases (it has an example)"


def _invalid(name: str, found: list[str]) -> PlanInvalid:
    shown = found if len(found) <= 20 else [*found[:20], f"and {len(found) - 20} more"]
    return PlanInvalid(
        "\n".join([f"{name} describes no feature that can run:", *shown]), hint=_HINT
    )


def _sentence(text: str, location: tuple[int | str, ...], message: str) -> str:
    """Return a fault with its line, and the key in the document's own words."""
    if len(location) > 1 and location[0] == "phases" and isinstance(location[1], int):
        place = location[1]
        key = ".".join(str(part) for part in location[2:]) or "the phase"
        return f"line {_line_of(text, place)}: phase at place {place + 1}: {key}: {message}"
    return f"{'.'.join(str(part) for part in location)}: {message}"


def _line_of(text: str, place: int) -> int:
    """Return the line on which the phase at `place` begins; 1 if it stands in no `[[phases]]`."""
    heads = [number for number, line in enumerate(text.splitlines(), 1)
             if re.match(r"\s*\[\[\s*phases\s*\]\]", line)]  # fmt: skip
    return heads[place] if place < len(heads) else 1

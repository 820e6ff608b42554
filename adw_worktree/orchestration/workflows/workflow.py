"""Workflows and their stages, as a feature was started with them. Plain data, kept as JSON.

What holds here: whatever a stage needs stands in it, commands, prompts and agents, so that a change
of the settings does not change what runs, and what runs is what was approved.
"""

from __future__ import annotations

import json

from adw_worktree.orchestration.agents.agent import Agent
from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal["agent", "run", "gate", "approve", "ship"]

CHECKS = ("run", "gate")
"""Kinds of stages that say whether a commit is fit."""


class Stage(NamedTuple):
    """A step of a workflow."""

    name: str
    kind: Kind
    commands: tuple[str, ...] = ()
    """Of `run`: command lines, each for `sh -c`."""
    prompt: str = ""
    """Of `agent`: the template of its prompt."""
    agents: tuple[str, ...] = ()
    """Of `agent`: names; each after the first is a fallback for the one before."""
    timeout: float | None = None
    """Seconds: of `run` for each command, of `agent` for all its calls together."""
    idle_timeout: float | None = None
    """Of `agent`: seconds without a line of output."""
    retries: int = 3
    """Of `agent`: how often one is called again after an error that may pass by itself."""
    budget_usd: float | None = None
    """Of `agent`: for all its calls in one phase."""
    on_failure: str | None = None
    """The stage of an agent that gets what failed."""
    rounds: int = 3
    """How often it gets it."""
    blocks: bool = False
    """Of `gate`: whether what it finds keeps the work from being shipped."""


class Workflow(NamedTuple):
    """The stages of a phase, in their order."""

    name: str
    stages: tuple[Stage, ...]
    beside: tuple[Stage, ...] = ()
    """Stages that run only when a failure leads to them."""
    agents: tuple[Agent, ...] = ()
    """The agents of all stages."""

    def stage(self, name: str) -> Stage:
        """Return the stage of that name; KeyError if there is none."""
        for stage in (*self.stages, *self.beside):
            if stage.name == name:
                return stage
        raise KeyError(name)

    def agent(self, name: str) -> Agent:
        """Return the agent of that name; KeyError if there is none."""
        for agent in self.agents:
            if agent.name == name:
                return agent
        raise KeyError(name)

    @property
    def ship(self) -> str:
        """The name of the stage that merges."""
        [name] = [stage.name for stage in self.stages if stage.kind == "ship"]
        return name

    @property
    def first_agents(self) -> tuple[str, ...]:
        """The agents of the first stage that has any."""
        return next((stage.agents for stage in self.stages if stage.agents), ())


def of_commands(commands: tuple[str, ...], timeout: float | None) -> Workflow:
    """Return the workflow of a phase that is nothing but commands."""
    return Workflow(
        "run", (Stage("run", "run", commands=commands, timeout=timeout), Stage("ship", "ship"))
    )


def to_json(workflow: Workflow) -> str:
    """Return the workflow as a document of one line, always the same for the same workflow."""
    document = {
        "name": workflow.name,
        "stages": [stage._asdict() for stage in workflow.stages],
        "beside": [stage._asdict() for stage in workflow.beside],
        "agents": [agent._asdict() for agent in workflow.agents],
    }
    return json.dumps(document, sort_keys=True)


def from_json(text: str) -> Workflow:
    """Return the workflow of a document that `to_json` made."""
    document = json.loads(text)
    return Workflow(
        document["name"],
        tuple(_stage(one) for one in document["stages"]),
        tuple(_stage(one) for one in document["beside"]),
        tuple(Agent(**{**one, "command": tuple(one["command"])}) for one in document["agents"]),
    )


def _stage(values: dict[str, object]) -> Stage:
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Stage(**{**values, **lists})  # type: ignore[arg-type]

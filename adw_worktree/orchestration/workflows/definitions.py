"""The workflows that the settings define, over those that are built in, checked before they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from adw_worktree.errors import WorkflowInvalid
from adw_worktree.orchestration.agents.agent import Agent
from adw_worktree.orchestration.agents.check import program_of
from adw_worktree.orchestration.agents.models import has_price, with_model
from adw_worktree.orchestration.agents.registry import BUILT_IN, agents_of
from adw_worktree.orchestration.plan.fields import Command, Listed, Money, Name, Seconds
from adw_worktree.orchestration.workflows.prompts import load_prompt, require_placeholders
from adw_worktree.orchestration.workflows.verification import VERIFY
from adw_worktree.orchestration.workflows.workflow import Stage, Workflow
from adw_worktree.settings.approvals import further_key
from adw_worktree.settings.model import Settings

if TYPE_CHECKING:
    from adw_worktree.orchestration.workflows.workflow import Kind

_HINT = "adw-worktree help workflows (it has an example)"
_AGENT_SECONDS, _IDLE_SECONDS = 2700.0, 600.0
"""An agent's call may last 45 minutes, 10 of them in silence, where nothing else is set."""

STAGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "plan": {"prompt": "plan"},
        "validate": {"prompt": "validate", "on_failure": "plan"},
        "build": {"prompt": "build"},
        "lint": {"prompt": "lint", "on_failure": "build"},
        "test": {"prompt": "test", "on_failure": "build"},
        "review": {"prompt": "review", "on_failure": "build"},
        "document": {"prompt": "document"},
        "checklist": {"kind": "gate", "on_failure": "build"},
        "approve": {"kind": "approve"},
        "ship": {"kind": "ship", "on_failure": "resolve", "rounds": 2},
        "resolve": {"prompt": "resolve"},
    }
)
"""The stages that are built in, as a table of the settings would have them."""
WORKFLOWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "build": ("build", "test?", "checklist?", "ship"),
        "sdlc": ("plan", "validate", "build", "lint", "test", "review", "document", "checklist?",
                 "ship", "cleanup?", "verify"),
    }
)  # fmt: skip
"""The workflows that are built in. A stage with a question mark is there if the settings give it
commands, and `checklist?` if the phase has a checklist. `verify` comes once the whole feature has
landed, whichever workflow its phases have."""

CHECKLIST = "checklist"
"""The gate that a workflow can have as a stage."""

Names = Annotated[tuple[Name, ...], Listed, Field(min_length=1)]
Commands = Annotated[tuple[Command, ...], Listed, Field(min_length=1)]


class _StageTable(BaseModel):
    """The keys of `[stages.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["agent", "run", "gate", "approve", "ship"] | None = None
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    agents: Names | None = None
    run: Commands | None = None
    timeout: Seconds | None = None
    idle_timeout: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=20, strict=True)] = 3
    budget_usd: Money | None = None
    on_failure: Name | None = None
    rounds: Annotated[int, Field(ge=1, le=20, strict=True)] = 3


_Table = TypeVar("_Table", bound=BaseModel)


class _WorkflowTable(BaseModel):
    """The keys of `[workflows.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: Names


class Wishes(NamedTuple):
    """A phase's own terms for the agents of its workflow."""

    agents: tuple[str, ...] = ()
    timeout: float | None = None
    idle_timeout: float | None = None
    has_budget: bool = False
    """Whether there is a budget for all agents of the phase."""
    checklist: str | None = None
    """What a finding of its checklist does, `warn` or `block`; None if it has none."""


class Defined(NamedTuple):
    """A workflow that can run."""

    workflow: Workflow
    asked: frozenset[str]
    """Tables of the settings that it is made of, as approvals call them."""
    notes: tuple[str, ...]
    """What a person should know before it runs."""


def define(
    settings: Settings,
    name: str,
    home: Path,
    wishes: Wishes,
    *,
    is_installed: Callable[[Agent], object] = program_of,
) -> Defined:
    """Return the workflow `name` of a repository whose main worktree is `home`.

    Raises WorkflowInvalid, SettingsError.
    """
    return _Definition(settings, home, wishes, is_installed).workflow(name)


class _Definition:
    """A workflow that is put together."""

    def __init__(
        self,
        settings: Settings,
        home: Path,
        wishes: Wishes,
        is_installed: Callable[[Agent], object],
    ) -> None:
        self._settings, self._home, self._wishes = settings, home, wishes
        self._is_installed = is_installed
        self._known = agents_of(settings)
        self._used: dict[str, Agent] = {}
        self._asked: set[str] = set()
        self._notes: list[str] = []

    def workflow(self, name: str) -> Defined:
        """Return the workflow with all that it needs."""
        names = self._names(name)
        stages = [self._stage(one, names[:place]) for place, one in enumerate(names)]
        stages = [self._without_stranger(stage, stages) for stage in stages]
        targets = {stage.on_failure for stage in stages if stage.on_failure is not None}
        default = next((one.agents for one in reversed(stages) if one.agents), None)
        beside = {one: self._stage(one, names, default) for one in sorted(targets - {*names})}
        _require_shape(name, stages, [*stages, *beside.values()])
        workflow = Workflow(name, tuple(stages), tuple(beside.values()), tuple(self._used.values()))
        return Defined(workflow, frozenset(self._asked), tuple(dict.fromkeys(self._notes)))

    def _without_stranger(self, stage: Stage, stages: Sequence[Stage]) -> Stage:
        """Return the stage; what only the built-in table says of its failures goes if the agent for
        that is not of this workflow."""
        own = self._settings.stages.get(stage.name)
        if own is not None and "on_failure" in own.values:
            return stage
        agents = [one.name for one in stages if one.kind == "agent"]
        is_there = stage.on_failure in agents or (stage.kind == "ship" and agents)
        return stage if is_there else stage._replace(on_failure=None)

    def _names(self, name: str) -> list[str]:
        table = self._settings.workflows.get(name)
        if table is not None:
            self._asked.add(further_key("workflows", name))
            names = [*_checked(_WorkflowTable, f"workflows.{name}", table.values).stages]
        elif name in WORKFLOWS:
            names = [*filter(None, map(self._present, WORKFLOWS[name]))]
        else:
            known = sorted({*WORKFLOWS, *self._settings.workflows})
            raise WorkflowInvalid(
                f"there is no workflow {name!r}", hint=f"choose one of {', '.join(known)}"
            )
        twice = [one for place, one in enumerate(names) if one in names[:place]]
        if VERIFY in names:  # it is of the whole feature, and comes after that has landed
            names.remove(VERIFY)
        if twice:
            raise WorkflowInvalid(
                f"workflow {name} has the stage {twice[0]} twice", hint="give the second a name"
            )
        return names

    def _present(self, word: str) -> str | None:
        """Return the name of a stage; None for one that is there only with commands, without."""
        name = word.removesuffix("?")
        if name == CHECKLIST:
            return name if self._wishes.checklist is not None else None
        if name != word and "run" not in self._table(name):
            if name == "test":
                self._notes.append(
                    "nothing but the agent itself tests its work: set stages.test.run"
                )
            return None
        return name

    def _table(self, name: str) -> Mapping[str, Any]:
        """Return the table of a stage, the settings' keys over the built-in ones."""
        own = self._settings.stages.get(name)
        values = dict(own.values) if own is not None else {}
        if own is not None:
            self._asked.add(further_key("stages", name))
        built_in = dict(STAGES.get(name, {}))
        if "run" in values:
            built_in.pop("prompt", None)
        return {**built_in, **values}

    def _stage(
        self, name: str, before: Sequence[str], default: tuple[str, ...] | None = None
    ) -> Stage:
        """Return a stage; `default` are its agents if nothing names any."""
        values = self._table(name)
        if not values:
            raise WorkflowInvalid(
                f"there is no stage {name!r}", hint=f"define it: [stages.{name}] with run or prompt"
            )
        table = _checked(_StageTable, f"stages.{name}", values)
        kind = _kind(name, table)
        stage = Stage(
            name, kind, commands=table.run or (), timeout=table.timeout,
            retries=table.retries, on_failure=table.on_failure, rounds=table.rounds,
        )  # fmt: skip
        if kind == "gate":
            return stage._replace(blocks=self._wishes.checklist == "block")
        if kind != "agent":
            return stage
        prompt = load_prompt(str(table.prompt), self._home)
        require_placeholders(prompt, str(table.prompt), [*before])
        return stage._replace(
            prompt=prompt,
            agents=self._agents(name, table, default),
            timeout=table.timeout or self._wishes.timeout or _AGENT_SECONDS,
            idle_timeout=table.idle_timeout or self._wishes.idle_timeout or _IDLE_SECONDS,
            budget_usd=table.budget_usd,
        )

    def _agents(
        self, stage: str, table: _StageTable, default: tuple[str, ...] | None
    ) -> tuple[str, ...]:
        """Return the agents of a stage that are installed."""
        names = self._wishes.agents or table.agents or default
        if names is None:
            present = [one for one in BUILT_IN if self._is_installed(self._known[one.name])]
            names = tuple(one.name for one in present[:1])
            if not names:
                raise WorkflowInvalid(
                    f"stage {stage} needs an agent, and none of "
                    f"{', '.join(one.name for one in BUILT_IN)} is installed",
                    hint="install one; then adw-worktree agents check",
                )
        found = tuple(name for name in names if self._use(name))
        if not found:
            programs = ", ".join(self._known[name].program for name in names)
            raise WorkflowInvalid(
                f"stage {stage} has no agent that is installed: {programs} is not on PATH",
                hint="adw-worktree agents check",
            )
        if self._wishes.has_budget or table.budget_usd is not None:
            self._require_price(stage, found)
        return found

    def _use(self, name: str) -> bool:
        """Take an agent in; return whether it is installed."""
        if name not in self._known:
            raise WorkflowInvalid(
                f"there is no agent {name!r}", hint=f"choose one of {', '.join(self._known)}"
            )
        agent = self._known[name]
        if name in self._settings.agents:
            self._asked.add(further_key("agents", name))
        if not self._is_installed(agent):
            self._notes.append(f"agent {name} is left out: {agent.program} is not installed")
            return False
        self._used[name] = with_model(agent)
        return True

    def _require_price(self, stage: str, names: Sequence[str]) -> None:
        for name in names:
            if not has_price(self._used[name]):
                raise WorkflowInvalid(
                    f"there is a budget for stage {stage}, and the price of agent {name} is not "
                    "known",
                    hint=f'set agents.{name}.model, such as "gpt-5", and reads; or leave the '
                    "budget out",
                )


def _kind(name: str, table: _StageTable) -> Kind:
    """Return the kind of a stage, which its keys tell."""
    if table.run is not None and table.prompt is not None:
        raise WorkflowInvalid(f"stage {name} has run and prompt", hint="make two stages of it")
    implied: Kind | None = "run" if table.run else "agent" if table.prompt else None
    kind = table.kind or implied
    if kind == "gate" and name != CHECKLIST:
        raise WorkflowInvalid(
            f"stage {name} is a gate, and there is none of that name",
            hint=f"name it {CHECKLIST}, or give it run",
        )
    if kind is None or (kind in ("run", "agent") and implied is None):
        raise WorkflowInvalid(
            f"stage {name} has nothing to do", hint=f"give [stages.{name}] run or prompt"
        )
    if implied is not None and kind != implied:
        raise WorkflowInvalid(f"stage {name} is {kind}, and has {implied}", hint="leave kind out")
    return kind


def _require_shape(name: str, stages: Sequence[Stage], every: Sequence[Stage]) -> None:
    kinds = [stage.kind for stage in stages]
    if kinds.count("ship") != 1:
        raise WorkflowInvalid(
            f"workflow {name} needs the stage ship, once", hint='such as ["build", "test", "ship"]'
        )
    by_name = {stage.name: stage for stage in every}
    for stage in every:
        if stage.on_failure is not None and by_name[stage.on_failure].kind != "agent":
            raise WorkflowInvalid(
                f"what fails in stage {stage.name} goes to {stage.on_failure}, which is no agent's",
                hint=f"name a stage with a prompt in stages.{stage.name}.on_failure",
            )
        if stage.on_failure == stage.name:
            raise WorkflowInvalid(
                f"what fails in stage {stage.name} goes to itself", hint="name another stage"
            )
    for stage in stages[kinds.index("ship") + 1 :]:
        if stage.kind != "run":
            raise WorkflowInvalid(
                f"stage {stage.name} comes after ship: there, only commands can run",
                hint="move it before ship",
            )


def _checked(kind: type[_Table], key: str, values: Mapping[str, Any]) -> _Table:
    """Return a table of the settings. Raises WorkflowInvalid."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in (key, *first["loc"]))
        raise WorkflowInvalid(f"{where}: {first['msg']}", hint=_HINT) from exc

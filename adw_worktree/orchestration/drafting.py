"""Drafting a plan: an agent fills in the template, and what is wrong with it goes back.

What holds here: the agent works where the user stands, on the plan alone; what else it left changed
is said. Its calls are counted as all others are, and stay below the budget together.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from adw_worktree.errors import AgentFailed
from adw_worktree.orchestration.agents.agent import Agent, Session
from adw_worktree.orchestration.agents.calling import Answer, Bounds, call_agent
from adw_worktree.orchestration.agents.check import program_of
from adw_worktree.orchestration.agents.registry import agents_of
from adw_worktree.orchestration.plan.check import Checked, check_plan, shown
from adw_worktree.orchestration.plan.load import read_document
from adw_worktree.orchestration.plan.new import template, write_plan
from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.orchestration.stages import calls
from adw_worktree.orchestration.workflows.prompts import render
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.settings.approvals import further_key, require_trusted
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.shipped import shipped_text

ROUNDS = 3
"""How often what is wrong goes back to the agent."""
_SECONDS, _IDLE_SECONDS = 2700.0, 600.0
_LOG = "01-draft.log"
_MOST_FINDINGS = 16_000


class Drafted(NamedTuple):
    """What came of it."""

    path: Path
    checked: Checked
    rounds: int
    """How often the agent was asked."""
    cost_usd: float | None
    """None if the cost of a call is not known."""
    others: Sequence[str]
    """Other files that have changed meanwhile."""


class Draft(NamedTuple):
    """A plan that is wanted."""

    slug: str
    title: str
    request: str
    path: Path
    directory: Path
    """Where the agent works."""
    budget_usd: float | None = None


def agent_for(project: Project, name: str | None) -> Agent:
    """Return the agent of that name, or the first that is installed.

    Raises AgentFailed, HookUntrusted.
    """
    known = agents_of(project.settings)
    wanted = [known[name]] if name in known else [] if name is not None else [*known.values()]
    usable = [agent for agent in wanted if program_of(agent) is not None]
    if not usable:
        what = f"agent {name} is not installed" if wanted and name else f"there is no agent {name}"
        message = what if name is not None else "no agent is installed"
        raise AgentFailed(message, hint="adw-worktree agents check")
    agent = usable[0]
    where = (project.state_dir, project.repo.common_dir)
    require_trusted(project.settings, *where, [further_key("agents", agent.name)])
    return agent


def draft(project: Project, agent: Agent, wanted: Draft) -> Drafted:
    """Have an agent write the plan, and mend it. Raises AgentFailed, PlanInvalid, OSError."""
    write_plan(wanted.path, template(wanted.slug, wanted.title))
    before = _changed(wanted)
    drafting = _Drafting(project, agent, wanted)
    name = str(wanted.path.relative_to(wanted.directory))
    values = {"path": name, "request": wanted.request}
    first = render(shipped_text("templates/prompts", "draft.md"), values)
    prompt = first
    for rounds in range(1, ROUNDS + 2):
        drafting.ask(prompt)
        checked = check_plan(read_document(wanted.path), wanted.path.name)
        if not checked.errors or rounds > ROUNDS:
            break
        errors = "\n".join(shown(checked.findings, name))[:_MOST_FINDINGS]
        again = shipped_text("templates/prompts", "draft-again.md")
        prompt = render(again, {"path": name, "findings": errors})
        if drafting.session is None:
            prompt = f"{first}\n\n{prompt}"
    others = sorted(_changed(wanted) - before - {name})
    return Drafted(wanted.path, checked, rounds, drafting.cost, others)


def _changed(wanted: Draft) -> set[str]:
    """Return the files that git sees as changed where the agent works."""
    admin = run_git(["rev-parse", "--absolute-git-dir"], wanted.directory).stdout
    checkout = Checkout(Path(admin.removesuffix("\n")), wanted.directory)
    command = ["status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"]
    found = run_git(command, checkout).stdout.split("\0")
    return {entry[3:] for entry in found if entry}


class _Drafting:
    """The calls of one draft."""

    def __init__(self, project: Project, agent: Agent, wanted: Draft) -> None:
        self._agent, self._wanted = agent, wanted
        self._run = RunDirectory(project.state_dir / "runs" / f"draft-{os.urandom(8).hex()}")
        self._run.make()
        self._count = 0
        self._costs: list[float | None] = []
        self.session: str | None = None
        """The session that goes on, if the agent's do."""

    @property
    def cost(self) -> float | None:
        """What all calls have cost; None if that is not known of one."""
        known = [cost for cost in self._costs if cost is not None]
        return sum(known) if len(known) == len(self._costs) else None

    def ask(self, prompt: str) -> None:
        """Call the agent once. Raises AgentFailed."""
        self._count += 1
        session = Session(self.session) if self.session is not None else None
        log = os.open(self._run.path / _LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            begun = calls.begin(self._run, (), self._call(session, prompt, log))
            left = self._left()
            bounds = Bounds(_SECONDS, _IDLE_SECONDS, left, begun["before"])
            answer = call_agent(
                self._agent,
                prompt,
                directory=self._wanted.directory,
                environ=clean_environment(),
                log=log,
                bounds=bounds,
                session=session,
            )
        except OSError as exc:
            raise AgentFailed(
                f"agent {self._agent.name} cannot be called: {exc.strerror}",
                hint="adw-worktree agents check",
            ) from exc
        finally:
            os.close(log)
        record = calls.conclude(self._run, begun, answer, None)
        self._costs.append(record.cost_usd)
        self._require_good(answer)
        self.session = answer.record.session_id if self._agent.resumes else None

    def _call(self, session: Session | None, prompt: str, log: int) -> calls.Call:
        slug, offset = self._wanted.slug, os.fstat(log).st_size
        return calls.Call(self._count, slug, f"{slug}.draft", "draft", self._agent, session,
                          len(prompt), 0, _LOG, offset)  # fmt: skip

    def _left(self) -> float | None:
        budget = self._wanted.budget_usd
        if budget is None:
            return None
        left = budget - sum(cost or 0.0 for cost in self._costs)
        if left <= 0:
            raise AgentFailed(
                f"the draft has cost ${budget - left:.2f}, and is not right yet",
                hint=f"adw-worktree plan check {quote(str(self._wanted.path))}",
            )
        return left

    def _require_good(self, answer: Answer) -> None:
        """Raise AgentFailed if the call has not ended well."""
        record = answer.record
        if record.ended in ("ok", "denied") and answer.cut is None:
            return
        why = answer.cut or record.ended
        said = f": {record.error}" if record.error else ""
        raise AgentFailed(
            f"agent {self._agent.name} has not ended well ({why}){said}",
            hint=f"what it printed is in {self._run.path / _LOG}; the plan so far in "
            f"{self._wanted.path}",
        )

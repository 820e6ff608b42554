"""Prompts of an attempt's agents: what the stage asks for, with the issue and what was found."""

from __future__ import annotations

from adw_worktree.orchestration.agents.agent import Agent
from adw_worktree.orchestration.runs.assignment import Assignment
from adw_worktree.orchestration.stages import calls
from adw_worktree.orchestration.stages.issue import issue_of
from adw_worktree.orchestration.stages.stage import Bench, Turn
from adw_worktree.orchestration.workflows.prompts import placeholders, render
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.shipped import shipped_text


class Prompt(NamedTuple):
    """What an agent is told."""

    text: str
    session: str | None
    """The session in which it is told that; None for a new one."""
    full: str
    """What it is told where that session is lost."""
    interrupted: str
    """What it is told when it goes on after an interruption."""
    is_aside: bool = False
    """Whether it is about something else than the stage's task."""

    @property
    def anew(self) -> Prompt:
        """The same in a new session."""
        return self._replace(text=self.full, session=None)

    def going_on(self, session: str | None = None) -> Prompt:
        """What it is told when its session is taken up again."""
        return self._replace(text=self.interrupted, session=session or self.session)

    @classmethod
    def to_put_in_order(cls, bench: Bench, turn: Turn, wrong: str, session: str | None) -> Prompt:
        """Return the prompt for an agent that left its worktree in disorder."""
        values = _values(bench, turn) | {"failure": wrong, "failed": turn.stage.name}
        text = render(_shipped("order"), values)
        return cls(text, session, text, _interrupted(values), is_aside=True)


def prompt_for(bench: Bench, turn: Turn, agent: Agent) -> Prompt:
    """Return what the stage's agent is told, and in which session.

    What failed goes to the session that made it; a call that was interrupted is taken up again.
    """
    values = _values(bench, turn)
    template, progress = turn.stage.prompt, turn.progress
    full, interrupted = render(template, values), _interrupted(values)
    if progress.failed is not None and "failure" in placeholders(template):
        return Prompt(full, None, full, interrupted)
    text = interrupted
    if progress.failed is not None:
        text = render(_shipped("fix"), values)
        full = f"{full}\n\n{text}"
    known = calls.sessions(bench.around.run, bench.assignment.interrupted, turn.stage.name)
    session = known.get(agent.name) if agent.resumes else None
    return Prompt(full if session is None else text, session, full, interrupted)


def _values(bench: Bench, turn: Turn) -> dict[str, str]:
    assignment, progress = bench.assignment, turn.progress
    answers = calls.answers(bench.around.run, assignment.interrupted)
    found = {f"found.{name}": text for name, text in answers.items()}
    listed = [f"## {name}\n\n{text}" for name, text in answers.items() if text.strip()]
    return {
        **found,
        "issue": issue_of(bench.project, bench.lease, assignment),
        "found": "\n\n".join(listed),
        "failed": progress.failed or "",
        "failure": progress.failure or "",
        "title": assignment.phase.title,
        "phase": assignment.name,
        "branch": str(bench.lease.branch),
        "into": assignment.feature.branch,
        "checklist": _for_a_reader(assignment),
    }


def _for_a_reader(assignment: Assignment) -> str:
    """Return the points of the checklist that only a reader can tell, a line each."""
    items = assignment.task.checklist if assignment.task is not None else ()
    return "\n".join(f"{item.position}. {item.text}" for item in items if item.checker is None)


def _interrupted(values: dict[str, str]) -> str:
    return render(_shipped("continue"), values)


def _shipped(name: str) -> str:
    return shipped_text("templates/prompts", f"{name}.md")

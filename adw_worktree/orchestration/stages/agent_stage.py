"""A stage of an agent: the agents are tried in turn, and the worktree is left in order."""

from __future__ import annotations

from functools import partial

from adw_worktree.orchestration.agents.agent import Agent
from adw_worktree.orchestration.stages.asking import Asking, Over, Unable
from adw_worktree.orchestration.stages.attention import attentively
from adw_worktree.orchestration.stages.commands import Interrupted
from adw_worktree.orchestration.stages.order import disorder, has_commits, strayed
from adw_worktree.orchestration.stages.prompting import Prompt, prompt_for
from adw_worktree.orchestration.stages.stage import PASSED, Bench, Outcome, Turn, process_tree
from adw_worktree.orchestration.store.attempts import End

_COMMIT_SECONDS = 600.0


def run_agents(bench: Bench, turn: Turn) -> Outcome:
    """Have the stage's agents work until one has done it."""
    try:
        with process_tree(bench) as around:
            return _AgentStage(bench._replace(around=around), turn).run()
    except BlockingIOError as exc:
        return Outcome("ended", End("lost", str(exc)))


class _AgentStage:
    """One run of a stage of an agent."""

    def __init__(self, bench: Bench, turn: Turn) -> None:
        self._bench, self._turn, self._stage = bench, turn, turn.stage
        self._asking = Asking(bench, turn)

    def run(self) -> Outcome:
        """Try one agent after the other."""
        ends: list[End] = []
        agents = [self._bench.workflow.agent(name) for name in self._stage.agents]
        try:
            for agent, following in zip(agents, [*agents[1:], None], strict=True):
                try:
                    return self._with(agent)
                except Unable as exc:
                    ends.append(exc.end)
                    if following is not None:
                        self._asking.note(
                            "agent.fallback", agent, exc.end.message, to=following.name
                        )
        except Over as exc:
            return exc.outcome
        except Interrupted as exc:
            return Outcome("ended", exc.end)
        return Outcome("ended", _joint(ends))

    def _with(self, agent: Agent) -> Outcome:
        """Have one agent do it. Raises Unable if it cannot."""
        record = self._asking.ask(agent, prompt_for(self._bench, self._turn, agent))
        wrong = self._disorder()
        if wrong is not None:
            session = record.session_id if agent.resumes else None
            self._bench.around.run.answer("report")  # it is asked for something else now
            self._asking.ask(agent, Prompt.to_put_in_order(self._bench, self._turn, wrong, session))
            wrong = self._disorder()
        if wrong is not None:
            return Outcome("ended", End("needs-person", wrong))
        stray = strayed(self._bench, record.edited)
        if stray is not None:
            return Outcome("ended", End("needs-person", stray))
        if record.denied and self._has_done_nothing():
            denied = ", ".join(dict.fromkeys(record.denied))
            raise Unable(End("denied", f"agent {agent.name} was not allowed: {denied}"))
        return PASSED

    def _disorder(self) -> str | None:
        left = max(1.0, (self._stage.timeout or _COMMIT_SECONDS) - self._asking.seconds)
        return attentively(self._bench, partial(disorder, self._bench, left))

    def _has_done_nothing(self) -> bool:
        """Return whether the phase has no commits, and no stage after this one could make any."""
        stages = self._bench.workflow.stages
        names = [stage.name for stage in stages]
        here = names.index(self._stage.name) if self._stage.name in names else len(names)
        later = [stage for stage in stages[here + 1 :] if stage.kind == "agent"]
        return not later and not has_commits(self._bench)


def _joint(ends: list[End]) -> End:
    """Return the end of a stage whose agents all failed.

    If one of them is only at its limit, that is waited for.
    """
    limits = [end for end in ends if end.reason == "limit"]
    if limits:
        return min(limits, key=lambda end: str(end.resume_at))
    message = "; then ".join(str(end.message) for end in ends)
    return ends[-1]._replace(message=message)

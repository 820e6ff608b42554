"""Asking an agent: it is called, and again where that may help, within its time and budget.

What holds here: what may pass by itself is tried again, what will not is not; a limit uses up no
try; no call goes beyond the stage's time and money.
"""

from __future__ import annotations

import os
import random
import select
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt

from adw_worktree.orchestration.agents.agent import Agent, Session
from adw_worktree.orchestration.agents.calling import Answer, Bounds, Ears, call_agent
from adw_worktree.orchestration.agents.faults import may_pass
from adw_worktree.orchestration.agents.record import Record
from adw_worktree.orchestration.runs.processes import end_processes
from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.stages import calls
from adw_worktree.orchestration.stages.commands import (
    GRACE_SECONDS,
    Interrupted,
    Reported,
    heed,
)
from adw_worktree.orchestration.stages.prompting import Prompt
from adw_worktree.orchestration.stages.stage import Bench, Outcome, Turn
from adw_worktree.orchestration.store.attempts import End
from adw_worktree.orchestration.store.times import as_text
from adw_worktree.system.faults import reached

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS, _JITTER = 2.0, 60.0, 0.25
_LAST_WORDS_SECONDS = 30.0
"""How long an agent that has reported may take to end by itself, so that its cost is heard."""


class Unable(Exception):
    """An agent cannot do it, and another may."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


class Over(Exception):
    """The stage has ended, and no agent changes that."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.status)
        self.outcome = outcome


class Asking:
    """The calls of agents in one run of a stage."""

    def __init__(self, bench: Bench, turn: Turn) -> None:
        self._bench, self._turn, self._stage = bench, turn, turn.stage
        self._run: RunDirectory = bench.around.run
        self._earlier = bench.assignment.interrupted
        self._began = time.monotonic()
        self._heard: Interrupted | Reported | None = None
        """What came from outside while an agent worked."""

    @property
    def seconds(self) -> float:
        """How long the stage has taken so far."""
        return time.monotonic() - self._began

    def ask(self, agent: Agent, prompt: Prompt) -> Record:
        """Call an agent, again where that may help; return the record of a call that ended well.

        Raises Unable, Over, Interrupted.
        """
        self._heard = None
        if prompt.session is not None:
            answer = self._call(agent, prompt, 0)
            if not _knows_nothing(answer):
                if not self._may_pass(answer):
                    return self._judge(agent, answer)
                prompt = prompt.going_on()
            else:
                self.note("agent.retry", agent, f"the session is lost: {answer.record.error}")
                prompt = prompt.anew
        retrying = Retrying(
            stop=stop_after_attempt(self._stage.retries + 1),
            wait=_wait,
            retry=retry_if_result(self._may_pass),
            sleep=self._sleep,
            before_sleep=lambda state: self._note_retry(agent, state),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        prompts = self._prompts(agent, prompt)
        answer = retrying(lambda: self._call(agent, *next(prompts)))
        return self._judge(agent, answer)

    def _prompts(self, agent: Agent, prompt: Prompt) -> Iterator[tuple[Prompt, int]]:
        """Yield the prompt of each try: after the first, in the session that was broken off."""
        yield prompt, 0
        count = 0
        while True:
            count += 1
            session = calls.sessions(self._run, [], self._stage.name).get(agent.name)
            goes_on = session is not None and agent.resumes and self._has_begun(session)
            yield (prompt.going_on(session) if goes_on else prompt.anew), count

    def _has_begun(self, session: str | None) -> bool:
        """Return whether the agent had begun to work in a session before it was broken off."""
        return any(
            entry["kind"] == "call"
            and entry["session_id"] == session
            and (entry["turns"] or entry["input_tokens"])
            for entry in self._run.journal()[0]
        )

    def _call(self, agent: Agent, prompt: Prompt, retry_count: int) -> Answer:
        """Call an agent once, and note what came of it. Raises Unable, Interrupted."""
        session = Session(prompt.session) if prompt.session is not None else None
        if session is None and agent.reads == "claude":
            session = Session(str(uuid.uuid4()), is_new=True)
        call = calls.Call(
            self._next_number(), self._bench.assignment.feature.slug, self._bench.assignment.name,
            self._stage.name, agent, session, len(prompt.text), retry_count, self._turn.log_name,
            os.fstat(self._turn.log).st_size, prompt.is_aside,
        )  # fmt: skip
        bounds = self._bounds(agent)
        begun = calls.begin(self._run, self._earlier, call)
        bounds = bounds._replace(before=begun["before"])
        reached("call.before")
        try:
            answer = self._answer(agent, prompt, session, bounds)
        except OSError as exc:
            text = f"agent {agent.name} cannot be started: {exc.strerror}: {agent.program}"
            answer = Answer(Record("error", error=text), None, 0.0, 0)
        resume_at = self._resume_at(agent, answer.record)
        record = calls.conclude(self._run, begun, answer, resume_at)
        reached("call.noted")
        # Before another is called: two would work at once.
        end_processes(self._run, self._bench.worktree, grace=GRACE_SECONDS)
        summon(self._bench.assignment.state_dir, self._run.path.name)
        return answer._replace(
            record=record._replace(session_id=record.session_id or (session and session.id))
        )

    def _answer(
        self, agent: Agent, prompt: Prompt, session: Session | None, bounds: Bounds
    ) -> Answer:
        around = self._bench.around
        return call_agent(
            agent,
            prompt.text,
            directory=self._bench.worktree,
            environ=self._bench.environ,
            log=self._turn.log,
            bounds=bounds,
            session=session,
            ears=Ears((around.bell.descriptor, around.lifeline), (around.lifeline,), self._listen),
            inherited=(around.tree,),
        )

    def _next_number(self) -> int:
        return 1 + len([one for one in self._run.journal()[0] if one["kind"] == "call.started"])

    def _resume_at(self, agent: Agent, record: Record) -> str | None:
        if record.ended != "limit":
            return None
        at = calls.resume_time(record, agent.limit_pause)
        return as_text(datetime.fromtimestamp(at, UTC))

    # ---- bounds -----------------------------------------------------------------------

    def _bounds(self, agent: Agent) -> Bounds:
        """Return how far the next call may go. Raises Over if there is nothing left."""
        left = None
        if self._stage.timeout is not None:
            left = self._stage.timeout - self.seconds
            if left <= 0:
                raise Over(self._timed_out(agent))
        return Bounds(left, self._stage.idle_timeout, self._budget())

    def _budget(self) -> float | None:
        """Return what the next call may cost. Raises Over if that is nothing."""
        bounds = []
        if self._stage.budget_usd is not None:
            used = calls.spent(self._run, self._earlier, self._stage.name)
            bounds.append(self._stage.budget_usd - used)
        allowed = self._bench.assignment.attempt.allowance_usd
        if allowed is not None:
            bounds.append(allowed - calls.spent(self._run, []))
        left = min(bounds) if bounds else None
        if left is not None and left <= 0:
            raise Over(Outcome("ended", End("over-budget", self._over_budget())))
        return left

    def _over_budget(self) -> str:
        used = calls.spent(self._run, self._earlier)
        return f"the budget is used up: the phase has cost ${used:.2f}"

    def _timed_out(self, agent: Agent) -> Outcome:
        text = f"agent {agent.name} worked for {self._stage.timeout:g} seconds, and was ended"
        return Outcome("ended", End("timeout", text))

    # ---- what came of it --------------------------------------------------------------

    def _may_pass(self, answer: Answer) -> bool:
        """Return whether it is worth while to call the agent again."""
        if self._heard is not None:
            return False
        if answer.cut is not None:
            return answer.cut == "stalled"
        record = answer.record
        # It was killed by somebody else, such as a machine that is out of memory.
        return record.ended == "killed" or (record.ended == "error" and may_pass(record.fault))

    def _judge(self, agent: Agent, answer: Answer) -> Record:
        """Return the record of a call that ended well. Raises Unable, Over, Interrupted."""
        record = answer.record
        if self._heard is not None:
            self._raise_heard(record)
            return record
        match answer.cut, record.ended:
            case ("budget", _) | (_, "budget"):
                raise Over(Outcome("ended", End("over-budget", self._over_budget())))
            case "timeout", _:
                raise Over(self._timed_out(agent))
            case "stalled", _:
                text = (
                    f"agent {agent.name} printed nothing for {self._stage.idle_timeout:g} seconds"
                )
                raise Unable(End("stalled", text))
            case _, "ok" | "denied":
                return record
            case _, "limit":
                until = self._resume_at(agent, record)
                raise Unable(End("limit", f"agent {agent.name} is at its limit", resume_at=until))
        raise Unable(End("agent-error", f"agent {agent.name}: {record.error or record.ended}"))

    def _raise_heard(self, record: Record) -> None:
        """Raise what came from outside; not, if the agent has reported that it is done."""
        heard = self._heard
        if isinstance(heard, Reported):
            return
        assert heard is not None
        if heard.reported == "fail":
            failure = heard.end.message or record.answer or ""
            raise Over(Outcome("failed", heard.end._replace(reason="agent-error"), failure))
        raise Over(Outcome("ended", heard.end))

    # ---- what is heard meanwhile ------------------------------------------------------

    def _listen(self, ready: set[int]) -> float | None:
        """Look at what came; return after how many seconds the agent is to be ended."""
        around = self._bench.around
        if around.lifeline in ready:
            summon(around.state_dir)
        if around.bell.descriptor in ready:
            around.bell.silence()
        try:
            heed(around)
        except Reported as exc:
            self._heard = exc
            return _LAST_WORDS_SECONDS
        except Interrupted as exc:
            self._heard = exc
            return _LAST_WORDS_SECONDS if exc.reported is not None else 0.0
        return None

    def _sleep(self, seconds: float) -> None:
        """Wait before the next try. Raises Interrupted, Over."""
        around = self._bench.around
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready = set(select.select([around.bell.descriptor], [], [], left)[0])
            patience = self._listen(ready) if ready else None
            if patience is not None:
                self._raise_heard(Record("killed"))
                return

    # ---- what is noted ----------------------------------------------------------------

    def _note_retry(self, agent: Agent, state: RetryCallState) -> None:
        answer = state.outcome.result() if state.outcome else None
        why = answer.record.error or answer.cut if answer is not None else None
        self.note("agent.retry", agent, why, count=state.attempt_number)

    def note(self, kind: str, agent: Agent, why: str | None, **more: Any) -> None:
        """Note a step of the stage in the journal. Raises OSError."""
        self._run.append(kind, stage=self._stage.name, agent=agent.name, why=why, **more)
        summon(self._bench.assignment.state_dir, self._run.path.name)


def _wait(state: RetryCallState) -> float:
    """Return the seconds before the next try: 2, 4, 8 and so on, and up to a quarter more, so that
    phases which failed together do not all come back together."""
    seconds = min(_FIRST_WAIT_SECONDS * 2.0 ** (state.attempt_number - 1), _LONGEST_WAIT_SECONDS)
    return float(seconds * (1 + random.uniform(0, _JITTER)))


def _knows_nothing(answer: Answer) -> bool:
    """Return whether a session was to go on that the agent does not have."""
    record = answer.record
    has_begun = bool(record.turns) or record.tokens.total not in (None, 0)
    return (
        answer.cut is None
        and record.ended == "error"
        and not has_begun
        and not may_pass(record.fault)
    )

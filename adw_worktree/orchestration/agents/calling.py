"""Calling an agent: its program is started, read as it goes, and ended when it goes too far.

What holds here: one that hangs, prints nothing, or costs too much is ended, with all of its process
group; what it printed is in the log, whole.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from adw_worktree.orchestration.agents.agent import Agent, Session
from adw_worktree.orchestration.agents.faults import limited
from adw_worktree.orchestration.agents.lines import Lines
from adw_worktree.orchestration.agents.prices import priced
from adw_worktree.orchestration.agents.record import Reader, Record, cleaned, without
from adw_worktree.system.process_end import end_of

_CHUNK_BYTES = 65536
_GRACE_SECONDS = 5.0
_PRICING_SECONDS = 0.5
"""Between two looks at the cost: for some programs that is a look into a file."""
_AFTER_END_SECONDS = 0.5
"""How long a program's output is waited for that has ended: a child of it may hold the pipe."""
_SIGNALLED = {128 + signum for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
"""Exit codes of programs that end in order when a signal asks them to."""

Cut = Literal["timeout", "stalled", "budget", "stopped"]
"""Why a call was ended by us."""


class Bounds(NamedTuple):
    """How far a call may go."""

    seconds: float | None = None
    """From its start to its end."""
    idle_seconds: float | None = None
    """Without a line of output."""
    budget_usd: float | None = None
    before: Sequence[float | None] = ()
    """What its session had taken before: cost, and each of the tokens."""


class Ears(NamedTuple):
    """What is listened to beside the agent."""

    descriptors: Sequence[int] = ()
    once: Sequence[int] = ()
    """Those of them that stay readable, and say nothing more."""
    heed: Callable[[set[int]], float | None] = lambda _ready: None
    """Called with those that are readable, and once when the agent has started with none. Returns
    the seconds after which the call is to end, None to go on."""


class Answer(NamedTuple):
    """What came of a call."""

    record: Record
    cut: Cut | None
    """None if it ended by itself."""
    seconds: float
    lines_too_long: int


def call_agent(
    agent: Agent,
    prompt: str,
    *,
    directory: Path,
    environ: Mapping[str, str],
    log: int,
    bounds: Bounds,
    session: Session | None = None,
    ears: Ears | None = None,
    inherited: Sequence[int] = (),
) -> Answer:
    """Call an agent with a prompt in `directory`, and return what came of it.

    `log` is a file descriptor for all that it prints; the program inherits the descriptors
    `inherited`. Raises OSError if it cannot be started.
    """
    with tempfile.TemporaryFile() as said:
        call = agent.call(prompt, session)
        said.write(call.stdin)
        said.seek(0)
        child = subprocess.Popen(
            call.words,
            cwd=directory,
            env=environ,
            stdin=said.fileno(),
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            pass_fds=inherited,
        )
        reader = agent.reader(environ)
        return _Talk(child, reader, agent.model, log, bounds, ears or Ears()).hold()


class _Talk:
    """One call under way."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        reader: Reader,
        model: str | None,
        log: int,
        bounds: Bounds,
        ears: Ears,
    ) -> None:
        self._child, self._log, self._bounds, self._ears = child, log, bounds, ears
        self._model, self._reader = model, reader
        self._lines = Lines()
        self._began = self._heard = time.monotonic()
        self._priced = 0.0
        """When its cost was last looked at."""
        self._has_news = False
        """Whether it has printed something since."""
        self._stop: float | None = None
        """When it is to be ended, since somebody asked for it."""

    def hold(self) -> Answer:
        """Listen until it has ended, or went too far."""
        assert self._child.stdout is not None
        with self._child.stdout as output:
            cut = self._listen(output.fileno())
            if cut is not None:
                self._end()
                self._drain(output.fileno())
        for line in self._lines.end():
            self._reader.read(line)
        code = self._child.wait()
        killed = cut is not None or code < 0 or code in _SIGNALLED
        record = recorded(self._reader, None if killed else code, self._model)
        if cut == "budget":
            record = record._replace(ended="budget")
        seconds = time.monotonic() - self._began
        return Answer(record, cut, seconds, self._lines.too_long)

    def _listen(self, output: int) -> Cut | None:
        """Read until the end; return why it is to be ended, if it is."""
        ended = end_of(self._child.pid)
        if ended is None:
            self._drain(output)
            return None
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(output, selectors.EVENT_READ)
                for descriptor in (ended, *self._ears.descriptors):
                    selector.register(descriptor, selectors.EVENT_READ)
                self._heed(set())
                while True:
                    ready = {key.fd for key, _ in selector.select(self._patience())}
                    if output in ready and not self._take(output):
                        selector.unregister(output)  # it closed its output, and may work on
                    if ready & {*self._ears.descriptors}:
                        self._heed(ready & {*self._ears.descriptors})
                    for descriptor in ready & {*self._ears.once}:
                        selector.unregister(descriptor)
                    cut = self._gone_too_far()
                    if cut is not None:
                        return cut
                    if ended in ready:
                        self._drain(output)
                        return None
        finally:
            os.close(ended)

    def _heed(self, ready: set[int]) -> None:
        """Look at what came from elsewhere."""
        patience = self._ears.heed(ready)
        if patience is not None:
            self._stop = time.monotonic() + patience

    def _drain(self, output: int) -> None:
        """Read what a program that has ended left in its pipe."""
        deadline = time.monotonic() + _AFTER_END_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                if not self._take(output):
                    return

    def _take(self, output: int) -> bool:
        """Take in what it printed; return whether there may be more."""
        data = os.read(output, _CHUNK_BYTES)
        self._heard, self._has_news = time.monotonic(), True
        _write(self._log, data)
        for line in self._lines.take(data):
            self._reader.read(line)
        return bool(data)

    # ---- its bounds -------------------------------------------------------------------

    def _deadlines(self) -> list[tuple[float, Cut]]:
        found: list[tuple[float, Cut]] = []
        if self._bounds.seconds is not None:
            found.append((self._began + self._bounds.seconds, "timeout"))
        if self._bounds.idle_seconds is not None:
            found.append((self._heard + self._bounds.idle_seconds, "stalled"))
        if self._stop is not None:
            found.append((self._stop, "stopped"))
        return found

    def _patience(self) -> float | None:
        deadlines = [at for at, _ in self._deadlines()]
        if self._has_news and self._bounds.budget_usd is not None:
            deadlines.append(self._priced + _PRICING_SECONDS)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _gone_too_far(self) -> Cut | None:
        if self._is_too_expensive():
            return "budget"
        now = time.monotonic()
        return next((cut for at, cut in self._deadlines() if now >= at), None)

    def _is_too_expensive(self) -> bool:
        """Return whether it has cost more than it may, as far as that is known by now."""
        budget, now = self._bounds.budget_usd, time.monotonic()
        if budget is None or not self._has_news or now < self._priced + _PRICING_SECONDS:
            return False
        self._priced, self._has_news = now, False
        record = priced(self._reader.record(None), self._model)
        cost = without(record, self._bounds.before).cost_usd
        return cost is not None and cost > budget

    def _end(self) -> None:
        """End its process group: asked first, killed after a while."""
        for signum, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, None)):
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signum)
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
                break
        with suppress(ProcessLookupError):  # what it started, and did not take with it
            os.killpg(self._child.pid, signal.SIGKILL)


def recorded(reader: Reader, exit_code: int | None, model: str | None) -> Record:
    """Return the record of a call, with its price and the limit that it met."""
    return priced(limited(cleaned(reader.record(exit_code)), time.time()), model)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

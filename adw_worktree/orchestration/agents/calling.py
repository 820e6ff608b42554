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
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from adw_worktree.orchestration.agents.lines import Lines
from adw_worktree.orchestration.agents.record import Reader, Record
from adw_worktree.orchestration.agents.registry import Agent, Call
from adw_worktree.system.process_end import end_of

_CHUNK_BYTES = 65536
_GRACE_SECONDS = 5.0
_AFTER_END_SECONDS = 0.5
"""How long a program's output is waited for that has ended: a child of it may hold the pipe."""
_SIGNALLED = {128 + signum for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
"""Exit codes of programs that end in order when a signal asks them to."""

Cut = Literal["timeout", "stalled", "budget"]
"""Why a call was ended by us."""


class Bounds(NamedTuple):
    """How far a call may go."""

    seconds: float | None = None
    """From its start to its end."""
    idle_seconds: float | None = None
    """Without a line of output."""
    budget_usd: float | None = None


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
    resume: str | None = None,
) -> Answer:
    """Call an agent with a prompt in `directory`, and return what came of it.

    `log` is a file descriptor for all that it prints. Raises OSError if it cannot be started.
    """
    with tempfile.TemporaryFile() as said:
        call = agent.call(prompt, resume)
        said.write(call.stdin)
        said.seek(0)
        return _Talk(call, said.fileno(), directory, environ, log, agent.reader(), bounds).hold()


class _Talk:
    """One call under way."""

    def __init__(
        self,
        call: Call,
        stdin: int,
        directory: Path,
        environ: Mapping[str, str],
        log: int,
        reader: Reader,
        bounds: Bounds,
    ) -> None:
        self._log, self._reader, self._bounds = log, reader, bounds
        self._lines = Lines()
        self._began = self._heard = time.monotonic()
        self._child = subprocess.Popen(
            call.words,
            cwd=directory,
            env=environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )

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
        record = self._reader.record(None if killed else code)
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
                selector.register(ended, selectors.EVENT_READ)
                while True:
                    ready = {key.fd for key, _ in selector.select(self._patience())}
                    if output in ready and not self._take(output):
                        selector.unregister(output)  # it closed its output, and may work on
                    cut = self._gone_too_far()
                    if cut is not None:
                        return cut
                    if ended in ready:
                        self._drain(output)
                        return None
        finally:
            os.close(ended)

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
        self._heard = time.monotonic()
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
        return found

    def _patience(self) -> float | None:
        deadlines = [at for at, _ in self._deadlines()]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _gone_too_far(self) -> Cut | None:
        cost, budget = self._reader.cost_usd, self._bounds.budget_usd
        if cost is not None and budget is not None and cost > budget:
            return "budget"
        now = time.monotonic()
        return next((cut for at, cut in self._deadlines() if now >= at), None)

    def _end(self) -> None:
        """End its process group: asked first, killed after a while."""
        for signum, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, None)):
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signum)
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
                return


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

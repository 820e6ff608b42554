"""Running a stage's commands, and heeding what comes meanwhile: a stop, a report, a time-out."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from adw_worktree.orchestration.runs.processes import end_processes
from adw_worktree.orchestration.runs.run_directory import (
    CUT_OFF,
    FENCED,
    GONE,
    HANDED_BACK,
    RunDirectory,
)
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.store.attempts import End
from adw_worktree.system.bells import Bell
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.process_end import end_of

_ENDS = {
    GONE: End("lost", "its worktree was deleted"),
    FENCED: End("lost", "it counts no more: its host was not heard of for its lease"),
    CUT_OFF: End("lost", "its host was cut off from the store for its lease"),
    HANDED_BACK: End("handed-back", "its host was to stop"),
}
NO_TREE = -1
"""In place of the lock, while no stage runs."""
GRACE_SECONDS = 5.0
"""For how long a command may put things in order once it was asked to end."""


class Surroundings(NamedTuple):
    """What a runner listens to while its commands run."""

    state_dir: Path
    run: RunDirectory
    bell: Bell
    lifeline: int
    """At its end once the coordinator that started us is dead."""
    tree: int
    """The lock that our commands, and whatever they start, hold."""
    heeds_done: bool = True
    """Whether a command may say that it is done. A check may not: its exit code says it."""


class Interrupted(Exception):
    """The attempt ends now, for a reason from outside of its commands."""

    def __init__(self, end: End, reported: str | None = None) -> None:
        super().__init__(end.reason)
        self.end, self.reported = end, reported


class Reported(Exception):
    """The attempt says that its stage is done, though its command still runs."""


def run_command(
    command: str,
    *,
    around: Surroundings,
    worktree: Path,
    variables: Mapping[str, str],
    log: int,
    timeout: float | None,
) -> int:
    """Run one command line in the worktree and return its exit code.

    Raises Interrupted, or Reported, with all its processes ended.
    """
    reached("command.before")
    child = subprocess.Popen(
        ["sh", "-c", "--", command],
        cwd=worktree,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=(around.tree,),
    )
    reached("command.started")
    summon(around.state_dir, around.run.path.name)  # not before: it would take the command's time
    try:
        _wait(child, around, timeout)
    except (Interrupted, Reported):
        end_processes(around.run, worktree, grace=GRACE_SECONDS)
        child.wait()
        raise
    return child.wait()


def _wait(child: subprocess.Popen[bytes], around: Surroundings, timeout: float | None) -> None:
    """Wait for the child's end. Raises Interrupted, Reported."""
    ended = end_of(child.pid)
    if ended is None:
        return
    deadline = None if timeout is None else time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for descriptor in (ended, around.bell.descriptor, around.lifeline):
            selector.register(descriptor, selectors.EVENT_READ)
        heed(around)  # a word that was left before the bell hung
        try:
            while True:
                patience = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = {key.fd for key, _ in selector.select(patience)}
                if ended in ready:
                    return
                if not ready:
                    raise Interrupted(End("timeout", f"a command ran for {timeout:g} seconds"))
                if around.lifeline in ready:
                    selector.unregister(around.lifeline)
                    summon(around.state_dir)
                around.bell.silence()
                heed(around)
        finally:
            os.close(ended)


def heed(around: Surroundings) -> None:
    """Look at what was left for the runner. Raises Interrupted, Reported."""
    stop = around.run.asked("stop")
    if stop is not None:
        raise Interrupted(_ENDS.get(stop) or End("cancelled", f"asked to {stop}"))
    kind, _, message = (around.run.asked("report") or "").partition("\n")
    if kind == "done" and around.heeds_done:
        raise Reported
    if kind == "fail":
        raise Interrupted(End("command-failed", message or "reported as failed"), kind)
    if kind == "block":
        raise Interrupted(End("needs-person", message or "reported as blocked"), kind)

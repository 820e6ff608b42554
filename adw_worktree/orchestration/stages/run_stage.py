"""A stage of commands: it passes if each of them exits with 0."""

from __future__ import annotations

import os

from adw_worktree.orchestration.stages.commands import Interrupted, Reported, run_command
from adw_worktree.orchestration.stages.stage import PASSED, Bench, Outcome, Turn, process_tree, tail
from adw_worktree.orchestration.store.attempts import End


def run_commands(bench: Bench, turn: Turn) -> Outcome:
    """Run the stage's commands one after the other, until one fails.

    Whatever they left running has ended then.
    """
    if not turn.stage.commands:
        return Outcome("ended", End("needs-person", "the phase has no commands"))
    start = os.fstat(turn.log).st_size
    try:
        with process_tree(bench) as around:
            for command in turn.stage.commands:
                code = run_command(
                    command,
                    around=around._replace(heeds_done=bench.assignment.task is None),
                    worktree=bench.worktree,
                    variables=bench.environ,
                    log=turn.log,
                    timeout=turn.stage.timeout,
                )
                if code != 0:
                    text = f"`{command}` failed with exit status {code}"
                    return _failed(bench, turn, End("command-failed", text, code), start)
    except Interrupted as exc:
        if exc.end.reason == "timeout" or exc.reported == "fail":
            return _failed(bench, turn, exc.end, start)
        return Outcome("ended", exc.end)
    except Reported:
        return PASSED
    except BlockingIOError as exc:
        return Outcome("ended", End("lost", str(exc)))
    except OSError as exc:
        end = End("command-failed", f"a command cannot be started: {exc.strerror}")
        return Outcome("failed", end, str(end.message))
    return PASSED


def _failed(bench: Bench, turn: Turn, end: End, start: int) -> Outcome:
    printed = tail(bench.around.run.path, turn.log_name, start)
    return Outcome("failed", end, f"{end.message}\n\n{printed}")

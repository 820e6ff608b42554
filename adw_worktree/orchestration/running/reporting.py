"""What an attempt reports of itself, taken into the store and on to its runner."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from adw_worktree.errors import StaleAttempt
from adw_worktree.orchestration.runs.run_directory import RunDirectory, run_directory
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.store.attempts import remark, report
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import Attempt, Phase, attempts, stages
from adw_worktree.system.paths import is_dir


def deliver_of_phase(
    database: Database, state_dir: Path, phase: Phase, kind: str, message: str | None
) -> bool:
    """Take a report, `done`, `fail` or `block`, of whoever works on a phase; return whether it is
    news.

    Raises StaleAttempt if nobody works on it, unless its last attempt reported the same.
    """
    tried = attempts(database, "phase_id = ?", [phase.id])
    if not tried:
        raise StaleAttempt(
            f"phase {phase.phase_number} has not run yet", hint="adw-worktree phase list"
        )
    return deliver(database, state_dir, tried[-1].token, kind, message)


def deliver(
    database: Database, state_dir: Path, token: str, kind: str, message: str | None
) -> bool:
    """Take a report, `done`, `fail`, `block` or `note`, of the attempt; return whether it is news.

    Raises StaleAttempt with nothing changed, if that attempt is not the one that runs.
    """
    if kind == "note":
        remark(database, token, message or "")
        summon(state_dir)
        return True
    is_new = report(database, token, kind, message)
    run = run_directory(state_dir, token)
    # Also if it is no news: whoever brought it first may have been killed here.
    if is_dir(run.path):
        [attempt] = attempts(database, "token = ?", [token])
        pass_on(database, run, attempt)
    summon(state_dir)
    return is_new


def pass_on(database: Database, run: RunDirectory, attempt: Attempt) -> None:
    """Leave what an attempt has reported for its runner, once for each of its stages."""
    if attempt.report is None:
        return
    begun = len(stages(database, attempt.token))
    word = f"{attempt.report}\n{attempt.report_message or ''}"
    which = f"{begun}\n{word}"
    if run.asked("passed-on") == which:
        return
    with suppress(OSError):
        run.ask("report", word)
        run.ask("passed-on", which)

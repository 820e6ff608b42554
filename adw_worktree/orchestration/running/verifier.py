"""Verifying a feature some time after it has landed: in a process of its own.

What holds here: a failure reverts nothing. It becomes a phase that has the evidence in its issue.
Commands run in a worktree of what has landed, which goes when they have ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.gates.finding import Finding
from adw_worktree.orchestration.gates.logs import Marks, check_log
from adw_worktree.orchestration.running.errands import Errand
from adw_worktree.orchestration.running.forked import live
from adw_worktree.orchestration.running.landing import base_branch, project_of_feature
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.hosts import place_on
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import Feature, features
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.orchestration.store.verifications import (
    follow_up,
    note_verification,
    to_verify,
)
from adw_worktree.orchestration.workflows.verification import Verification, kept
from adw_worktree.pool.lease import Lease
from adw_worktree.project import Project
from adw_worktree.repo.refs import branch_commit
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.faults import reached
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.files.variables import hook_variables, variables
from adw_worktree.worktrees.finish.target import require_target
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent

_MOST_PRINTED = 4000
_MOST_MESSAGE = 300


def become_verifier(state_dir: Path, feature_id: int, *, descriptors: list[int]) -> NoReturn:
    """Verify a feature, and end this process, which was forked for it."""
    log = state_dir / "phases" / "verifying.log"
    live(log, descriptors, partial(_verify, state_dir, feature_id))


def _verify(state_dir: Path, feature_id: int) -> None:
    database = open_store(state_dir)
    try:
        [feature] = features(database, "id = ?", [feature_id])
        if feature.verify_at is not None:
            _look(database, place_on(database, feature, this_host(state_dir).name))
    finally:
        database.close()
        summon(state_dir)


def _look(database: Database, feature: Feature) -> None:
    wanted, marks = kept(str(feature.verification))
    try:
        project = project_of_feature(feature)
        found = [*_findings(project, feature, wanted, marks)]
    except AdwError as exc:
        print(f"{feature.slug} cannot be verified: {exc.message}", file=sys.stderr, flush=True)
        note_verification(database, feature, f"it could not be looked at: {exc.message}")
        return
    reached("verify.looked")
    failed = [one for one in found if one.verdict == "fail"]
    if not failed:
        note_verification(database, feature, None)
        return
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    first = failed[0].evidence.partition("\n")[0][:_MOST_MESSAGE]
    commit = branch_commit(project.repo.home, _base(project, feature))
    prompt = _prompt(feature, wanted, found, commit)
    follow_up(database, feature, f"{first}{more}", prompt, wanted.rounds)


def _findings(
    project: Project, feature: Feature, wanted: Verification, marks: Marks
) -> Iterator[Finding]:
    """Yield what is found, in the order of the settings."""
    if wanted.commands:
        yield from _run_all(project, feature, wanted)
    if wanted.urls:
        # What speaks to servers takes longer to load than a phase to start.
        from adw_worktree.orchestration.gates.addresses import check_address

        yield from map(check_address, wanted.urls)
    for pattern in wanted.logs:
        yield check_log(pattern, project.repo.home, wanted.errors, marks)


def _base(project: Project, feature: Feature) -> str:
    """Return the branch that the feature has landed on."""
    return base_branch(project, feature) or require_target(project, None)


def _run_all(project: Project, feature: Feature, wanted: Verification) -> Iterator[Finding]:
    """Run the commands in a worktree of what has landed; yield what came of each."""
    adw_id = f"{feature.slug}-verify"
    wish = Wish(base=_base(project, feature), detach=True)
    lease = create(project, adw_id, wish, output=2).lease
    try:
        for command in wanted.commands:
            yield _run(project, lease, command, wanted.timeout)
    finally:
        with suppress(AdwError):
            remove(project, adw_id, Consent(force=True, stop=True), output=2)


def _run(project: Project, lease: Lease, command: str, timeout: float) -> Finding:
    environ = {
        **clean_environment(),
        **variables(project, lease),
        **hook_variables(project, lease),
    }
    child = subprocess.Popen(
        ["sh", "-c", "--", command],
        cwd=str(lease.path),
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        printed, _ = child.communicate(timeout=timeout)
        how = f"failed with exit status {child.returncode}"
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        printed, _ = child.communicate()
        how = f"was killed after {timeout:g} seconds"
    print(printed.decode(errors="replace"), flush=True)
    if child.returncode == 0:
        return Finding("pass", f"`{command}` exited with 0")
    tail = printed[-_MOST_PRINTED:].decode(errors="replace").strip()
    return Finding("fail", f"`{command}` {how}\n\n{tail}".strip())


def _prompt(
    feature: Feature, wanted: Verification, found: list[Finding], commit: str | None
) -> str:
    """Return the part of the follow-up phase: what was found, and where."""
    lines = []
    for one in found:
        text = one.evidence.replace("\n", "\n  ")
        lines.append(f"- {one.verdict}: {text}")
    evidence = "\n".join(lines)
    minutes = wanted.delay / 60
    later = f"{minutes:.0f} minutes" if minutes >= 2 else f"{wanted.delay:g} seconds"
    return f"""The feature has landed (commit {commit or "unknown"}).
It was looked at {later} later, and this was found:

{evidence}

Find the cause and fix it, with a test that fails without the fix. Revert nothing that works. If the
cause lies outside of this repository, run `adw-worktree phase block -m REASON` and stop."""


def _give_up(database: Database, feature_id: int, why: str) -> None:
    [feature] = features(database, "id = ?", [feature_id])
    note_verification(database, feature, why)


VERIFYING = Errand("verifying", become_verifier, to_verify, _give_up)
"""The errand of features that have landed some time ago."""

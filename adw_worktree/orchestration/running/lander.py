"""Features that land by themselves: each in a process of its own, so that nothing waits for it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.running.errands import Errand
from adw_worktree.orchestration.running.forge import open_pull_request
from adw_worktree.orchestration.running.forked import live
from adw_worktree.orchestration.running.landing import base_branch, land, project_of_feature
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.store.database import Database, Value
from adw_worktree.orchestration.store.hosts import place_on
from adw_worktree.orchestration.store.landings import note_landing, to_land
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import Feature, features, phases
from adw_worktree.orchestration.store.this_host import this_host
from adw_worktree.worktrees.finish.finish import Terms


def become_lander(state_dir: Path, feature_id: int, *, descriptors: list[int]) -> NoReturn:
    """Land a feature, and end this process, which was forked for it."""
    live(state_dir / "phases" / "landing.log", descriptors, partial(_land, state_dir, feature_id))


def _land(state_dir: Path, feature_id: int) -> None:
    database = open_store(state_dir)
    try:
        [feature] = features(database, "id = ?", [feature_id])
        if feature.landing is None:
            _try(database, place_on(database, feature, this_host(state_dir).name))
    finally:
        database.close()
        summon(state_dir)


def _try(database: Database, feature: Feature) -> None:
    """Land a feature, or note why it does not."""
    try:
        project = project_of_feature(feature)
        if feature.land == "merge":
            land(database, project, feature, Terms(), output=2)
            return
        url = open_pull_request(
            project,
            feature,
            base_branch(project, feature),
            _description(database, feature),
            output=2,
        )
        note_landing(database, feature.id, url, "feature.pull-request", {"url": url})
    except AdwError as exc:
        print(f"{feature.slug} does not land: {exc.message}", file=sys.stderr, flush=True)
        data = {"message": exc.message, "hint": exc.hint}
        why = f"failed: {exc.message}"
        note_landing(database, feature.id, why, "feature.landing-failed", data)


def _description(database: Database, feature: Feature) -> str:
    """Return the text of a pull request: the phases."""
    found = phases(database, "feature_id = ?", [feature.id], order="phase_number")
    lines = [f"{one.phase_number}. {one.title}" for one in found]
    return "\n".join([feature.title, "", *lines, ""])


def _give_up(database: Database, feature_id: int, why: str) -> None:
    data: dict[str, Value] = {"message": why, "hint": None}
    note_landing(database, feature_id, f"failed: {why}", "feature.landing-failed", data)


LANDING = Errand("landing", become_lander, to_land, _give_up)
"""The errand of features that land by themselves."""

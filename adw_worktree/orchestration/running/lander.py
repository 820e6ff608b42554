"""Features that land by themselves: each in a process of its own, so that nothing waits for it."""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NoReturn

from adw_worktree.errors import AdwError
from adw_worktree.orchestration.running.forge import open_pull_request
from adw_worktree.orchestration.running.forked import live
from adw_worktree.orchestration.running.landing import base_branch, land, project_of_feature
from adw_worktree.orchestration.running.nursery import Nursery
from adw_worktree.orchestration.runs.run_directory import RunDirectory
from adw_worktree.orchestration.runs.summon import summon
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.landings import note_landing
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.records import Feature, features, phases
from adw_worktree.system.process_end import end_of
from adw_worktree.worktrees.finish.finish import Terms

_MOST_TRIES = 3


def become_lander(state_dir: Path, feature_id: int, *, descriptors: list[int]) -> NoReturn:
    """Land a feature, and end this process, which was forked for it."""
    live(state_dir / "phases" / "landing.log", descriptors, partial(_land, state_dir, feature_id))


def _land(state_dir: Path, feature_id: int) -> None:
    database = open_store(state_dir)
    try:
        [feature] = features(database, "id = ?", [feature_id])
        if feature.landing is None:
            _try(database, feature)
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


class Landers:
    """The features that land, as the coordinator sees them."""

    def __init__(self, state_dir: Path, nursery: Nursery, selector: selectors.BaseSelector) -> None:
        self._state_dir, self._nursery, self._selector = state_dir, nursery, selector
        self._ended: dict[int, int] = {}
        """Descriptors that are readable once the process of a feature has ended."""
        self._tries: dict[int, int] = {}

    def send(self, database: Database, due: Iterable[Feature]) -> None:
        """Land the features that nobody lands yet."""
        for feature_id in [*self._ended]:
            self._is_alive(feature_id)
        for feature in due:
            if not self._is_alive(feature.id):
                self._start(database, feature)

    def close(self) -> None:
        """Let them go; they live on."""
        for feature_id in [*self._ended]:
            self._forget(feature_id)

    def _is_alive(self, feature_id: int) -> bool:
        """Return whether a process lands the feature."""
        if not self._directory.is_locked(f"landing-{feature_id}"):
            self._forget(feature_id)
            return False
        return True

    def _start(self, database: Database, feature: Feature) -> None:
        self._tries[feature.id] = self._tries.get(feature.id, 0) + 1
        if self._tries[feature.id] > _MOST_TRIES:
            why = "its process was killed, again and again; see phases/landing.log"
            data = {"message": why, "hint": None}
            note_landing(database, feature.id, f"failed: {why}", "feature.landing-failed", {**data})
            return
        lock = self._directory.lock(f"landing-{feature.id}")
        if lock is None:
            return
        try:
            pid = self._nursery.fork(become_lander, self._state_dir, feature.id, descriptors=[lock])
        finally:
            os.close(lock)
        ended = end_of(pid)
        if ended is not None:
            self._ended[feature.id] = ended
            self._selector.register(ended, selectors.EVENT_READ)

    def _forget(self, feature_id: int) -> None:
        ended = self._ended.pop(feature_id, None)
        if ended is not None:
            self._selector.unregister(ended)
            os.close(ended)

    @property
    def _directory(self) -> RunDirectory:
        return RunDirectory(self._state_dir / "phases")

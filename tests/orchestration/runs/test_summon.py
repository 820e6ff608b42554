"""Who waits for phases sees to it that a coordinator lives, and says so if none can."""

from __future__ import annotations

import shutil
import sys
import time

import pytest

from adw_worktree.errors import StoreError
from adw_worktree.orchestration.runs import summon
from tests.support.command_line import Adw
from tests.support.features import kill_all, phase, start, state_dir, store


@pytest.mark.thorough
def test_a_coordinator_that_cannot_start_is_not_tried_for_ever(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(adw, "f", phase(1, "sleep 60", changes="none"))
    kill_all()
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    monkeypatch.setattr(summon, "_BIRTH_SECONDS", 0.005)
    database = store()
    began = time.monotonic()
    with (
        summon.onlooking(state_dir()) as onlooker,
        pytest.raises(StoreError, match="no coordinator could be started"),
    ):
        while time.monotonic() < began + 60:
            onlooker.sleep(database)
    database.close()

"""Hosts that are cut off, killed and suspended: nothing is lost or done twice."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import network, postgres_server
from tests.support.storm import storms
from tests.support.stress_size import stress_size


@pytest.mark.thorough
def test_nothing_is_lost_or_done_twice(tmp_path: Path, tally: Callable[..., None]) -> None:
    lacking = network.lacks()
    if lacking is not None:
        pytest.skip(lacking)
    if postgres_server.programs() is None:
        pytest.skip("PostgreSQL is not installed")
    rng = random.Random(19)
    with storms(tmp_path, 5) as (storm, remote):
        storm.start_feature(rng)
        storm.blow(rng, stress_size(30, 600))
        for _ in range(5):
            with suppress(AssertionError):
                storm.wait()
                break
        counts = storm.judge(remote)
        print(dict(counts), file=sys.stderr)
        assert storm.is_done(), [host.said()[-500:] for host in storm.hosts[1:]]
    tally("phases", counts["phases"])
    tally("kills", counts["kills"] + counts["server kills"])
    tally("phases twice at once", counts["twice at once"] + counts["applied twice"])
    tally("phases lost", counts["lost"])
    assert counts["lost"] == counts["applied twice"] == counts["twice at once"] == 0, storm.faults

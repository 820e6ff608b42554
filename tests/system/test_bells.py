"""Bells: whoever sleeps is woken, and one whose hearer died is known for that."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from adw_worktree.system.bells import hang, hang_unheard, ring, ring_all


def test_a_ring_wakes_who_hears_it(tmp_path: Path) -> None:
    bell = hang(tmp_path / "bell")
    assert select.select([bell.descriptor], [], [], 0)[0] == []
    assert ring(bell.path) is True
    assert select.select([bell.descriptor], [], [], 5)[0] == [bell.descriptor]
    assert bell.silence() is True
    assert bell.silence() is False
    bell.close()


def test_a_bell_whose_hearer_is_dead_is_told_from_none(tmp_path: Path) -> None:
    hang(tmp_path / "bell").close()
    assert ring(tmp_path / "bell") is False
    assert ring(tmp_path / "none") is None
    (tmp_path / "file").write_text("")
    assert ring(tmp_path / "file") is None
    (tmp_path / "link").symlink_to("bell")
    assert ring(tmp_path / "link") is None


def test_a_bell_is_hung_in_the_place_of_one_that_nobody_hears(tmp_path: Path) -> None:
    for _ in range(2):
        hang_unheard(tmp_path / "bell")
        assert ring(tmp_path / "bell") is False
    bell = hang(tmp_path / "bell")
    assert ring(tmp_path / "bell") is True
    assert os.listdir(tmp_path) == ["bell"]
    bell.close()


def test_a_bell_that_nobody_answers_holds_nobody_up(tmp_path: Path) -> None:
    bell = hang(tmp_path / "bell")
    for _ in range(70_000):  # more than a pipe takes
        ring(bell.path)
    assert bell.silence() is True
    bell.close()


def test_a_path_may_be_longer_than_a_sockets(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 200)
    directory.mkdir()
    bell = hang(directory / "bell")
    assert ring(bell.path) is True
    bell.close()


def test_bells_of_the_dead_are_taken_away(tmp_path: Path) -> None:
    living = hang(tmp_path / "living")
    script = f"from pathlib import Path; from adw_worktree.system.bells import hang; hang(Path({str(tmp_path / 'dead')!r}))"  # noqa: E501
    subprocess.run([sys.executable, "-c", script], check=True)
    ring_all(tmp_path)
    assert os.listdir(tmp_path) == ["living"]
    assert living.silence() is True
    living.close()


def test_bells_are_hung_while_all_are_rung(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from adw_worktree.system.bells import ring_all\n"
    code += "print(flush=True)\nwhile True: ring_all(Path(sys.argv[1]))"
    ringer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert ringer.stdout is not None and ringer.stdout.readline()
        for number in range(300):
            bell = hang(tmp_path / f"bell-{number}")
            assert ring(bell.path) is True
            bell.take_down()
            bell.close()
    finally:
        ringer.kill()
        ringer.communicate()


def test_a_bell_that_was_never_hung_is_removed_in_the_end(tmp_path: Path) -> None:
    for name, age in ((".new.1", 0.0), (".old.1", 3600.0)):
        os.mkfifo(tmp_path / name)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    ring_all(tmp_path)
    assert os.listdir(tmp_path) == [".new.1"]

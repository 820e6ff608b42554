"""The end of a process is waited for by a descriptor."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading

import pytest

from adw_worktree.system.process_end import end_of


def test_it_is_readable_once_the_process_has_ended() -> None:
    child = subprocess.Popen(["sleep", "0.2"])
    ended = end_of(child.pid)
    assert ended is not None
    assert select.select([ended], [], [], 0)[0] == []
    assert select.select([ended], [], [], 30)[0] == [ended]
    os.close(ended)
    child.wait()


def test_one_that_is_gone_has_none() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert end_of(child.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="threads have numbers of their own on Linux")
def test_a_number_that_is_a_thread_s_by_now_is_that_of_no_process() -> None:
    """Numbers of processes come round, and threads have theirs from the same."""
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        assert thread.native_id != os.getpid()
        assert end_of(thread.native_id) is None
    finally:
        go.set()
        thread.join()

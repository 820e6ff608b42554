"""Locks: `system.locks` and `system.long_locks` promise the same, and see each other's."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from adw_worktree.errors import LedgerError, LockTimeout
from adw_worktree.system import locks, long_locks
from tests.support.stress_size import stress_size

KINDS = {"short": locks, "long": long_locks}
either = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
two = pytest.mark.parametrize(
    ("kind", "other"),
    [(kind, other) for kind in KINDS.values() for other in KINDS.values()],
    ids=[f"{kind}-{other}" for kind in KINDS for other in KINDS],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a" / "x.lock"


def is_free(path: Path) -> bool:
    """Whether neither kind finds the lock held."""
    found = []
    for kind in KINDS.values():
        lock = kind.try_lock(path)
        found.append(lock is not None)
        if lock is not None:
            lock.release()
    assert len(set(found)) == 1, "one kind does not see what the other holds"
    return found[0]


@contextmanager
def process(code: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Run `code` in an interpreter of its own until it has said that it is ready."""
    command = [sys.executable, "-c", code, *map(str, words)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        try:
            yield started
        finally:
            started.kill()


HOLDS = (
    "import sys; from pathlib import Path\n"
    "from importlib import import_module\n"
    "lock = import_module(sys.argv[1]).try_lock(Path(sys.argv[2]))\n"
    "print('ready' if lock else 'it is held', flush=True)\n"
    "sys.stdin.read()\n"
)
FORKS = (
    "import os, sys, time; from pathlib import Path\n"
    "from importlib import import_module\n"
    "lock = import_module(sys.argv[1]).try_lock(Path(sys.argv[2]))\n"
    "for seconds in (0, 60):\n"
    "    child = os.fork()\n"
    "    if child == 0:\n"
    "        if seconds: os.close(0); os.close(1)\n"
    "        time.sleep(seconds); sys.exit()\n"
    "    if not seconds: os.waitpid(child, 0)\n"
    "print('ready', flush=True)\n"
    "sys.stdin.readline()\n"
    "lock.release()\n"
    "print('released', flush=True)\n"
    "sys.stdin.readline()\n"
    "os.kill(child, 9)\n"
)


@two
def test_who_holds_the_lock_keeps_out_each_thread(
    path: Path, kind: ModuleType, other: ModuleType
) -> None:
    found = []
    with kind.held(path, 1, "x"):
        assert other.try_lock(path) is None
        thread = threading.Thread(target=lambda: found.append(other.try_lock(path)))
        thread.start()
        thread.join()
    assert found == [None]
    assert is_free(path)


@two
def test_who_holds_the_lock_keeps_out_each_process(
    path: Path, kind: ModuleType, other: ModuleType
) -> None:
    with process(HOLDS, kind.__name__, path):
        assert other.try_lock(path) is None
        with pytest.raises(LockTimeout) as caught, other.held(path, 0.1, "the thing"):
            pass
        text = f"the thing is locked by another process ({path}) for more than 0.1 seconds"
        assert caught.value.message == text


@either
def test_a_killed_holder_holds_nothing(path: Path, kind: ModuleType) -> None:
    with process(HOLDS, kind.__name__, path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert is_free(path)


@either
def test_a_forked_child_neither_frees_a_lock_nor_keeps_it(path: Path, kind: ModuleType) -> None:
    with process(FORKS, kind.__name__, path) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        assert not is_free(path)  # although a child of its has ended
        print("release", file=holder.stdin, flush=True)
        assert holder.stdout.readline() == "released\n"
        assert is_free(path)  # although another lives on
        print("end", file=holder.stdin, flush=True)
        holder.wait()


@either
def test_programs_that_are_started_meanwhile_do_not_hold_it(path: Path, kind: ModuleType) -> None:
    lock = kind.try_lock(path)
    assert lock is not None
    command = [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(60)"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, close_fds=False, text=True) as started:
        assert started.stdout is not None and started.stdout.readline() == "ready\n"
        lock.release()
        assert is_free(path)
        started.kill()


@two
def test_a_lock_that_changes_hands_is_waited_for(
    path: Path, kind: ModuleType, other: ModuleType
) -> None:
    """A long queue is no reason to give up."""
    path.parent.mkdir()
    path.touch()
    turns, ended = iter(range(1, 10**6)), threading.Event()
    first = kind.try_lock(path)
    assert first is not None

    def change_hands() -> None:
        while not ended.wait(0.02):
            os.utime(path, (0, next(turns)))  # as each holder does

    thread = threading.Thread(target=change_hands)
    thread.start()
    timer = threading.Timer(0.8, first.release)
    timer.start()
    try:
        with other.held(path, 0.2, "x"):
            assert not is_free(path)
    finally:
        ended.set()
        thread.join()
        timer.join()


def test_a_lock_whose_holder_stands_in_another_queue_is_waited_for(path: Path) -> None:
    """A hundred who update the ledger kept the one with the machine's lock waiting; those who
    waited for that gave up."""
    inner = path.with_name("inner.lock")
    path.parent.mkdir()
    first, ended = locks.try_lock(inner), threading.Event()
    assert first is not None
    holds = threading.Event()

    def hold() -> None:
        with locks.held(path, 0.4, "outer"):
            holds.set()
            with locks.held(inner, 0.4, "inner"):
                pass

    def change_hands() -> None:
        while not ended.wait(0.02):
            os.utime(inner)  # as each holder does

    threads = [threading.Thread(target=hold), threading.Thread(target=change_hands)]
    for thread in threads:
        thread.start()
    assert holds.wait(10)
    timer = threading.Timer(1.5, first.release)
    timer.start()
    try:
        with locks.held(path, 0.4, "outer"):
            assert not is_free(path)
    finally:
        ended.set()
        for thread in (*threads, timer):
            thread.join()


@two
def test_a_file_that_was_removed_meanwhile_guards_nothing(
    path: Path, kind: ModuleType, other: ModuleType
) -> None:
    """Who got the lock of the old file and who got that of the new one would both work on."""
    first = kind.try_lock(path)
    assert first is not None
    inside, over = threading.Event(), threading.Event()

    def wait() -> None:
        with other.held(path, 30, "x"):
            inside.set()
            over.wait(30)

    thread = threading.Thread(target=wait)
    thread.start()
    locks.discard(first)
    assert inside.wait(30)
    assert not is_free(path)
    over.set()
    thread.join()
    assert is_free(path)


@either
def test_the_file_is_never_emptied(path: Path, kind: ModuleType) -> None:
    """The watcher's says who watches."""
    path.parent.mkdir()
    path.write_text("12345\n")
    with kind.held(path, 1, "x"):
        assert kind.try_lock(path) is None
        with pytest.raises(LockTimeout), kind.held(path, 0.05, "x"):
            pass
    assert path.read_text() == "12345\n"


@either
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_is_as_the_umask_says(path: Path, kind: ModuleType, umask: int) -> None:
    """Those who share a state directory lock the same files."""
    before = os.umask(umask)
    try:
        lock = kind.try_lock(path)
    finally:
        os.umask(before)
    assert lock is not None
    lock.release()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@either
def test_the_mode_of_a_file_stays(path: Path, kind: ModuleType) -> None:
    path.parent.mkdir()
    path.touch()
    path.chmod(0o660)
    with kind.held(path, 1, "x"):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@either
@pytest.mark.parametrize("what", ["a link", "a dangling link", "a loop", "a directory"])
def test_an_odd_thing_in_its_place_is_a_clear_error(
    path: Path, kind: ModuleType, what: str
) -> None:
    path.parent.mkdir()
    precious = path.with_name("precious")
    if what == "a directory":
        path.mkdir()
    else:
        path.symlink_to(path if what == "a loop" else precious)
    if what == "a link":
        precious.write_text("mine")
    with pytest.raises(LedgerError, match=f"the lock {path} cannot be used"):
        kind.try_lock(path)
    with (
        pytest.raises(LedgerError, match=f"the lock {path} cannot be used"),
        kind.held(path, 1, "x"),
    ):
        pass
    assert precious.exists() == (what == "a link")
    assert what != "a link" or precious.read_text() == "mine"


@either
def test_a_pipe_in_its_place_blocks_nobody(path: Path, kind: ModuleType) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    lock = kind.try_lock(path)
    assert lock is not None
    lock.release()


@either
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_a_clear_error(path: Path, kind: ModuleType) -> None:
    path.parent.mkdir()
    path.touch(mode=0o400)
    with pytest.raises(LedgerError, match="Permission denied") as caught:
        kind.try_lock(path)
    assert caught.value.hint == f"make {path.parent} readable and writable for you, then repeat"


@either
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_flock_is_an_error_and_no_weaker_lock(
    path: Path, kind: ModuleType, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LedgerError) as caught:
        kind.try_lock(path)
    assert caught.value.hint == f"{path.parent} has to be on a file system with flock"
    with pytest.raises(LedgerError), kind.held(path, 1, "x"):
        pass
    assert os.listdir(path.parent) in ([], ["x.lock"])
    assert not path.exists() or path.read_bytes() == b""
    assert len(os.listdir("/dev/fd")) < 200


@either
def test_a_lock_that_another_has_may_be_answered_with_eacces(
    path: Path, kind: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems do."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert kind.try_lock(path) is None


@either
def test_what_fails_inside_lets_it_go(path: Path, kind: ModuleType) -> None:
    with pytest.raises(KeyError), kind.held(path, 1, "x"):
        raise KeyError
    assert is_free(path)


WAITS = (
    "import signal, sys; from pathlib import Path\n"
    "from importlib import import_module\n"
    "kind, path = import_module(sys.argv[1]), Path(sys.argv[2])\n"
    "def stop(*_): raise KeyboardInterrupt\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "try:\n"
    "    print('ready', flush=True)\n"
    "    with kind.held(path, 60, 'x'): pass\n"
    "except KeyboardInterrupt:\n"
    "    print('interrupted', flush=True)\n"
    "sys.stdin.read()\n"
)


@either
def test_a_wait_that_is_interrupted_leaves_nothing_behind(path: Path, kind: ModuleType) -> None:
    holder = locks.try_lock(path)
    assert holder is not None
    with process(WAITS, kind.__name__, path) as waiting:
        assert waiting.stdout is not None
        time.sleep(0.5)  # until it waits
        waiting.send_signal(signal.SIGTERM)
        assert waiting.stdout.readline() == "interrupted\n"
        holder.release()
        assert is_free(path)


COUNTS = (
    "import os, sys; from pathlib import Path\n"
    "from importlib import import_module\n"
    "kinds = [import_module(name) for name in sys.argv[1:3]]\n"
    "path, counter, times = Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5])\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "for number in range(times):\n"
    "    with kinds[number % 2].held(path, 60, 'x'):\n"
    "        alone = os.open(f'{counter}.alone', os.O_CREAT | os.O_EXCL)\n"
    "        counter.write_text(str(int(counter.read_text()) + 1))\n"
    "        os.close(alone); os.unlink(f'{counter}.alone')\n"
    "print('done', flush=True)\n"
)


def test_many_processes_of_both_kinds_are_never_inside_at_once(path: Path, tmp_path: Path) -> None:
    """Two witnesses: a file that can be made only once at a time, and a count that none misses."""
    processes, times = stress_size(4, 8), stress_size(25, 250)
    counter = tmp_path / "counter"
    counter.write_text("0")
    names = [locks.__name__, long_locks.__name__]
    command = [sys.executable, "-c", COUNTS]
    pipe = subprocess.PIPE
    started = []
    for number in range(processes):
        words = [*(names if number % 2 else names[::-1]), str(path), str(counter), str(times)]
        started.append(subprocess.Popen([*command, *words], stdin=pipe, stdout=pipe, text=True))
    for one in started:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    ends = [one.communicate("go\n", timeout=300)[0] for one in started]
    assert ends == ["done\n"] * processes
    assert counter.read_text() == str(processes * times)

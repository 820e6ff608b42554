"""Atomic writes: the old content or the new, whole, and nothing left beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adw_worktree.system.atomic import write_atomically


def run_python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter of its own."""
    argv = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_content_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"first", b"", b"\0\xff" * 300_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
        assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o400, 0o755])
def test_permissions_are_exact_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    code = (
        "import os, sys; from pathlib import Path; from adw_worktree.system.atomic import *;"
        "os.umask(0o077); write_atomically(Path(sys.argv[1]), b'new', mode=int(sys.argv[2]))"
    )
    done = run_python(code, path, mode)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_mode & 0o7777 == mode
    assert path.read_bytes() == b"new"


def test_symbolic_link_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    # Following it would overwrite whatever a repository's link points at.
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["file", "symlink", "dangling", "hardlink", "fifo", "unreadable"])
def test_what_lies_at_the_temporary_name_is_removed_and_never_written_to(
    tmp_path: Path, kind: str
) -> None:
    path, stale, victim = tmp_path / "file", tmp_path / ".file.tmp", tmp_path / "victim"
    victim.write_bytes(b"precious")
    if kind == "symlink":
        stale.symlink_to(victim)
    elif kind == "dangling":
        stale.symlink_to(tmp_path / "nowhere")
    elif kind == "hardlink":
        stale.hardlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(stale)
    else:
        stale.write_bytes(b"half")
        stale.chmod(0o000 if kind == "unreadable" else 0o600)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert victim.read_bytes() == b"precious"
    assert names(tmp_path) == ["file", "victim"]


def test_full_disk_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    # A limit on file sizes fails a write half-way, as a full disk does.
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = """
import errno, resource, signal, sys
from pathlib import Path
from adw_worktree.system.atomic import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 10_000)
except OSError as exc:
    sys.exit(40 if exc.errno == errno.EFBIG else 41)
"""
    done = run_python(code, path)
    assert done.returncode == 40, done.stderr
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_directory_in_its_place_stays_and_no_temporary_file_does(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_atomically(path, b"new")
    assert names(tmp_path) == ["file"]
    assert names(path) == ["inside"]


def test_missing_directory_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "file", b"new")
    assert names(tmp_path) == []


_KILLED_AT = """
import os, sys
from pathlib import Path
from adw_worktree.system.atomic import write_atomically
left = int(sys.argv[2])
def audit(event, args):
    global left
    if event in ("open", "os.rename", "os.remove") and ".file.tmp" in map(str, args):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
sys.addaudithook(audit)
write_atomically(Path(sys.argv[1]), b"new")
"""


def test_writer_killed_at_any_step_leaves_whole_content_and_the_next_cleans_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    killed = 0
    for step in range(1, 10):
        write_atomically(path, b"old")
        done = run_python(_KILLED_AT, path, step)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        killed += 1
        assert path.read_bytes() in (b"old", b"new")
        assert set(names(tmp_path)) <= {"file", ".file.tmp"}
    assert killed >= 3  # looking for a stale file, making one, renaming it
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


_WRITER = """
import sys
from pathlib import Path
from adw_worktree.system.atomic import write_atomically
sys.stdin.readline()
for _ in range(100):
    write_atomically(Path(sys.argv[1]), sys.argv[2].encode() * 20_000)
"""


def test_writers_at_the_same_time_never_mix_or_break_one_another(tmp_path: Path) -> None:
    # With one temporary name, a writer could rename the file that another is still filling.
    path = tmp_path / "file"
    write_atomically(path, b"0" * 20_000)
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, path, str(n)], stdin=subprocess.PIPE)
        for n in range(1, 5)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.close()
    while any(writer.poll() is None for writer in writers):
        seen = path.read_bytes()
        assert len(seen) == 20_000
        assert len(set(seen)) == 1
    assert [writer.wait() for writer in writers] == [0] * 4
    assert names(tmp_path) == ["file"]

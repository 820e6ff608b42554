"""What git does not carry: only what was asked for, never over or through anything."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from adw_worktree.worktrees.files.include import clone
from tests.support.command_line import Adw
from tests.support.machine import mounted
from tests.support.repositories import git


@pytest.fixture
def main(adw: Adw) -> Path:
    """Return a main worktree with ignored files of every kind."""
    root = adw.directory
    (root / ".gitignore").write_text(".env*\n*.key\nnode_modules/\nmodels/\nlinks/\n*.sock\n")
    git("add", ".gitignore", cwd=root)
    git("commit", "--quiet", "-m", "ignore", cwd=root)
    (root / ".env").write_text("SECRET=1\n")
    (root / ".env").chmod(0o600)
    (root / "sub").mkdir()
    (root / "sub" / "a.key").write_text("key\n")
    (root / "node_modules" / "left pad" / "lib").mkdir(parents=True)
    (root / "node_modules" / "left pad" / "lib" / "index.js").write_text("pad\n")
    (root / "node_modules" / "run").write_text("#!/bin/sh\n")
    (root / "node_modules" / "run").chmod(0o755)
    (root / "models").mkdir()
    (root / "models" / "big").write_text("big\n")
    (root / "untracked").write_text("a person's own\n")
    return root


def create(adw: Adw, *words: str, adw_id: str = "a") -> Path:
    return Path(adw.json("create", adw_id, *words)["path"])


def settings(root: Path, text: str) -> None:
    (root / "adw-worktree.toml").write_text(text)


def test_what_is_ignored_and_asked_for_is_copied(adw: Adw, main: Path) -> None:
    (main / ".worktreeinclude").write_text(".env\n*.key\nuntracked\nREADME\n")
    tree = create(adw)
    assert (tree / ".env").read_text() == "SECRET=1\n"
    assert (tree / ".env").stat().st_mode == (main / ".env").stat().st_mode
    assert (tree / ".env").stat().st_mtime_ns == (main / ".env").stat().st_mtime_ns
    assert (tree / "sub" / "a.key").read_text() == "key\n"
    assert not (tree / "untracked").exists()
    assert not (tree / "node_modules").exists()
    assert git("status", "--porcelain", cwd=tree) == ""
    adw("remove", "a")


def test_create_again_says_what_did_not_come_along(adw: Adw, main: Path) -> None:
    tree = create(adw)
    settings(main, 'include = [".env", "*.key", "nothing"]\nlink = ["models/"]\n')
    linked, copied = adw("create", "a").stderr.splitlines()
    assert ".env and 1 more did not come along: include is heeded when" in copied
    assert "models did not come along: link is heeded when" in linked
    for note in (linked, copied):
        subprocess.run(["sh", "-c", note.rpartition("; ")[2]], cwd=main, check=True)
    assert (tree / ".env").read_text() == "SECRET=1\n"
    assert (tree / "models").resolve() == main / "models"
    (note,) = adw("create", "a").stderr.splitlines()
    assert "sub/a.key did not come along" in note


def test_create_again_is_silent_on_what_came_along(adw: Adw, main: Path) -> None:
    settings(main, 'include = [".env*", "*.key", "node_modules/"]\nlink = ["models/"]\n')
    tree = create(adw)
    assert (tree / ".env.ports").exists()  # which the pattern matches, and is ours
    assert adw("create", "a").stderr == ""


def test_a_pattern_can_be_taken_back(adw: Adw, main: Path) -> None:
    (main / ".env.local").write_text("mine\n")
    (main / ".worktreeinclude").write_text(".env*\n!.env.local\n")
    tree = create(adw)
    assert (tree / ".env").exists()
    assert not (tree / ".env.local").exists()


def test_directories_come_whole(adw: Adw, main: Path) -> None:
    settings(main, 'include = ["node_modules/"]\n')
    (main / "node_modules" / "lib.js").symlink_to("left pad/lib/index.js")
    ran = adw("create", "a")
    assert "copied 3 files" in ran.stderr
    tree = main / "trees" / "a" / "node_modules"
    assert (tree / "left pad" / "lib" / "index.js").read_text() == "pad\n"
    assert os.access(tree / "run", os.X_OK)
    assert os.readlink(tree / "lib.js") == "left pad/lib/index.js"
    (tree / "run").write_text("changed\n")
    assert (main / "node_modules" / "run").read_text() == "#!/bin/sh\n"


def test_what_is_to_be_linked_is_shared(adw: Adw, main: Path) -> None:
    settings(main, 'include = ["models/", ".env"]\nlink = ["models/"]\n')
    tree = create(adw)
    assert (tree / "models").is_symlink()
    (tree / "models" / "new").write_text("shared\n")
    assert (main / "models" / "new").read_text() == "shared\n"
    assert git("status", "--porcelain", cwd=tree) == ""
    adw("remove", "a")
    assert (main / "models" / "big").read_text() == "big\n"


def test_nothing_is_written_over(adw: Adw, main: Path) -> None:
    git("branch", "has", cwd=main)
    settings(main, 'include = [".env", "node_modules/", "*.key"]\n')
    git("worktree", "add", "--quiet", "elsewhere", "has", cwd=main)
    tracked = main / "elsewhere"
    (tracked / ".env").write_text("tracked\n")
    (tracked / "node_modules").write_text("a file\n")
    git("add", "--force", ".env", "node_modules", cwd=tracked)
    git("commit", "--quiet", "-m", "tracked", cwd=tracked)
    git("worktree", "remove", str(tracked), cwd=main)
    ran = adw("create", "a", "--branch", "has")
    tree = main / "trees" / "a"
    assert (tree / ".env").read_text() == "tracked\n"
    assert (tree / "node_modules").read_text() == "a file\n"
    assert (tree / "sub" / "a.key").exists()
    assert "no directory" in ran.stderr
    assert git("status", "--porcelain", cwd=tree) == ""


def test_nothing_is_written_through_a_link(adw: Adw, main: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(main / "sub")
    (main / "sub").symlink_to(outside)
    git("add", "sub", cwd=main)
    git("commit", "--quiet", "-m", "link", cwd=main)
    git("checkout", "--quiet", "-b", "later", cwd=main)
    (main / "sub").unlink()
    (main / "sub").mkdir()
    (main / "sub" / "a.key").write_text("key\n")
    git("commit", "--quiet", "--all", "-m", "no link", cwd=main)
    settings(main, 'include = ["*.key"]\n')
    ran = adw("create", "a", "--from", "main")
    assert list(outside.iterdir()) == []
    assert "has no place" in ran.stderr


def test_nothing_is_read_through_a_link(adw: Adw, main: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "id.key").write_text("of another\n")
    (main / "links").mkdir()
    (main / "links" / "relative").symlink_to("../../secret/id.key")
    (main / "links" / "absolute").symlink_to(secret / "id.key")
    (main / "links" / "directory").symlink_to(secret)
    settings(main, 'include = ["links/"]\n')
    tree = create(adw)
    assert not (tree / "links" / "relative").is_symlink()
    assert os.readlink(tree / "links" / "absolute") == str(secret / "id.key")
    assert (tree / "links" / "directory").is_symlink()


def test_what_is_ours_stays_where_it_is(adw: Adw, main: Path) -> None:
    first = create(adw)
    (first / "work").write_text("of days\n")
    settings(main, 'include = ["*"]\n')
    (main / ".env.ports").write_text("BACKEND_PORT=1\n")
    second = create(adw, adw_id="b")
    assert "BACKEND_PORT=1\n" not in (second / ".env.ports").read_text()
    assert not (second / "trees").exists() or not list((second / "trees").iterdir())
    assert not list(second.glob("agents/*.json*"))
    assert (second / ".env").exists()


def test_sockets_and_pipes_are_passed_over(adw: Adw, main: Path) -> None:
    os.mkfifo(main / "a.sock")
    settings(main, 'include = ["*.sock", ".env"]\n')
    assert not (create(adw) / "a.sock").exists()


def test_it_reaches_a_worktree_that_was_a_spare(
    adw: Adw, main: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(main, 'include = [".env"]\n')
    monkeypatch.setenv("ADW_SPARES", "1")
    adw("spares", "fill", "--wait")
    assert (create(adw) / ".env").exists()


def test_a_disk_without_room_takes_the_worktree_back(adw: Adw, main: Path) -> None:
    (main / "models" / "big").write_bytes(bytes(2 << 20))
    settings(main, 'include = ["models/"]\n')
    with mounted(main / "trees", "1m"):
        error = adw.json("create", "a", code=3)["error"]
        assert "models" in error["message"]
        assert "free some space" in error["hint"]
        assert not list((main / "trees").iterdir())
    assert not adw.json("status")["allocations"]


@pytest.mark.parametrize("pattern", ["", "a\nb", "\0"])
def test_impossible_patterns_are_refused(adw: Adw, pattern: str) -> None:
    text = pattern.encode("unicode_escape").decode().replace("\\x00", "\\u0000")
    settings(adw.directory, f'include = ["{text}"]\n')
    assert "include" in adw.json("create", "a", code=3)["error"]["message"]


def test_patterns_are_no_options_of_git(adw: Adw, main: Path) -> None:
    settings(main, 'include = ["--cached", "-x", ".env"]\n')
    assert (create(adw) / ".env").exists()


WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma journal_mode=wal")
db.execute("pragma wal_autocheckpoint=0")
db.execute("create table t (n)")
db.execute("insert into t values (1)")
print("ready", flush=True)
number = 1
while True:
    number += 1
    db.execute("begin")
    db.execute("insert into t values (?)", (number,))
    db.execute("insert into t values (?)", (number,))
    db.execute("commit")
"""


def rows(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("pragma integrity_check").fetchall() == [("ok",)]
        return [number for (number,) in opened.execute("select n from t order by rowid")]


def test_a_database_is_copied_whole_while_a_program_writes_to_it(adw: Adw, main: Path) -> None:
    """Its rows are in the journal beside it, and half a transaction may be in the file."""
    (main / "models" / "app 1.db").write_bytes(b"")
    (main / ".worktreeinclude").write_text("models/\n")
    source = main / "models" / "app 1.db"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(source)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        tree = create(adw)
        assert source.with_name("app 1.db-wal").exists()
    finally:
        writer.kill()
        writer.communicate()
    copy = tree / "models" / "app 1.db"
    assert {one.name for one in (tree / "models").iterdir()} == {"app 1.db", "big"}
    found = rows(copy)
    assert found[0] == 1
    assert found[1:] == [number for number in range(2, found[-1] + 1) for _ in (1, 2)]
    assert copy.stat().st_mode == source.stat().st_mode
    assert len(rows(source)) >= len(found)


def test_a_database_that_stays_locked_or_is_damaged_fails_the_create(adw: Adw, main: Path) -> None:
    source = main / "models" / "app.db"
    source.write_bytes(b"SQLite format 3\0" + b"no database" * 100)
    (main / ".worktreeinclude").write_text("models/\n")
    refused = adw.json("create", "a", code=3)["error"]
    assert refused["code"] == "file-unusable"
    assert str(source) in refused["message"]
    assert not (main / "trees").exists()
    assert source.read_bytes().startswith(b"SQLite format 3\0no database")


def test_a_journal_without_its_database_is_a_file_like_any_other(adw: Adw, main: Path) -> None:
    (main / "models" / "notes-journal").write_text("mine")
    (main / ".worktreeinclude").write_text("models/\n")
    assert (create(adw) / "models" / "notes-journal").read_text() == "mine"


def test_a_big_file_says_how_far_it_got(tmp_path: Path) -> None:
    source, told = tmp_path / "source", list[tuple[int, int]]()
    source.write_bytes(os.urandom(3_000_000))
    clone(source, tmp_path / "target", lambda done, of_all: told.append((done, of_all)))
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    # None where the file system shares the blocks.
    assert not told or (len(told) > 1 and told[-1] == (3_000_000, 3_000_000))

"""One ledger for each common git directory, whatever settings, branches and other tools say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adw_worktree import PortPool
from adw_worktree.pool.place import record_file
from adw_worktree.project import open_project
from tests.support.command_line import Adw
from tests.support.disk import obeying, slots, state_of
from tests.support.repositories import git, make_repo
from tests.support.stress_size import stress_size

Tally = Callable[..., None]
LEDGER = Path("agents") / "port_allocations.json"


def place_of(common_dir: Path) -> dict[str, Any]:
    document = json.loads(record_file(common_dir).read_text())
    assert isinstance(document, dict)
    return document


def forget_place(common_dir: Path) -> None:
    """Take the record away, as if an earlier version had made the ledger."""
    record_file(common_dir).unlink()


def ledgers(root: Path) -> list[Path]:
    return sorted(root.rglob("port_allocations.json"))


def separate(root: Path) -> Adw:
    """Return a repository whose git directory lies elsewhere."""
    git("init", "--quiet", "--initial-branch=main", "--separate-git-dir", str(root / "store"),
        str(root / "app"), cwd=root)  # fmt: skip
    git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=root / "app")
    return Adw(root / "app")


# ---- what is recorded --------------------------------------------------------------------------


def test_the_place_is_recorded_with_the_first_lease(adw: Adw) -> None:
    common_dir = adw.directory / ".git"
    adw("list")
    adw("status")
    assert not record_file(common_dir).exists()
    adw("reserve", "r")
    assert place_of(common_dir) == {
        "schema_version": 1,
        "main": "..",
        "main_leads_back": True,
        "ledger": "agents/port_allocations.json",
        "ledger_in": "main",
        "inode": common_dir.stat().st_ino,
    }
    before = record_file(common_dir).stat()
    adw("create", "a")
    assert record_file(common_dir).stat() == before


def test_the_place_of_a_bare_repository_is_recorded(repo: Path) -> None:
    bare = repo.parent / "bare.git"
    git("clone", "--quiet", "--bare", str(repo), str(bare), cwd=repo)
    Adw(bare)("reserve", "r")
    found = place_of(bare)
    assert (found["main"], found["ledger_in"]) == (None, "git")
    assert found["ledger"] == "adw-worktree/port_allocations.json"


# ---- what others change ------------------------------------------------------------------------


def test_core_bare_that_is_set_for_a_while_makes_no_second_ledger(adw: Adw) -> None:
    adw("create", "a")
    git("config", "core.bare", "true", cwd=adw.directory)
    for where in (adw.directory / "trees" / "a", adw.directory, adw.directory / ".git"):
        assert slots(Adw(where)) == {"a": 0}
    adw("create", "b", cwd=adw.directory / "trees" / "a")
    git("config", "core.bare", "false", cwd=adw.directory)
    adw("create", "c")
    assert slots(adw) == {"a": 0, "b": 1, "c": 2}
    assert (adw.directory / "trees" / "b").is_dir()
    assert ledgers(adw.directory) == [adw.directory / LEDGER]


def test_doctor_names_a_core_bare_that_hides_the_main_worktree(adw: Adw) -> None:
    adw("create", "a")
    git("config", "core.bare", "true", cwd=adw.directory)
    [problem] = adw.json("doctor", code=10)["problems"]
    assert problem["code"] == "main-worktree-hidden"
    subprocess.run(["sh", "-c", problem["fix"]], check=True)
    assert adw.json("doctor")["problems"] == []
    assert git("status", "--porcelain", cwd=adw.directory) == ""


def test_a_setting_of_another_branch_makes_no_second_ledger(adw: Adw) -> None:
    git("branch", "old", cwd=adw.directory)
    (adw.directory / "adw-worktree.toml").write_text('ledger = "var/ports.json"\n')
    git("add", ".", cwd=adw.directory)
    git("commit", "--quiet", "-m", "setting", cwd=adw.directory)
    adw("reserve", "nightly")
    git("switch", "--quiet", "old", cwd=adw.directory)
    ran = adw("create", "b")
    assert "ledger" not in ran.stderr
    assert slots(adw) == {"nightly": 0, "b": 1}
    assert not (adw.directory / LEDGER).exists()


def test_a_setting_that_is_not_heeded_is_said_with_the_way_to_move_the_ledger(adw: Adw) -> None:
    adw("create", "a")
    adw("reserve", "r")
    wanted = adw.directory / "var" / "ports.json"
    (adw.directory / "adw-worktree.toml").write_text('ledger = "var/ports.json"\n')
    note = adw("list").stderr
    assert f"the setting ledger wants {wanted}, but the ledger of this repository is " in note
    [problem] = adw.json("doctor", code=10)["problems"]
    assert problem["code"] == "ledger-elsewhere"
    assert problem["fix"] in note
    assert slots(adw) == {"a": 0, "r": 1}
    subprocess.run(["sh", "-c", problem["fix"]], check=True)
    assert slots(adw) == {"a": 0, "r": 1}
    ran = adw("create", "b")
    assert ran.stderr == ""
    assert slots(adw) == {"a": 0, "r": 1, "b": 2}
    assert place_of(adw.directory / ".git")["ledger"] == "var/ports.json"
    assert not (adw.directory / LEDGER).exists()


def test_a_variable_makes_no_second_ledger(adw: Adw) -> None:
    adw("reserve", "r")
    assert adw.json("reserve", "s", ADW_LEDGER="other.json")["slot"] == 1
    assert not (adw.directory / "other.json").exists()


def test_config_worktree_makes_no_second_ledger(repo: Path) -> None:
    """`git sparse-checkout` in a worktree of a bare repository moves `core.bare` to a file of the
    main worktree's, where git finds it from the repository, and from no other worktree."""
    bare = repo.parent / "project" / ".git"
    git("clone", "--quiet", "--bare", str(repo), str(bare), cwd=repo)
    adw = Adw(bare)
    tree = Path(adw.json("create", "a")["path"])
    git("sparse-checkout", "set", "x", cwd=tree)
    assert "bare = true" in (bare / "config.worktree").read_text()
    record_file(bare).unlink()
    for where in (tree, bare):
        assert slots(Adw(where)) == {"a": 0}
        assert open_project(where).repo.main is None
    adw("create", "b", cwd=tree)
    assert slots(adw) == {"a": 0, "b": 1}
    assert len(ledgers(repo.parent / "project")) == 1


def test_core_worktree_that_is_taken_back_makes_no_second_ledger(adw: Adw, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    git("config", "core.worktree", str(files), cwd=adw.directory)
    adw("reserve", "r")
    assert (files / LEDGER).exists()
    git("config", "--unset", "core.worktree", cwd=adw.directory)
    adw("reserve", "s")
    assert slots(adw) == {"r": 0, "s": 1}
    assert ledgers(tmp_path) == [files / LEDGER]


def test_a_bare_repository_that_gets_a_main_worktree_keeps_its_ledger(repo: Path) -> None:
    bare = repo.parent / "project" / ".git"
    git("clone", "--quiet", "--bare", str(repo), str(bare), cwd=repo)
    Adw(bare)("reserve", "r")
    git("config", "core.bare", "false", cwd=bare)
    main = Adw(bare.parent)
    main("create", "a")
    assert slots(main) == {"r": 0, "a": 1}
    assert place_of(bare)["main"] == ".."
    assert (bare.parent / "trees" / "a").is_dir()
    assert not (bare.parent / "agents").exists()


# ---- where one stands --------------------------------------------------------------------------


def test_a_git_directory_kept_elsewhere_has_one_ledger_from_everywhere(tmp_path: Path) -> None:
    adw = separate(tmp_path)
    adw("create", "a")
    far = tmp_path / "far"
    adw("create", "b", "--path", str(far), cwd=adw.directory / "trees" / "a")
    for where in (far, tmp_path / "store"):
        adw("create", f"c-{where.name}", cwd=where)
    assert sorted(slots(adw).values()) == [0, 1, 2, 3]
    assert ledgers(tmp_path) == [adw.directory / LEDGER]
    assert (adw.directory / "trees" / "c-far").is_dir()
    assert git("status", "--porcelain", cwd=adw.directory) == ""


def test_list_and_finish_know_the_main_worktree_of_a_git_directory_kept_elsewhere(
    tmp_path: Path,
) -> None:
    """Git names the git directory itself, where there are no files."""
    adw = separate(tmp_path)
    tree = Path(adw.json("create", "a")["path"])
    [main] = [one for one in adw.json("list")["worktrees"] if one["main"]]
    assert main["path"] == str(adw.directory)
    (tree / "new").write_text("new\n")
    git("add", ".", cwd=tree)
    git("commit", "--quiet", "-m", "new", cwd=tree)
    adw("finish", "a")
    assert (adw.directory / "new").read_text() == "new\n"
    assert git("status", "--porcelain", cwd=adw.directory) == ""


def test_a_main_worktree_that_moved_away_from_its_git_directory_is_found_again(
    tmp_path: Path,
) -> None:
    adw = separate(tmp_path)
    adw("reserve", "r")
    moved = Adw(adw.directory.rename(tmp_path / "moved"))
    assert slots(moved) == {"r": 0}
    moved("reserve", "s")
    assert place_of(tmp_path / "store")["main"] == "../moved"
    assert Adw(tmp_path / "store").json("status")["allocated"] == 2


def test_a_ledger_out_of_sight_is_an_error_not_a_second_ledger(tmp_path: Path) -> None:
    adw = separate(tmp_path)
    tree = Path(adw.json("create", "a", "--path", str(tmp_path / "a"))["path"])
    hidden = adw.directory.rename(tmp_path / "hidden")
    error = adw.json("create", "b", cwd=tree, code=3)["error"]
    assert str(adw.directory) in error["message"]
    hidden.rename(adw.directory)
    assert slots(adw) == {"a": 0}
    shutil.rmtree(adw.directory)
    hint = adw.json("create", "b", cwd=tree, code=3)["error"]["hint"]
    subprocess.run(["sh", "-c", hint.rpartition(": ")[2]], check=True)
    assert adw.json("create", "b", cwd=tree)["slot"] == 1
    assert slots(Adw(tree)) == {"a": 0, "b": 1}


@pytest.mark.parametrize("place", [".git.nosync", "../store", "../elsewhere/.git"])
def test_a_link_in_place_of_the_git_directory_is_no_bare_repository(adw: Adw, place: str) -> None:
    common_dir = adw.directory / place
    common_dir.parent.mkdir(exist_ok=True)
    (adw.directory / ".git").rename(common_dir)
    (adw.directory / ".git").symlink_to(place)
    with (common_dir / "info" / "exclude").open("a") as exclude:
        exclude.write("/.git.nosync\n")
    tree = Path(adw.json("create", "a")["path"])
    assert tree == adw.directory / "trees" / "a"
    adw("create", "b", cwd=tree)
    assert slots(adw) == {"a": 0, "b": 1}
    assert git("status", "--porcelain", cwd=adw.directory) == ""
    assert ledgers(adw.directory.parent) == [adw.directory / LEDGER]


def test_a_link_to_the_repository_leads_to_the_same_ledger(adw: Adw, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(adw.directory)
    linked = Adw(tmp_path / "link")
    assert linked.json("create", "a")["path"] == str(adw.directory / "trees" / "a")
    linked("create", "b", cwd=tmp_path / "link" / "trees" / "a")
    assert slots(adw) == slots(linked) == {"a": 0, "b": 1}


# ---- moved, copied, converted ------------------------------------------------------------------


def test_the_record_moves_with_the_repository(adw: Adw, tmp_path: Path) -> None:
    """Nor does it lead to the new repository at the old place."""
    adw("create", "a")
    adw("reserve", "r")
    far = tmp_path / "far"
    far.mkdir()
    moved = Adw(adw.directory.rename(far / "away"))
    new = Adw(make_repo(adw.directory))
    new("reserve", "n")
    assert slots(moved) == {"a": 0, "r": 1}
    moved("reserve", "s")
    assert slots(moved) == {"a": 0, "r": 1, "s": 3}
    assert slots(new) == {"n": 2}


@pytest.mark.parametrize("recorded", [True, False])
def test_a_copy_works_on_its_own_ledger(adw: Adw, tmp_path: Path, recorded: bool) -> None:
    adw("create", "a")
    adw("reserve", "r")
    if not recorded:
        forget_place(adw.directory / ".git")
    subprocess.run(["cp", "-a", str(adw.directory), str(tmp_path / "copy")], check=True)
    copy = Adw(tmp_path / "copy")
    assert copy.json("reserve", "c")["slot"] == 2
    assert slots(adw) == {"a": 0, "r": 1}
    assert slots(copy) == {"c": 2}
    assert open_project(copy.directory).pool.ledger.path == copy.directory / LEDGER


def test_a_copied_git_directory_does_not_lead_to_the_ledger_of_the_original(
    tmp_path: Path,
) -> None:
    adw = separate(tmp_path)
    adw("reserve", "r")
    subprocess.run(["cp", "-a", str(tmp_path / "store"), str(tmp_path / "copy")], check=True)
    copy = Adw(tmp_path / "copy")
    assert copy.json("reserve", "c")["slot"] == 1
    assert slots(adw) == {"r": 0}


def test_a_repository_that_is_made_bare_has_its_ledger_inside(adw: Adw) -> None:
    tree = Path(adw.json("create", "a", "--path", str(adw.directory.parent / "a"))["path"])
    bare = (adw.directory / ".git").rename(adw.directory.with_name("made.git"))
    shutil.rmtree(adw.directory)
    git("config", "core.bare", "true", cwd=bare)
    git("worktree", "repair", str(tree), cwd=bare)
    assert Adw(bare).json("create", "b")["slot"] == 1
    assert slots(Adw(tree)) == {"a": 0, "b": 1}
    assert ledgers(adw.directory.parent) == [bare / "adw-worktree" / "port_allocations.json"]


# ---- from an earlier version -------------------------------------------------------------------


def test_the_ledger_of_an_earlier_version_stays_where_it_is(adw: Adw) -> None:
    """The branch that is checked out now says nothing of it, and `core.bare` hides where it is."""
    adw("create", "a", ADW_LEDGER="var/ports.json")
    adw("reserve", "r")
    forget_place(adw.directory / ".git")
    git("config", "core.bare", "true", cwd=adw.directory)
    for where in (adw.directory, adw.directory / "trees" / "a"):
        assert slots(Adw(where)) == {"a": 0, "r": 1}
    adw("create", "b")
    assert place_of(adw.directory / ".git")["ledger"] == "var/ports.json"
    git("config", "core.bare", "false", cwd=adw.directory)
    assert slots(adw) == {"a": 0, "r": 1, "b": 2}
    assert ledgers(adw.directory) == []


def test_of_two_ledgers_the_one_that_the_registry_knows_wins_and_receipts_tell_of_the_other(
    adw: Adw,
) -> None:
    """Earlier versions could make two, and hand out a slot in each."""
    adw("create", "a")
    forget_place(adw.directory / ".git")
    other = adw.directory / ".git" / "adw-worktree" / "port_allocations.json"
    (adw.directory / LEDGER).rename(other)
    (adw.directory / LEDGER).write_text('{"_schema": {"version": 1}}')
    for entry in (state_of(adw) / "ledgers").iterdir():
        document = json.loads(entry.read_text())
        document["leases"].pop("a")
        entry.write_text(json.dumps(document))
    assert adw.json("create", "b")["slot"] == 1
    assert slots(adw) == {"a": 0, "b": 1}
    assert place_of(adw.directory / ".git")["ledger_in"] == "main"


def test_a_ledger_inside_git_is_found_after_the_state_directory_was_lost(adw: Adw) -> None:
    """Where `.git` was a link, an earlier version made it there."""
    adw("reserve", "r")
    forget_place(adw.directory / ".git")
    inside = adw.directory / ".git" / "adw-worktree" / "port_allocations.json"
    (adw.directory / LEDGER).rename(inside)
    shutil.rmtree(state_of(adw))
    assert slots(adw) == {"r": 0}
    adw("reserve", "s")
    assert ledgers(adw.directory) == [inside]


# ---- a record that is not one ------------------------------------------------------------------


DAMAGE: dict[str, bytes | dict[str, object]] = {
    "empty": b"",
    "truncated": b'{"schema_version": 1, "ma',
    "binary": bytes(range(256)),
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "no version": {"schema_version": None},
    "a version that is none": {"schema_version": True},
    "absolute": {"ledger": "/etc/ports.json"},
    "up": {"ledger": "../../ports.json"},
    "up from git": {"ledger": "adw-worktree/../../x", "ledger_in": "git"},
    "git's own": {"ledger": "config", "ledger_in": "git"},
    "in .git": {"ledger": ".git/config"},
    "in .GIT": {"ledger": ".GIT/config"},
    "no text": {"ledger": 7},
    "nowhere": {"ledger_in": "home"},
    "main is a number": {"main": 7},
    "main is empty": {"main": ""},
    "a NUL": {"main": "a\0b"},
    "half a character": {"main": "\udfff"},
    "an inode that is none": {"inode": "x"},
    "neither yes nor no": {"main_leads_back": 1},
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_set_aside_and_made_anew(adw: Adw, kind: str) -> None:
    adw("create", "a")
    adw("reserve", "r")
    file = record_file(adw.directory / ".git")
    right, damage = file.read_bytes(), DAMAGE[kind]
    if isinstance(damage, dict):
        damage = json.dumps({**json.loads(right), **damage}).encode()
    file.write_bytes(damage)
    ran = adw("status", "--json")
    assert {key: one["slot"] for key, one in ran.json["allocations"].items()} == {"a": 0, "r": 1}
    assert f"the record {file} was damaged" in ran.stderr
    assert file.read_bytes() == damage
    assert adw.json("create", "b")["slot"] == 2
    assert file.read_bytes() == right
    [aside] = file.parent.glob("place.json.corrupt-*")
    assert aside.read_bytes() == damage
    assert adw("status").stderr == ""


def test_a_record_that_names_another_place_leads_to_no_file_of_others(
    adw: Adw, tmp_path: Path
) -> None:
    """A main worktree is one only if it leads back."""
    adw("create", "a")
    other = make_repo(tmp_path / "other")
    file = record_file(adw.directory / ".git")
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "main": str(other)}))
    adw("create", "b")
    assert slots(adw) == {"a": 0, "b": 1}
    assert not (other / "agents").exists()
    assert place_of(adw.directory / ".git") == document


def test_a_record_of_a_later_version_is_left_alone(adw: Adw) -> None:
    adw("create", "a")
    file = record_file(adw.directory / ".git")
    file.write_text('{"schema_version": 2, "new": "shape"}')
    for command in (["list"], ["create", "b"], ["status"], ["doctor"]):
        error = adw.json(*command, code=3)["error"]
        assert error["code"] == "ledger-too-new"
        assert str(file) in error["message"]
    assert file.read_text() == '{"schema_version": 2, "new": "shape"}'


@pytest.mark.parametrize("kind", ["pipe", "directory", "unreadable"])
def test_a_record_that_cannot_be_read_is_a_clear_error(adw: Adw, kind: str) -> None:
    adw("create", "a")
    file = record_file(adw.directory / ".git")
    text = file.read_bytes()
    held = obeying(adw) if kind == "unreadable" else adw
    if kind == "unreadable":
        file.chmod(0)
    else:
        file.unlink()
        os.mkfifo(file) if kind == "pipe" else file.mkdir()
    error = held.json("create", "b", code=3)["error"]
    assert error["code"] == "ledger"
    assert str(file) in error["message"]
    if kind == "unreadable":
        file.chmod(0o644)
    else:
        file.unlink() if kind == "pipe" else file.rmdir()
        file.write_bytes(text)
    assert slots(adw) == {"a": 0}


# ---- where nothing can be written, and many at once ---------------------------------------------


@pytest.mark.parametrize("known", [False, True])
def test_where_it_cannot_be_recorded_no_slot_is_handed_out(adw: Adw, known: bool) -> None:
    """There might be two ledgers from then on."""
    adw("create", "a") if known else adw("list")
    held, tools = obeying(adw), adw.directory / ".git" / "adw-worktree"
    if known:
        forget_place(adw.directory / ".git")
    before = slots(adw)
    tools.chmod(0o500)
    try:
        error = held.json("reserve", "r", code=3)["error"]
        assert str(tools) in error["message"] + error["hint"]
        assert slots(held) == before
    finally:
        tools.chmod(0o700)
    assert slots(adw) == before
    adw("reserve", "r")


def test_many_at_once_make_one_record_and_one_ledger(tmp_path: Path, tally: Tally) -> None:
    """From everywhere, in a repository that has neither, while other tools turn its settings."""
    number = stress_size(16, 200)
    adw = separate(tmp_path)
    places = [adw.directory, tmp_path / "store"]
    for name in ("in", "out"):
        path = adw.directory / "trees" / name if name == "in" else tmp_path / name
        git("worktree", "add", "--quiet", str(path), cwd=adw.directory)
        places.append(path)
    wishes: list[dict[str, Any]] = [
        {},
        {"ADW_LEDGER": "one.json"},
        {"ADW_LEDGER": "other/two.json"},
    ]
    started = []
    for turn in range(number):
        if turn % 8 == 3:
            bare = "true" if turn % 16 == 3 else "false"
            git("config", "core.bare", bare, cwd=tmp_path / "store")
        words = ("-C", str(places[turn % len(places)]), "reserve", f"r{turn % 90}")
        started.append(adw.start(*words, **wishes[turn % len(wishes)]))
    for process in started:
        out, err = process.communicate(timeout=600)
        tally("failures", int(process.returncode != 0))
        assert process.returncode == 0, out + err
    git("config", "core.bare", "false", cwd=tmp_path / "store")
    found = list(slots(adw).values())
    tally("doubled slots", len(found) - len(set(found)))
    assert len(found) == len(set(found)) == min(number, 90)
    files = [*ledgers(tmp_path), *tmp_path.rglob("one.json"), *tmp_path.rglob("two.json")]
    assert len(files) == 1
    assert not [*record_file(tmp_path / "store").parent.glob("*corrupt*")]


def test_a_pool_kept_in_memory_works_on_the_ledger_that_another_process_recorded(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(adw.directory)
    pool = PortPool()
    adw("reserve", "r", ADW_LEDGER="other.json")
    ports = pool.reserve("s")
    assert pool.get_allocation("s") == ports
    assert slots(adw) == {"r": 0, "s": 1}
    assert not (adw.directory / LEDGER).exists()

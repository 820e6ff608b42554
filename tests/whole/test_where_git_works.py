"""Where git works, adw-worktree does: settings, repositories and locales that are not like ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import branches, git, make_repo, worktrees

GIT_VERSION = tuple(map(int, re.findall(r"\d+", git("version", cwd=Path("/")))[:2]))


def needs_git(*version: int) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        version > GIT_VERSION, reason=f"git {'.'.join(map(str, version))} or later"
    )


@pytest.fixture
def settings(sealed_env: Path) -> Path:
    """Return the directory in which git finds settings for the whole machine."""
    git("config", "--global", "protocol.file.allow", "always", cwd=sealed_env)
    return sealed_env


def set_globally(settings: Path, key: str, value: str) -> None:
    git("config", "--global", key, value, cwd=settings)


def work(tree: Path, name: str = "work") -> None:
    (tree / name).write_text("work\n")
    git("add", name, cwd=tree)
    git("commit", "--quiet", "-m", name, cwd=tree)


def a_whole_life(adw: Adw, home: Path | None = None) -> None:
    """Make a worktree, work in it, remove, restore and rename it, merge it, and leave nothing."""
    home = home or adw.directory
    before = branches(home)
    first = adw.json("create", "a")
    tree = Path(first["path"])
    assert first["branch"] == "a"
    assert adw.json("create", "a")["created"] is False
    work(tree)
    (tree / "left").write_text("left\n")
    assert git("status", "--porcelain", cwd=tree) == "?? left\n"
    assert [one["state"] for one in adw.json("list")["worktrees"] if one["adw_id"]] == ["active"]
    assert adw.json("status")["allocated"] == 1
    assert adw.json("remove", "a", code=7)["error"]["code"] == "dirty-worktree"
    adw("remove", "a", "--force")
    assert not tree.exists()
    back = adw.json("restore", "a")
    assert back["slot"] == first["slot"] and back["branch"] == "a"
    assert git("status", "--porcelain", "--branch", cwd=tree) == "## a\n?? left\n"
    (tree / "left").unlink()
    renamed = adw.json("rename", "a", "b")
    assert renamed["branch"] == "b"
    assert git("log", "--format=%s", "-1", "b", cwd=home) == "work\n"
    adw("create", "into", "--from", "main")
    done = adw.json("finish", "b", "--into", "into")
    assert done["removed"]["removed"] is True
    assert git("log", "--format=%s", "-1", "into", cwd=home) == "work\n"
    adw("remove", "into", "-D")
    assert branches(home) == before
    assert adw.json("status")["allocated"] == 0
    assert adw.json("reconcile", "--check")["ok"] is True
    assert [one for one in worktrees(home) if "/spares/" not in one] == [str(home)]


# ---- bare repositories that are not to be found -------------------------------------------------


@pytest.fixture
def bare(repo: Path, settings: Path) -> Path:
    git("clone", "--quiet", "--bare", ".", "../b.git", cwd=repo)
    git("worktree", "add", "--quiet", "-b", "here", "../w", cwd=repo.parent / "b.git")
    set_globally(settings, "safe.bareRepository", "explicit")
    return repo.parent / "b.git"


@needs_git(2, 38)
def test_worktree_of_a_bare_repository_that_git_may_not_find_by_itself(bare: Path) -> None:
    """git works in the worktree, which names the repository; a create that began there could
    neither go on nor be undone."""
    adw = Adw(bare.parent / "w")
    assert adw.json("create", "a")["created"] is True
    work(Path(adw("path", "a").stdout.rstrip()))
    assert len([one for one in adw.json("list")["worktrees"] if one["adw_id"]]) == 1
    assert adw.json("doctor", code=None)["ok"] is True
    assert adw.json("finish", "a", "--into", "main")["removed"]["removed"] is True
    assert adw.json("status")["allocated"] == 0
    pending = (bare / "adw-worktree" / "port_allocations.json").read_text()
    assert "pending" not in pending


@needs_git(2, 38)
def test_bare_repository_is_refused_where_git_refuses_it(bare: Path) -> None:
    failed = Adw(bare).json("list", code=4)["error"]
    assert "safe.bareRepository" in failed["message"]


@needs_git(2, 38)
def test_bare_repository_that_is_known_is_reconciled_from_another(bare: Path, adw: Adw) -> None:
    Adw(bare.parent / "w")("create", "a")
    assert [one["adw_id"] for one in adw.json("list", "--all")["worktrees"] if one["adw_id"]] == [
        "a"
    ]
    subprocess.run(["rm", "-rf", str(bare.parent / "b.trees")], check=True)
    released = adw.json("reconcile", "--all")
    assert adw.json("status")["allocated"] == 0 and released["ok"] is True


# ---- submodules ---------------------------------------------------------------------------------


@pytest.fixture
def with_submodule(adw: Adw, settings: Path) -> Adw:
    part = make_repo(adw.directory.parent / "part")
    git("submodule", "--quiet", "add", str(part), "lib", cwd=adw.directory)
    git("commit", "--quiet", "-m", "with a part", cwd=adw.directory)
    return adw


@pytest.mark.parametrize("where", ["--local", "--global"])
def test_submodules_that_are_recursed_into(with_submodule: Adw, where: str) -> None:
    """git itself makes a worktree without them."""
    git("config", where, "submodule.recurse", "true", cwd=with_submodule.directory)
    tree = Path(with_submodule.json("create", "a")["path"])
    assert (tree / "lib" / "README").read_text() == "hello\n"
    assert git("status", "--porcelain", cwd=tree) == ""
    work(tree)
    assert with_submodule.json("finish", "a")["removed"]["removed"] is True


def test_spares_where_submodules_are_recursed_into(
    with_submodule: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("config", "submodule.recurse", "true", cwd=with_submodule.directory)
    monkeypatch.setenv("ADW_SPARES", "1")
    monkeypatch.setenv("ADW_SUBMODULES", "false")
    assert with_submodule.json("spares", "fill", "--wait")["made"] == 1
    git("commit", "--quiet", "--allow-empty", "-m", "later", cwd=with_submodule.directory)
    assert with_submodule.json("create", "a", "--from", "HEAD~1")["created"] is True
    assert with_submodule.json("create", "b")["created"] is True


# ---- locales ------------------------------------------------------------------------------------


@pytest.fixture(params=["ISO-8859-1", "ASCII"])
def locale(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a locale in which names of files are not UTF-8, for this test."""
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    monkeypatch.setenv("LC_ALL", "C")
    if request.param != "ASCII":
        place = tmp_path / "locales" / "en_US.ISO-8859-1"
        place.parent.mkdir()
        make = ["localedef", "-i", "en_US", "-f", request.param, str(place)]
        try:
            subprocess.run(make, capture_output=True)
        except FileNotFoundError:
            pytest.skip("no localedef here")
        if not place.is_dir():
            pytest.skip("no locale can be made here")
        monkeypatch.setenv("LOCPATH", str(place.parent))
        monkeypatch.setenv("LC_ALL", place.name)
    look = "import sys; print(sys.getfilesystemencoding())"
    asked = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert asked.stdout.rstrip() in ("iso8859-1", "ascii")
    return str(request.param)


@pytest.mark.thorough
def test_names_of_files_are_bytes_in_every_locale(tmp_path: Path, locale: str) -> None:
    home = make_repo(tmp_path / "\xfcml \u66f8")
    adw = Adw(home)
    a_whole_life(adw)
    made = adw.json("create", "c", "--branch", "\xe4st")
    assert made["path"] == str(home / "trees" / "c")
    assert os.fsencode(adw("path", "c").stdout.rstrip("\n")) == os.fsencode(made["path"])
    assert made["branch"] == "\xe4st" and "\xe4st" in branches(home)


@pytest.mark.thorough
def test_every_locale_finds_what_another_made(
    tmp_path: Path, locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that is written in one and read in another is that of no file: its worktree is gone,
    and its slot another's."""
    home = make_repo(tmp_path / "\xfcml")
    adw = Adw(home)
    here = adw.json("create", "a")
    odd = {name: os.environ[name] for name in ("LC_ALL", "PYTHONUTF8")}
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("PYTHONUTF8", "1")
    there = adw.json("create", "b")
    for variables in (odd, {}):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert adw.json("create", "a")["path"] == here["path"]
        assert adw.json("create", "b")["path"] == there["path"]
        assert adw.json("reconcile")["released"] == []


@pytest.mark.thorough
def test_pool_of_a_program_in_another_locale_keeps_slots(tmp_path: Path, locale: str) -> None:
    """Programs are not begun again in Python's UTF-8 mode."""
    home = make_repo(tmp_path / "\xfcml")
    other = make_repo(tmp_path / "\xfcber")
    slots = {Adw(home).json("create", "a")["slot"], Adw(other).json("create", "a")["slot"]}
    reserve = (
        "from adw_worktree import PortPool; pool = PortPool(); pool.cleanup_stale(); "
        "pool.reserve('p'); print(pool.get_pool_status()['allocated'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", reserve], cwd=home, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "3\n"
    held = Adw(home).json("status")
    assert held["allocated"] == 3 and len(held["elsewhere"]) == 1
    slots.add(Adw(home).json("reserve", "p")["slot"])
    assert len(slots) == 3


# ---- relative paths, reftable, a daemon ---------------------------------------------------------


@needs_git(2, 48)
@pytest.mark.parametrize("count", ["0", "1"], ids=["without spares", "with spares"])
def test_worktrees_with_relative_paths_stay_relative(
    adw: Adw, settings: Path, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    """So that repository and worktrees can be moved, or mounted elsewhere, together."""
    set_globally(settings, "worktree.useRelativePaths", "true")
    monkeypatch.setenv("ADW_SPARES", count)
    if count == "1":
        adw("spares", "fill", "--wait")
    tree = Path(adw.json("create", "a")["path"])
    monkeypatch.setenv("ADW_SPARES", "0")

    def require_relative() -> None:
        assert (tree / ".git").read_text().startswith("gitdir: ../")
        admin = Path(git("rev-parse", "--absolute-git-dir", cwd=tree).rstrip("\n"))
        assert (admin / "gitdir").read_text().startswith("../")
        assert git("rev-parse", "--show-toplevel", cwd=tree) == f"{tree}\n"

    require_relative()
    (tree / "left").write_text("left\n")
    adw("remove", "a", "--force")
    adw("restore", "a")
    require_relative()
    (tree / "left").unlink()
    adw("rename", "a", "b")
    tree = tree.with_name("b")
    require_relative()
    moved = adw.directory.rename(adw.directory.parent / "moved")
    assert git("status", "--porcelain", cwd=moved / "trees" / "b") == ""
    adw = Adw(moved)
    assert adw.json("remove", "b", "-d")["branch_deleted"] == "b"


@needs_git(2, 48)
def test_spare_with_relative_paths_whose_creator_dies_is_undone(
    adw: Adw, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its moves, git must find what is there, or nothing could be undone."""
    set_globally(settings, "worktree.useRelativePaths", "true")
    monkeypatch.setenv("ADW_SPARES", "1")
    for point in ("spare.claimed", "spare.placed", "spare.unlocked", "spare.attached"):
        adw("spares", "fill", "--wait")
        adw("create", "a", code=-9, ADW_FAULT=f"{point}=kill")
        adw("list")
        adw("spares", "drop")
        assert worktrees(adw.directory) == [str(adw.directory)], point
        assert branches(adw.directory) == {"main"}
    adw("spares", "fill", "--wait")
    assert adw.json("create", "a")["created"] is True


@pytest.fixture
def reftable(tmp_path: Path) -> Adw:
    home = tmp_path / "reftable"
    git(
        "init", "--quiet", "--ref-format=reftable", "--initial-branch=main", str(home), cwd=tmp_path
    )
    git("commit", "--quiet", "--allow-empty", "-m", "first", cwd=home)
    return Adw(home)


@needs_git(2, 45)
@pytest.mark.parametrize("count", ["0", "1"], ids=["without spares", "with spares"])
def test_whole_life_with_reftable(
    reftable: Adw, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    """HEAD, branches and their logs are no files there."""
    monkeypatch.setenv("ADW_SPARES", count)
    a_whole_life(reftable)


@needs_git(2, 45)
def test_branches_with_reftable_are_seen(reftable: Adw) -> None:
    home = reftable.directory
    reftable("create", "only-made")
    tree = Path(reftable.json("create", "worked-on")["path"])
    assert (
        "checked out"
        in reftable.json("create", "x", "--branch", "main", code=4)["error"]["message"]
    )
    taken = reftable.json("create", "y", "--branch", "worked-on", code=4)["error"]
    assert "already has a worktree" in taken["message"]
    git("commit", "--quiet", "--allow-empty", "-m", "work", cwd=tree)
    git("merge", "--quiet", "worked-on", cwd=home)
    gone = reftable.json("remove", "--merged", "-d", "--yes")["removals"]
    assert [one["adw_id"] for one in gone] == ["worked-on"]
    assert branches(home) == {"main", "only-made"}
    git("clone", "--quiet", "--ref-format=reftable", ".", "../clone", cwd=home)
    clone = Adw(home.parent / "clone")
    clone("create", "only-made")
    tracked = git("rev-parse", "--abbrev-ref", "only-made@{upstream}", cwd=clone.directory)
    assert tracked == "origin/only-made\n"
    assert reftable.json("doctor", code=None)["ok"] is True


@needs_git(2, 45)
def test_worktree_with_reftable_comes_back_detached_if_its_branch_moved_on(reftable: Adw) -> None:
    home = reftable.directory
    tree = Path(reftable.json("create", "a")["path"])
    (tree / "left").write_text("left\n")
    at = git("rev-parse", "HEAD", cwd=tree)
    reftable("remove", "a", "--force")
    git("worktree", "add", "--quiet", "../other", "a", cwd=home)
    git("commit", "--quiet", "--allow-empty", "-m", "on", cwd=home.parent / "other")
    assert "branch a has another worktree" in reftable("restore", "a").stderr
    assert git("status", "--porcelain", "--branch", cwd=tree) == "## HEAD (no branch)\n?? left\n"
    assert git("rev-parse", "HEAD", cwd=tree) == at
    work(tree)
    lost = git("rev-parse", "HEAD", cwd=tree).strip()
    refused = reftable.json("remove", "a", "--force", code=7)["error"]
    assert lost[:12] in refused["message"]
    subprocess.run(["rm", "-rf", str(tree)], check=True)
    reftable("reconcile")
    git("cat-file", "-e", lost, cwd=home)
    kept = git("worktree", "list", "--porcelain", cwd=home)
    assert lost in kept  # the last name of a commit on no branch


@needs_git(2, 54)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for its socket")
def test_daemon_that_watches_a_worktree_ends_with_it(adw: Adw) -> None:
    git("config", "core.fsmonitor", "true", cwd=adw.directory)
    tree = Path(adw.json("create", "a")["path"])
    git("status", cwd=tree)
    asked = ["fsmonitor--daemon", "status"]
    if "is watching" not in git(*asked, cwd=tree, check=False):
        pytest.skip("git has no daemon here")
    socket = next((adw.directory / ".git" / "worktrees").iterdir()) / "fsmonitor--daemon.ipc"
    assert str(socket) in Path("/proc/net/unix").read_text()
    adw("remove", "a")
    assert "fsmonitor--daemon.ipc" not in Path("/proc/net/unix").read_text().replace(
        str(adw.directory / ".git" / "fsmonitor--daemon.ipc"), ""
    )
    git("fsmonitor--daemon", "stop", cwd=adw.directory, check=False)


# ---- sparse checkouts ---------------------------------------------------------------------------


@pytest.fixture
def wide(adw: Adw) -> Adw:
    """Return the command line of a repository with two directories."""
    for name in ("one", "two"):
        (adw.directory / name).mkdir()
        (adw.directory / name / "file").write_text("x\n")
    git("add", ".", cwd=adw.directory)
    git("commit", "--quiet", "-m", "directories", cwd=adw.directory)
    return adw


def directories(tree: Path) -> set[str]:
    assert git("status", "--porcelain", cwd=tree) == ""
    return {name for name in ("one", "two") if (tree / name).exists()}


def made(adw: Adw, adw_id: str, cwd: Path | None = None) -> set[str]:
    return directories(Path(adw.json("create", adw_id, cwd=cwd)["path"]))


@pytest.mark.parametrize("count", ["0", "1"], ids=["without spares", "with spares"])
def test_worktree_is_as_sparse_as_the_main_one(
    wide: Adw, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    """A spare that was made before the patterns changed has other files."""
    monkeypatch.setenv("ADW_SPARES", count)
    wanted = {"all": {"one", "two"}, "one": {"one"}, "two": {"two"}}
    for number, (name, files) in enumerate([*wanted.items(), *wanted.items()]):
        if count == "1":
            wide("spares", "fill", "--wait")
        how = ["disable"] if name == "all" else ["set", name]
        git("sparse-checkout", *how, cwd=wide.directory)
        assert made(wide, f"stale{number}") == files
        if count == "1":
            wide("spares", "fill", "--wait")
            assert all(one["fresh"] for one in wide.json("spares", "status")["spares"])
        assert made(wide, f"fresh{number}") == files


@pytest.mark.parametrize("count", ["0", "1"], ids=["without spares", "with spares"])
def test_worktree_is_as_sparse_as_the_one_that_it_is_made_from(
    wide: Adw, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    """As with `git worktree add`."""
    monkeypatch.setenv("ADW_SPARES", count)
    tree = Path(wide.json("create", "a")["path"])
    git("sparse-checkout", "set", "one", cwd=tree)
    if count == "1":
        wide("spares", "fill", "--wait")
    assert made(wide, "b", cwd=tree) == {"one"}
    assert made(wide, "c") == {"one", "two"}
    assert made(wide, "d", cwd=tree / "one") == {"one"}

"""A worktree that plain git made is taken in by name or path, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.pool.receipts import RECEIPT, load_receipt
from tests.support.command_line import Adw
from tests.support.repositories import git, make_repo


@pytest.fixture
def plain(adw: Adw, tmp_path: Path) -> Path:
    """Return a worktree of plain git's beside the repository, on the branch `feature/login`."""
    path = tmp_path / "app-login"
    git("worktree", "add", "--quiet", "-b", "feature/login", str(path), cwd=adw.directory)
    return path


def admin_of(adw: Adw, worktree: Path) -> Path:
    return adw.directory / ".git" / "worktrees" / worktree.name


def states(adw: Adw) -> dict[str, str]:
    found = adw.json("list")["worktrees"]
    return {Path(one["path"]).name: one["state"] for one in found if one["path"]}


def require_untouched(adw: Adw, worktree: Path) -> None:
    """Nothing of an adoption is left."""
    assert not (admin_of(adw, worktree) / RECEIPT).exists()
    assert adw.json("status")["allocations"] == {}
    assert states(adw)[worktree.name] == "unmanaged"


@pytest.mark.parametrize(
    ("words", "adw_id"),
    [
        (["../app-login"], "app-login"),
        (["app-login"], "app-login"),
        (["feature/login"], "app-login"),
        (["../app-login", "--as", "login"], "login"),
        (["feature/login", "--as", "login"], "login"),
    ],
)
def test_a_worktree_is_taken_in_by_path_directory_or_branch(
    adw: Adw, plain: Path, words: list[str], adw_id: str
) -> None:
    (plain / "work").write_text("theirs")
    before = git("status", "--porcelain", cwd=plain)
    done = adw.json("adopt", *words)
    assert {key: done[key] for key in ("adopted", "adw_id", "path", "branch", "slot")} == {
        "adopted": True,
        "adw_id": adw_id,
        "path": str(plain),
        "branch": "feature/login",
        "slot": 0,
    }
    receipt = load_receipt(admin_of(adw, plain))
    assert receipt is not None and (receipt.adw_id, receipt.slot) == (adw_id, 0)
    assert f"ADW_ID={adw_id}\n" in (plain / ".env.ports").read_text()
    assert git("status", "--porcelain", cwd=plain) == before
    assert adw.json("reconcile", "--check")["repaired"] == []
    assert adw("path", adw_id).stdout == f"{plain}\n"


def test_again_it_is_the_same(adw: Adw, plain: Path) -> None:
    first: dict[str, Any] = adw.json("adopt", "app-login", "--as", "login")
    for target in ("../app-login", "app-login", "feature/login", "login"):
        (plain / ".env.ports").unlink()
        assert adw.json("adopt", target) == {**first, "adopted": False}
        assert (plain / ".env.ports").exists()
    refused = adw.json("adopt", "../app-login", "--as", "other", code=2)["error"]
    assert refused["hint"] == "adw-worktree rename login other"


def test_the_current_worktree_is_taken_in(adw: Adw, plain: Path) -> None:
    (plain / "below").mkdir()
    assert adw.json("adopt", cwd=plain / "below")["adw_id"] == "app-login"


def test_an_adopted_worktree_is_removed_and_finished_as_any(adw: Adw, plain: Path) -> None:
    adw("adopt", "app-login")
    git("commit", "--quiet", "--allow-empty", "-m", "work", cwd=plain)
    adw("finish", "app-login")
    assert not plain.exists()


def test_a_reservation_of_that_id_gives_its_slot(adw: Adw, plain: Path) -> None:
    adw("reserve", "other")
    reserved = adw.json("reserve", "app-login")
    done = adw.json("adopt", "app-login")
    assert (reserved["slot"], done["slot"]) == (1, 1)
    assert list(adw.json("status")["allocations"]) == ["other", "app-login"]


def test_an_id_that_another_worktree_has_is_not_taken_from_it(adw: Adw, plain: Path) -> None:
    adw("create", "login")
    refused = adw.json("adopt", "app-login", "--as", "login", code=7)["error"]
    assert refused["code"] == "adw-id-taken"
    assert states(adw)["app-login"] == "unmanaged"
    assert not (admin_of(adw, plain) / RECEIPT).exists()


def test_a_directory_name_that_is_taken_gets_a_number(adw: Adw, plain: Path) -> None:
    adw("create", "app-login")
    assert adw.json("adopt", str(plain))["adw_id"] == "app-login-2"


def test_a_name_of_several_worktrees_is_not_guessed(adw: Adw, plain: Path, tmp_path: Path) -> None:
    other = tmp_path / "feature" / "app-login"
    git("worktree", "add", "--quiet", "--detach", str(other), cwd=adw.directory)
    error = adw.json("adopt", "app-login", code=2)["error"]
    assert str(plain) in error["message"] and str(other) in error["message"]


def test_the_slot_that_its_receipt_tells_of_is_kept(adw: Adw, plain: Path) -> None:
    adw("reserve", "other")
    adw("adopt", "app-login")
    (adw.directory / "agents" / "port_allocations.json").write_text('{"_schema": {"version": 1}}')
    adw("release", "other", code=None)
    assert adw.json("adopt", "app-login")["slot"] == 1


@pytest.mark.parametrize("target", [".", "nothing", "../elsewhere", "../other repo"])
def test_what_is_no_worktree_without_a_slot_is_refused(
    adw: Adw, plain: Path, tmp_path: Path, target: str
) -> None:
    make_repo(tmp_path / "other repo")
    adw("adopt", target, code=2 if target == "." else 6)
    require_untouched(adw, plain)


def test_a_directory_that_is_gone_is_said_to_be_gone(adw: Adw, plain: Path) -> None:
    shutil.rmtree(plain)
    assert states(adw)["app-login"] == "gone"
    error = adw.json("adopt", "app-login", code=7)["error"]
    assert error["hint"].startswith(f"git -C {adw.directory} worktree prune")


def test_a_persons_file_in_place_of_the_env_file_is_left(adw: Adw, plain: Path) -> None:
    """Taken in, its content would be lost."""
    (plain / ".env.ports").write_text("SECRET=1\n")
    adw("adopt", "app-login", code=7)
    assert (plain / ".env.ports").read_text() == "SECRET=1\n"
    require_untouched(adw, plain)
    adw("reconcile", ADW_ADOPT="1", code=None)
    assert (plain / ".env.ports").read_text() == "SECRET=1\n"
    require_untouched(adw, plain)


def test_an_env_file_that_git_tracks_is_left(adw: Adw, plain: Path) -> None:
    (plain / ".env.ports").write_text("A=1\n")
    git("add", "-f", ".env.ports", cwd=plain)
    git("commit", "--quiet", "-m", "env", cwd=plain)
    adw("adopt", "app-login", code=7)
    require_untouched(adw, plain)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_adoption_that_fails_leaves_nothing(adw: Adw, plain: Path) -> None:
    plain.chmod(0o500)
    try:
        adw("adopt", "app-login", code=3)
    finally:
        plain.chmod(0o755)
    require_untouched(adw, plain)


def test_an_adoption_whose_env_file_fails_leaves_nothing(adw: Adw, plain: Path) -> None:
    """The receipt and the lease are there by then; a reservation stays one."""
    (plain / ".env.ports").mkdir()
    (plain / ".env.ports" / "x").write_text("")
    reserved = adw.json("reserve", "login")
    adw("adopt", "app-login", "--as", "login", code=None)
    assert not (admin_of(adw, plain) / RECEIPT).exists()
    assert adw.json("reserve", "login") == {**reserved, "created": False}


def test_no_slot_left_leaves_nothing(adw: Adw, plain: Path) -> None:
    adw("reserve", "only", ADW_SLOTS="1")
    adw("adopt", "app-login", ADW_SLOTS="1", code=5)
    assert not (admin_of(adw, plain) / RECEIPT).exists()
    assert states(adw)["app-login"] == "unmanaged"


# ---- hints -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["create", "x", "--branch", "feature/login"], 4),
        (["create", "x", "--path", "../app-login"], 7),
        (["path", "app-login"], 6),
        (["run", "feature/login", "--", "true"], 6),
        (["finish", "app-login"], 6),
        (["rename", "app-login", "login"], 6),
    ],
)
def test_whoever_meets_a_worktree_without_a_slot_is_told_of_adopt(
    adw: Adw, plain: Path, words: list[str], code: int
) -> None:
    hint = adw(*words, code=code).stderr.rpartition("hint: ")[2]
    assert hint.startswith(f"adw-worktree adopt {plain}")


def test_inside_of_it_too(adw: Adw, plain: Path) -> None:
    hint = adw("env", cwd=plain, code=6).stderr.rpartition("hint: ")[2]
    assert hint.startswith(f"adw-worktree adopt {plain}")


def test_completion_offers_the_worktrees_without_a_slot(adw: Adw, plain: Path) -> None:
    adw("create", "a")
    assert adw("complete", "--", "adopt", "").stdout.split("\t")[0] == "app-login"

"""What git ignores on our behalf is ours, and what a person has is theirs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import git

BEGIN, END = "# >>> adw-worktree >>>", "# <<< adw-worktree <<<"


@pytest.fixture
def exclude(adw: Adw) -> Path:
    path = adw.directory / ".git" / "info" / "exclude"
    path.parent.mkdir(exist_ok=True)
    return path


def track(repo: Path, name: str) -> None:
    (repo / name).parent.mkdir(parents=True, exist_ok=True)
    (repo / name).write_text("theirs\n")
    git("add", "-f", name, cwd=repo)
    git("commit", "--quiet", "-m", name, cwd=repo)


def status(repo: Path) -> str:
    return git("status", "--porcelain", "--untracked-files=all", cwd=repo)


def lines_of_ours(exclude: Path) -> list[str]:
    text = exclude.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    return text.partition(f"{BEGIN}\n")[2].partition(END)[0].splitlines()


# ---- a directory of the project's own ----------------------------------------------------------


@pytest.mark.parametrize("tracked", [True, False])
def test_new_files_in_a_projects_own_trees_are_not_hidden(adw: Adw, tracked: bool) -> None:
    """They would be missing from commits, and nothing would say so."""
    repo = adw.directory
    if tracked:
        track(repo, "trees/oak.py")
    else:
        (repo / "trees").mkdir()
        (repo / "trees" / "oak.py").write_text("theirs\n")
    adw("create", "a")
    adw("create", "b")
    (repo / "trees" / "pine.py").write_text("theirs\n")
    shown = [] if tracked else ["?? trees/oak.py"]
    assert status(repo).splitlines() == [*shown, "?? trees/pine.py"]


def test_trees_that_come_with_a_later_commit_are_not_hidden(adw: Adw, exclude: Path) -> None:
    repo = adw.directory
    adw("create", "a")
    assert "/trees/" in lines_of_ours(exclude)
    track(repo, "trees/oak.py")
    adw("create", "b")
    (repo / "trees" / "pine.py").write_text("theirs\n")
    assert status(repo) == "?? trees/pine.py\n"


def test_trees_that_are_not_checked_out_are_the_projects_too(adw: Adw) -> None:
    repo = adw.directory
    track(repo, "trees/oak.py")
    git("sparse-checkout", "set", "--no-cone", "/*", "!/trees/", cwd=repo)
    assert not (repo / "trees").exists()
    adw("create", "a")
    (repo / "trees" / "pine.py").write_text("theirs\n")
    assert status(repo) == "?? trees/pine.py\n"


def test_a_stray_file_does_not_make_trees_the_projects(adw: Adw, exclude: Path) -> None:
    adw("create", "a")
    (adw.directory / "trees" / ".DS_Store").write_text("")
    adw("create", "b")
    assert "/trees/" in lines_of_ours(exclude)
    assert status(adw.directory) == ""


def test_worktrees_of_plain_git_do_not_make_trees_the_projects(adw: Adw, exclude: Path) -> None:
    git("worktree", "add", "--quiet", "-b", "x", "trees/x", cwd=adw.directory)
    adw("create", "a")
    assert "/trees/" in lines_of_ours(exclude)


def test_the_directory_around_a_chosen_path_is_not_hidden(adw: Adw) -> None:
    repo = adw.directory
    (repo / "packages").mkdir()
    adw("create", "a", "--path", "packages/a")
    (repo / "packages" / "new.py").write_text("theirs\n")
    assert status(repo) == "?? packages/new.py\n"


def test_the_directory_around_an_adopted_worktree_is_not_hidden(adw: Adw) -> None:
    repo = adw.directory
    git("worktree", "add", "--quiet", "-b", "x", "packages/x", cwd=repo)
    adw("reconcile", ADW_ADOPT="1", code=None)
    (repo / "packages" / "new.py").write_text("theirs\n")
    assert status(repo) == "?? packages/new.py\n"


def test_a_file_below_the_top_that_is_called_as_the_env_file_is_not_hidden(adw: Adw) -> None:
    adw("create", "a")
    (adw.directory / "sample").mkdir()
    (adw.directory / "sample" / ".env.ports").write_text("theirs\n")
    assert status(adw.directory) == "?? sample/.env.ports\n"


# ---- the file itself ---------------------------------------------------------------------------


def test_a_link_stays_and_leads_to_what_git_reads(adw: Adw, exclude: Path, tmp_path: Path) -> None:
    shared = tmp_path / "ignored everywhere"
    shared.write_text("theirs\n")
    exclude.unlink(missing_ok=True)
    exclude.symlink_to(shared)
    adw("create", "a")
    assert exclude.is_symlink()
    assert shared.read_text().startswith("theirs\n")
    assert status(adw.directory) == ""
    # Other repositories read it, too, and may have a directory of that name.
    assert "/trees/a/" in lines_of_ours(shared)
    assert "/trees/" not in lines_of_ours(shared)


def test_a_link_to_a_file_that_git_tracks_dirties_no_checkout(adw: Adw, exclude: Path) -> None:
    repo = adw.directory
    track(repo, "ignored")
    exclude.unlink(missing_ok=True)
    exclude.symlink_to("../../ignored")
    told = adw("create", "a").stderr
    assert (repo / "ignored").read_text() == "theirs\n"
    assert "/.env.ports" in told and "/trees/" in told


def test_three_blocks_become_one_and_a_persons_lines_stay(adw: Adw, exclude: Path) -> None:
    block = f"{BEGIN}\n.env.ports\n/agents/port_allocations.json*\n/trees/\n{END}\n"
    exclude.write_text(f"first\n{block}second\n{block}{block}last, without an end")
    adw("create", "a")
    assert lines_of_ours(exclude) == ["/agents/port_allocations.json*", "/trees/", "/.env.ports"]
    text = exclude.read_text()
    assert text.startswith(f"first\n{BEGIN}\n")
    assert text.endswith(f"{END}\nsecond\nlast, without an end")


def test_every_pattern_stands_in_one_block(adw: Adw, exclude: Path) -> None:
    for name in ("a", "b", "c"):
        adw("create", name, ADW_WORKTREE_PATH="work/{adw_id}", ADW_WRITE="direnv")
    assert lines_of_ours(exclude).count("/work/b/") == 1
    assert "/.envrc" in lines_of_ours(exclude)


def test_lines_that_end_as_on_windows_are_known_again(adw: Adw, exclude: Path) -> None:
    adw("create", "a")
    exclude.write_bytes(exclude.read_bytes().replace(b"\n", b"\r\n"))
    before = exclude.read_bytes()
    adw("create", "b")
    assert exclude.read_bytes() == before
    assert status(adw.directory) == ""


def test_half_a_block_is_a_persons(adw: Adw, exclude: Path) -> None:
    exclude.write_text(f"{BEGIN}\ntheirs\n")
    adw("create", "a")
    assert exclude.read_text().startswith(f"{BEGIN}\ntheirs\n{BEGIN}\n")


def test_permissions_of_the_file_stay(adw: Adw, exclude: Path) -> None:
    exclude.write_text("theirs\n")
    exclude.chmod(0o660)
    adw("create", "a")
    assert os.stat(exclude).st_mode & 0o777 == 0o660


# ---- what the project's .gitignore takes back in -----------------------------------------------


@pytest.fixture
def taken_back(adw: Adw) -> Adw:
    """Return a repository whose `.gitignore` has git show every file that begins with a dot."""
    track(adw.directory, ".gitignore")
    (adw.directory / ".gitignore").write_text(".env\n!.env*\n!.envrc\n")
    git("commit", "--quiet", "-am", "ignore", cwd=adw.directory)
    return adw


def test_our_own_files_keep_no_worktree_from_being_removed(taken_back: Adw) -> None:
    tree = Path(taken_back.json("create", "a", ADW_WRITE="direnv")["path"])
    assert status(tree).splitlines() == ["?? .env.ports", "?? .envrc"]
    gone = taken_back.json("remove", "a", ADW_WRITE="direnv")
    assert (gone["removed"], gone["kept_until"]) == (True, None)


def test_our_own_files_keep_no_branch_from_being_finished(taken_back: Adw) -> None:
    tree = Path(taken_back.json("create", "a")["path"])
    git("commit", "--quiet", "--allow-empty", "-m", "work", cwd=tree)
    taken_back("finish", "a")
    assert not tree.exists()


def test_a_persons_file_is_still_work(taken_back: Adw) -> None:
    tree = Path(taken_back.json("create", "a")["path"])
    (tree / ".env.local").write_bytes((tree / ".env.ports").read_bytes())
    assert "1 untracked" in taken_back("remove", "a", code=7).stderr


def test_a_persons_file_in_place_of_ours_is_still_work(taken_back: Adw) -> None:
    tree = Path(taken_back.json("create", "a")["path"])
    (tree / ".env.ports").write_text("SECRET=1\n")
    assert "1 untracked" in taken_back("remove", "a", code=7).stderr


def test_an_env_file_of_ours_that_is_staged_is_still_work(taken_back: Adw) -> None:
    tree = Path(taken_back.json("create", "a")["path"])
    git("add", ".env.ports", cwd=tree)
    taken_back("remove", "a", code=7)


def test_create_and_doctor_say_that_git_shows_the_env_file(taken_back: Adw) -> None:
    assert "put /.env.ports at the end there" in taken_back("create", "a").stderr
    problems = taken_back.json("doctor", code=10)["problems"]
    assert [one["code"] for one in problems] == ["env-file-shown"]
    with (taken_back.directory / ".gitignore").open("a") as file:
        file.write("/.env.ports\n")
    assert taken_back.json("doctor")["problems"] == []

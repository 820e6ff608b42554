"""Whether work is elsewhere: on any remote, with or without logs of what was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import git, make_repo


def work(tree: Path, *names: str) -> None:
    for name in names:
        (tree / name).write_text("work\n")
        git("add", name, cwd=tree)
        git("commit", "--quiet", "-m", name, cwd=tree)


def squash(theirs: Path, source: Path, branch: str, into: str) -> None:
    """Have a server squash-merge the branch."""
    git("fetch", "--quiet", str(source), f"{branch}:{branch}", cwd=theirs)
    git("switch", "--quiet", into, cwd=theirs)
    git("merge", "--quiet", "--squash", branch, cwd=theirs)
    git("commit", "--quiet", "-m", "squashed", cwd=theirs)
    git("branch", "--quiet", "-D", branch, cwd=theirs)


@pytest.mark.parametrize("remote", ["upstream", "team/fork"])
@pytest.mark.parametrize("with_head", [True, False], ids=["with HEAD", "without HEAD"])
def test_branch_that_any_remote_squash_merged_is_integrated(
    tmp_path: Path, remote: str, with_head: bool
) -> None:
    """`git remote add` and a fetch leave no HEAD of the remote."""
    theirs = make_repo(tmp_path / "theirs")
    git("clone", "--quiet", "--origin", remote, str(theirs), "ours", cwd=tmp_path)
    adw = Adw(tmp_path / "ours")
    if not with_head:
        git("remote", "set-head", remote, "--delete", cwd=adw.directory)
    adw("create", "x")
    work(adw.directory / "trees" / "x", "one", "two")
    adw("remove", "x", "-d", code=7)
    squash(theirs, adw.directory, "x", "main")
    git("fetch", "--quiet", remote, cwd=adw.directory)
    assert adw.json("remove", "x", "-d")["branch_deleted"] == "x"


def test_branch_that_a_remote_squash_merged_into_the_base_is_integrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = make_repo(tmp_path / "theirs")
    git("branch", "develop", cwd=theirs)
    git("clone", "--quiet", "--origin", "upstream", str(theirs), "ours", cwd=tmp_path)
    adw = Adw(tmp_path / "ours")
    git("branch", "develop", "upstream/develop", cwd=adw.directory)
    monkeypatch.setenv("ADW_BASE", "develop")
    adw("create", "x")
    work(adw.directory / "trees" / "x", "one", "two")
    squash(theirs, adw.directory, "x", "develop")
    git("fetch", "--quiet", "upstream", cwd=adw.directory)
    assert adw.json("remove", "x", "-d")["branch_deleted"] == "x"


def test_branch_that_no_remote_merged_is_not_integrated(tmp_path: Path) -> None:
    theirs = make_repo(tmp_path / "theirs")
    git("clone", "--quiet", "--origin", "upstream", str(theirs), "ours", cwd=tmp_path)
    adw = Adw(tmp_path / "ours")
    adw("create", "x")
    work(adw.directory / "trees" / "x", "one")
    work(theirs, "else")
    git("fetch", "--quiet", "upstream", cwd=adw.directory)
    adw("remove", "x", "-d", code=7)


def removed(adw: Adw) -> list[str]:
    return sorted(one["adw_id"] for one in adw.json("remove", "--merged", "--yes")["removals"])


LOGS = ["as usual", "none", "none since"]


@pytest.mark.thorough
@pytest.mark.parametrize("logs", LOGS)
@pytest.mark.parametrize("bare", [False, True], ids=["", "bare"])
def test_merged_takes_what_was_worked_on_and_nothing_that_was_only_made(
    tmp_path: Path, bare: bool, logs: str
) -> None:
    """One that was only made has all its commits elsewhere, too: somebody is about to begin."""
    home = make_repo(tmp_path / "main")
    if bare:
        git("clone", "--quiet", "--bare", ".", "../main.git", cwd=home)
        git("worktree", "add", "--quiet", "../w", "main", cwd=tmp_path / "main.git")
        home = tmp_path / "main.git"
    adw, main = Adw(home), tmp_path / "w" if bare else home
    if logs == "none":
        git("config", "core.logAllRefUpdates", "false", cwd=home)
    for name in ("forwarded", "merged", "squashed", "only-made", "renamed", "open"):
        adw("create", name)
    trees = Path(adw("path", "open").stdout.rstrip("\n")).parent
    adw("rename", "renamed", "other")
    if logs == "none since":
        git("config", "core.logAllRefUpdates", "false", cwd=home)
    for name in ("forwarded", "merged", "squashed", "open"):
        work(trees / name, name)
    git("merge", "--quiet", "--ff-only", "forwarded", cwd=main)
    git("merge", "--quiet", "--no-ff", "--no-edit", "merged", cwd=main)
    git("merge", "--quiet", "--squash", "squashed", cwd=main)
    git("commit", "--quiet", "-m", "squashed", cwd=main)
    assert removed(adw) == ["forwarded", "merged", "squashed"]


def test_merged_takes_a_branch_of_others_without_a_log(adw: Adw) -> None:
    """Of a branch that was forwarded to, nothing tells that it was not only made."""
    home = adw.directory
    git("config", "core.logAllRefUpdates", "false", cwd=home)
    for name in ("theirs", "idle"):
        git("branch", name, cwd=home)
        adw("create", name)
    assert not (home / ".git" / "logs" / "refs" / "heads" / "theirs").exists()
    work(home / "trees" / "theirs", "theirs")
    git("merge", "--quiet", "--no-ff", "--no-edit", "theirs", cwd=home)
    assert removed(adw) == ["theirs"]

"""What a new worktree starts from: branches before tags, a pushed branch on whichever remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import branches, git, make_repo, worktrees


def commit(home: Path, subject: str) -> str:
    git("commit", "--quiet", "--allow-empty", "-m", subject, cwd=home)
    return git("rev-parse", "HEAD", cwd=home).strip()


def head(made: dict[str, object]) -> str:
    return git("rev-parse", "HEAD", cwd=Path(str(made["path"]))).strip()


# ---- names that stand for more than one thing ---------------------------------------------------


@pytest.mark.parametrize("how", ["setting", "flag", "earlier"])
def test_base_with_the_name_of_a_tag_is_the_branch(
    adw: Adw, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """git takes the tag, which is old, and only warns."""
    first = git("rev-parse", "HEAD", cwd=adw.directory).strip()
    git("tag", "main", cwd=adw.directory)
    git("commit", "--quiet", "--allow-empty", "-m", "second", cwd=adw.directory)
    later = git("rev-parse", "refs/heads/main", cwd=adw.directory).strip()
    words = {"setting": [], "flag": ["--from", "main"], "earlier": ["--from", "main~1"]}[how]
    monkeypatch.setenv("ADW_BASE", "main")
    made = adw.json("create", "a", *words)
    assert head(made) == (first if how == "earlier" else later)
    if how == "setting":
        assert adw.json("remove", "a", "-d")["branch_deleted"] == "a"


def test_spares_of_a_base_with_the_name_of_a_tag_are_of_the_branch(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("tag", "main", cwd=adw.directory)
    later = commit(adw.directory, "second")
    monkeypatch.setenv("ADW_BASE", "main")
    monkeypatch.setenv("ADW_SPARES", "1")
    adw("spares", "fill", "--wait")
    (spare,) = adw.json("spares", "status")["spares"]
    assert spare["commit"] == later and spare["fresh"] is True


def test_tag_alone_is_taken(adw: Adw) -> None:
    git("tag", "v1", cwd=adw.directory)
    first = git("rev-parse", "v1", cwd=adw.directory).strip()
    commit(adw.directory, "second")
    assert head(adw.json("create", "a", "--from", "v1")) == first


def test_branch_of_a_remote_with_the_name_of_a_tag_is_tracked(repo: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", str(repo), "clone", cwd=tmp_path)
    adw = Adw(tmp_path / "clone")
    git("tag", "origin/main", cwd=adw.directory)
    later = commit(repo, "second")
    git("fetch", "--quiet", cwd=adw.directory)
    assert head(adw.json("create", "a", "--from", "origin/main")) == later
    assert git("rev-parse", "--abbrev-ref", "a@{upstream}", cwd=adw.directory) in (
        "origin/main\n",
        "remotes/origin/main\n",
    )


# ---- branches that were pushed ------------------------------------------------------------------


@pytest.fixture
def pushed(repo: Path) -> str:
    """Have a branch `feat` in a repository that others are cloned from; return its commit."""
    git("switch", "--quiet", "-c", "feat", cwd=repo)
    feat = commit(repo, "on feat")
    git("switch", "--quiet", "main", cwd=repo)
    return feat


def clone(repo: Path, *remotes: str) -> Adw:
    """Clone the repository under the name of each of `remotes`."""
    home = repo.parent / "clone"
    git("clone", "--quiet", "--origin", remotes[0], str(repo), str(home), cwd=repo)
    for name in remotes[1:]:
        git("remote", "add", name, str(repo), cwd=home)
        git("fetch", "--quiet", name, cwd=home)
    return Adw(home)


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
@pytest.mark.parametrize("remote", ["origin", "team/fork", "up"])
def test_pushed_branch_is_found_on_the_only_remote(
    repo: Path, pushed: str, remote: str, packed: bool
) -> None:
    adw = clone(repo, remote)
    if packed:
        git("pack-refs", "--all", cwd=adw.directory)
    assert head(adw.json("create", "feat")) == pushed
    upstream = git("rev-parse", "--abbrev-ref", "feat@{upstream}", cwd=adw.directory)
    assert upstream == f"{remote}/feat\n"


def test_branch_on_two_remotes_is_refused_if_none_is_preferred(repo: Path, pushed: str) -> None:
    """git refuses it, too: another fork would be worked on than was meant."""
    adw = clone(repo, "alice", "bob")
    failed = adw.json("create", "feat", code=4)["error"]
    assert failed["message"] == "branch feat is on more than one remote: alice, bob"
    assert failed["hint"].startswith("choose with --from alice/feat, or ")
    assert branches(adw.directory) == {"main"} and len(worktrees(adw.directory)) == 1
    assert head(adw.json("create", "feat", "--from", "bob/feat")) == pushed
    assert git("rev-parse", "--abbrev-ref", "feat@{upstream}", cwd=adw.directory) == "bob/feat\n"


@pytest.mark.parametrize("how", ["setting", "checkout.defaultRemote", "origin"])
def test_branch_on_two_remotes_is_that_of_the_preferred_one(
    repo: Path, pushed: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    adw = clone(repo, "alice", "origin" if how == "origin" else "team/bob")
    wanted = "origin" if how == "origin" else "team/bob"
    if how == "setting":
        monkeypatch.setenv("ADW_REMOTE", wanted)
    elif how == "checkout.defaultRemote":
        git("config", how, wanted, cwd=adw.directory)
    assert head(adw.json("create", "feat")) == pushed
    upstream = git("rev-parse", "--abbrev-ref", "feat@{upstream}", cwd=adw.directory)
    assert upstream == f"{wanted}/feat\n"


def test_request_is_fetched_from_the_preferred_remote(repo: Path, pushed: str) -> None:
    git("update-ref", "refs/pull/7/head", pushed, cwd=repo)
    other = make_repo(repo.parent / "other")
    adw = clone(other, "alice")
    git("remote", "add", "team/bob", str(repo), cwd=adw.directory)
    adw("create", "a", "--pr", "7", code=4)
    git("config", "checkout.defaultRemote", "team/bob", cwd=adw.directory)
    assert head(adw.json("create", "a", "--pr", "7")) == pushed


def test_finish_goes_into_the_branch_of_a_remote_with_a_slash(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adw = clone(repo, "team/fork")
    monkeypatch.setenv("ADW_BASE", "team/fork/main")
    tree = Path(adw.json("create", "a")["path"])
    commit(tree, "work")
    assert adw.json("finish", "a")["into"] == "main"


# ---- branches that are in use -------------------------------------------------------------------


@pytest.fixture
def topic(adw: Adw) -> Path:
    """Have a branch with two commits in a worktree by hand; return its directory."""
    tree = adw.directory.parent / "by-hand"
    git("worktree", "add", "--quiet", "-b", "topic", str(tree), cwd=adw.directory)
    for name in ("one", "two"):
        (tree / name).write_text("x\n")
        git("add", name, cwd=tree)
        git("commit", "--quiet", "-m", name, cwd=tree)
    return tree


def refused(adw: Adw, branch: str) -> str:
    failed = adw.json("create", "a", "--branch", branch, code=4)["error"]
    assert failed["code"] == "branch-unusable" and "--branch" in failed["hint"]
    assert adw.json("status")["allocated"] == 0
    return str(failed["message"])


@pytest.mark.parametrize("backend", ["merge", "apply", "bisect", "update-refs"])
def test_branch_in_something_unfinished_elsewhere_is_in_use(
    adw: Adw, topic: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """HEAD is detached for as long as it lasts, and comes back to the branch at its end."""
    branch = "topic"
    if backend == "bisect":
        git("bisect", "start", "HEAD", "HEAD~2", cwd=topic)
    elif backend == "apply":
        git("switch", "--quiet", "-c", "other", "HEAD~2", cwd=topic)
        (topic / "one").write_text("conflict\n")
        git("add", "one", cwd=topic)
        git("commit", "--quiet", "-m", "conflict", cwd=topic)
        git("switch", "--quiet", "topic", cwd=topic)
        git("rebase", "--apply", "other", cwd=topic, check=False)
    else:
        monkeypatch.setenv("GIT_SEQUENCE_EDITOR", "sed -i '0,/^pick/s//edit/'")
        if backend == "update-refs":
            git("branch", "below", "HEAD~1", cwd=topic)
            branch = "below"
        update = ["--update-refs"] if backend == "update-refs" else []
        git("rebase", "--quiet", "-i", *update, "HEAD~2", cwd=topic, check=False)
        if backend == "update-refs" and not anyone_updates(adw):
            pytest.skip("git 2.38 or later moves branches along")
    message = refused(adw, branch)
    what = "a bisection" if backend == "bisect" else "a rebase"
    assert message == f"branch {branch} is in use: {what} of it is in progress in {topic}"


def anyone_updates(adw: Adw) -> bool:
    return any((adw.directory / ".git" / "worktrees").glob("*/rebase-merge/update-refs"))


@pytest.mark.parametrize("where", ["main", "linked"])
def test_branch_that_is_not_born_is_in_use(adw: Adw, topic: Path, where: str) -> None:
    """Its first commit would be made there, and is another's."""
    tree = adw.directory if where == "main" else topic
    git("switch", "--quiet", "--orphan", "coming", cwd=tree)
    assert str(tree) in refused(adw, "coming")
    assert "coming" not in branches(adw.directory)

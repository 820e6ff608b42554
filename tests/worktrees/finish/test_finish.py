"""Merging back: all of the work lands and the worktree goes, or everything is as it was."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adw_worktree.errors import (
    BranchUnusable,
    DirtyWorktree,
    Diverged,
    MergeConflict,
    WorktreeUnavailable,
)
from adw_worktree.project import open_project
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.finish.finish import Finished, Terms, finish
from tests.support.command_line import Adw, user_hook
from tests.support.machine import mounted, settle
from tests.support.repositories import anywhere, branches, git, make_repo, worktrees
from tests.support.stress_size import stress_size

if TYPE_CHECKING:
    from adw_worktree.worktrees.finish.merge import Way

WAYS = ["merge", "squash", "rebase"]
NAMES = ["feat/x", "it's", 'a"b', "ü\u2028ö", "$(touch${IFS}ran)", "a;b&c"]
KINDS = ["changed", "staged", "untracked", "ignored", "directory"]
PLACES = ["main", "nowhere"]


def each(*lists: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every combination for the big run; for the ordinary one each word of each list."""
    longest = max(map(len, lists))
    rows = (tuple(words[row % len(words)] for words in lists) for row in range(longest))
    return stress_size(list(rows), list(product(*lists)))


def begin(adw: Adw, adw_id: str, branch: str | None = None) -> Path:
    """Make a worktree, in this process, and return where it is."""
    return Path(create(open_project(adw.directory), adw_id, Wish(branch=branch)).lease.path or "")


def merge_back(adw: Adw, adw_id: str = "a", **terms: Any) -> Finished:
    """Finish in this process, which is quicker."""
    project = open_project(adw.directory)
    return finish(project, project.pool.leases()[adw_id], Terms(**terms))


def commit(tree: Path, name: str, text: str) -> str:
    """Commit one file and return the commit."""
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)
    git("add", "--", name, cwd=tree)
    git("commit", "--quiet", "-m", f"{name} of {tree.name}", cwd=tree)
    return head(tree)


def head(directory: Path, name: str = "HEAD") -> str:
    return git("rev-parse", "--verify", name, cwd=directory).strip()


def subjects(directory: Path, name: str) -> list[str]:
    return git("log", "--format=%s", "--topo-order", name, cwd=directory).splitlines()


def diverged(adw: Adw, adw_id: str = "a") -> Path:
    """Make a worktree with two commits, and a commit on main that it lacks."""
    tree = begin(adw, adw_id)
    commit(tree, "one", "1\n")
    commit(tree, "two", "2\n")
    commit(adw.directory, "theirs", "3\n")
    return tree


def conflicting(adw: Adw) -> Path:
    tree = diverged(adw)
    commit(tree, "README", "mine\n")
    commit(adw.directory, "README", "theirs\n")
    return tree


def everything(repo: Path) -> dict[str, Any]:
    """Return all of a repository that a merge could change: refs, heads, indexes, files."""
    found: dict[str, Any] = {"refs": git("for-each-ref", cwd=repo)}
    found["config"] = (repo / ".git" / "config").read_text()
    found["stash"] = git("stash", "list", cwd=repo)
    for path in worktrees(repo):
        place = Path(path)
        found[path] = {
            "commit": head(place),
            "head": git("symbolic-ref", "--quiet", "HEAD", cwd=place, check=False),
            "index": git("ls-files", "--stage", "-z", cwd=place),
            "status": git("status", "--porcelain", "--untracked-files=all", cwd=place),
            "operations": sorted(
                name
                for name in os.listdir(git_directory(place))
                if name.isupper() and name != "ORIG_HEAD"
            ),
            "files": files_of(place),
        }
    found["scratch"] = scratch_worktrees(repo)
    return found


def scratch_worktrees(repo: Path) -> list[str]:
    """Return what there is of worktrees in which merges are made."""
    directory = repo / ".git" / "adw-worktree" / "spares"
    return [path.name for path in directory.glob("spare-*")]


def leased(adw: Adw) -> set[str]:
    return set(open_project(adw.directory).pool.leases())


def ignore(repo: Path, pattern: str) -> None:
    with (repo / ".git" / "info" / "exclude").open("a") as file:
        file.write(f"\n{pattern}\n")


def git_directory(worktree: Path) -> Path:
    return Path(git("rev-parse", "--absolute-git-dir", cwd=worktree).strip())


def files_of(place: Path) -> dict[str, str]:
    found = {}
    for folder, folders, names in os.walk(place):
        folders[:] = [one for one in folders if one not in (".git", "trees", "agents")]
        for name in names:
            path = Path(folder, name)
            found[str(path.relative_to(place))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def assert_gone(adw: Adw, adw_id: str = "a") -> None:
    assert adw_id not in leased(adw)
    assert not (adw.directory / "trees" / adw_id).exists()
    assert adw_id not in branches(adw.directory)
    assert scratch_worktrees(adw.directory) == []


# ---- each way, each place ----------------------------------------------------------------------


@pytest.fixture(params=["main", "linked", "nowhere"])
def target(request: pytest.FixtureRequest, adw: Adw) -> tuple[str, Path | None]:
    """Return a branch that is one commit ahead of main, and where it is checked out."""
    if request.param == "main":
        return "main", adw.directory
    git("branch", "develop", cwd=adw.directory)
    if request.param == "nowhere":
        return "develop", None
    place = adw.directory.parent / "a place"
    git("worktree", "add", "--quiet", str(place), "develop", cwd=adw.directory)
    return "develop", place


@pytest.mark.parametrize("way", WAYS)
def test_all_of_the_work_lands_and_the_worktree_goes(
    adw: Adw, way: str, target: tuple[str, Path | None]
) -> None:
    into, place = target
    tree = diverged(adw)
    git("update-ref", f"refs/heads/{into}", "main", cwd=adw.directory)
    if place is not None:
        git("reset", "--quiet", "--hard", cwd=place)
    before = head(adw.directory, into)
    work = head(tree)
    done = merge_back(adw, way=way, into=into)
    assert (done.branch, done.into, done.way) == ("a", into, way)
    assert done.commit == head(adw.directory, into)
    assert done.removed is not None
    assert done.removed.branch_deleted == "a"
    assert_gone(adw)
    listed = git("ls-tree", "-r", "--name-only", into, cwd=adw.directory).split()
    assert {"one", "two", "theirs"} <= set(listed)
    ahead = git("rev-list", "--count", f"{before}..{into}", cwd=adw.directory).strip()
    assert ahead == {"merge": "3", "squash": "1", "rebase": "2"}[way]
    parents = git("log", "-1", "--format=%P", into, cwd=adw.directory).split()
    assert parents[0] == before if way != "rebase" else len(parents) == 1
    assert parents[1:] == ([work] if way == "merge" else [])
    for worktree in {adw.directory, place or adw.directory}:
        assert git("status", "--porcelain", cwd=worktree) == ""
    if place is not None:
        assert (place / "one").read_text() == "1\n"
        assert head(place) == done.commit


@pytest.mark.thorough
def test_it_says_how_many_commits_land(adw: Adw) -> None:
    for adw_id in ("a", "b", "c", "d", "e"):
        tree = begin(adw, adw_id)
        for number in range(2):
            commit(tree, f"{adw_id}{number}", "one")

    def said(adw_id: str, *flags: str) -> str:
        done = adw("finish", adw_id, *flags).stdout.splitlines()[0]
        return done.rpartition(" (")[0]

    assert said("a") == "fast-forwarded main to a, by 2 commits"
    assert said("b") == "merged 2 commits of b into main"
    assert said("c", "--squash") == "squashed 2 commits of c into main"
    commit(adw.directory, "main", "one")
    git("cherry-pick", "d~1", cwd=adw.directory)
    assert said("d", "--rebase") == "rebased 1 commit of d onto main"
    assert adw.json("finish", "e", "--keep")["commits"] == 2
    assert adw.json("finish", "e")["commits"] == 0


def test_without_a_way_it_is_a_fast_forward_if_it_can_be(adw: Adw) -> None:
    tree = begin(adw, "a")
    work = commit(tree, "one", "1\n")
    done = adw.json("finish", "a")
    assert set(done) == {
        "schema_version", "ok", "adw_id", "merged", "into", "way", "commit",
        "commits", "removed"
    }  # fmt: skip
    assert (done["adw_id"], done["merged"], done["into"]) == ("a", True, "main")
    assert (done["way"], done["commit"]) == ("fast-forward", work)
    assert done["removed"]["branch_deleted"] == "a"
    assert head(adw.directory) == work
    assert_gone(adw)


def test_without_a_way_git_says_what_a_merge_is_called(adw: Adw) -> None:
    diverged(adw)
    git("branch", "develop", cwd=adw.directory)
    assert merge_back(adw, keep=True, into="develop").way == "merge"
    assert merge_back(adw).way == "merge"
    assert subjects(adw.directory, "main")[0] == "Merge branch 'a'"
    assert subjects(adw.directory, "develop")[0] == "Merge branch 'a' into develop"


@pytest.mark.parametrize("key", ["merge.ff", "branch.main.mergeOptions"])
def test_gits_own_settings_hold(adw: Adw, key: str) -> None:
    tree = begin(adw, "a")
    work = commit(tree, "one", "1\n")
    git("config", key, "false" if key == "merge.ff" else "--no-ff", cwd=adw.directory)
    assert merge_back(adw).way == "merge"
    assert git("log", "-1", "--format=%P", cwd=adw.directory).split()[1] == work


@pytest.mark.parametrize("way", [None, "squash"])
def test_where_only_fast_forwards_are_allowed_nothing_else_is_made(
    adw: Adw, way: Way | None
) -> None:
    """Who sets this wants that what was tested is what lands."""
    tree = diverged(adw)
    git("config", "merge.ff", "only", cwd=adw.directory)
    before = everything(adw.directory)
    with pytest.raises(Diverged) as refused:
        merge_back(adw, way=way, into="main")
    assert everything(adw.directory) == before
    # What the hint says leads on.
    hint = str(refused.value.hint)
    if way is None:
        assert hint == (
            "adw-worktree finish a --into main --rebase, or "
            "adw-worktree finish a --into main --merge"
        )
        adw(*shlex.split(hint.rpartition(", or ")[2])[1:])
    else:
        subprocess.run(shlex.split(hint.partition("; ")[0]), check=True)
        adw(*shlex.split(hint.rpartition("then ")[2])[1:])
    assert (adw.directory / "two").exists()
    assert not tree.exists()


def test_a_squash_of_one_commit_is_that_commit(adw: Adw) -> None:
    tree = begin(adw, "a")
    (tree / "one").write_text("1\n")
    git("add", "one", cwd=tree)
    words = ("commit", "--quiet", "-m", "fix\n\nwhy", "--author", "Somebody <some@example.com>")
    git(*words, cwd=tree)
    commit(adw.directory, "theirs", "3\n")
    merge_back(adw, way="squash")
    told = git("log", "-1", "--format=%an%n%B", cwd=adw.directory).split("\n")
    assert told[:4] == ["Somebody", "fix", "", "why"]


def test_a_squash_of_more_lists_them_or_says_what_it_is_told(adw: Adw) -> None:
    trees = [begin(adw, "a"), begin(adw, "b")]
    for tree in trees:
        commit(tree, "one", tree.name)
        commit(tree, "two", tree.name)
    git("config", "merge.ff", "false", cwd=adw.directory)  # git would not squash then
    merge_back(adw, way="squash")
    message = git("log", "-1", "--format=%B", cwd=adw.directory)
    assert "one of a" in message
    assert "two of a" in message
    git("merge", "--quiet", "-s", "ours", "-m", "both", "main", cwd=trees[1])
    merge_back(adw, "b", way="squash", message="# not a comment")
    assert subjects(adw.directory, "main")[0] == "# not a comment"


def test_a_message_asks_for_a_commit_to_bear_it(adw: Adw) -> None:
    commit(begin(adw, "a"), "one", "1\n")
    assert adw.json("finish", "a", "-m", "In we go")["way"] == "merge"
    assert subjects(adw.directory, "main")[0] == "In we go"
    adw("finish", "a", "--rebase", "-m", "no", code=2)
    adw("finish", "a", "-m", " ", code=2)
    adw("finish", "a", "--rebase", "--squash", code=2)


def test_a_rebase_moves_no_other_branch(adw: Adw) -> None:
    """With rebase.updateRefs git moves every branch that points into what is rebased."""
    tree = diverged(adw)
    git("branch", "stacked", "a~1", cwd=adw.directory)
    git("config", "rebase.updateRefs", "true", cwd=adw.directory)
    stacked = head(tree, "stacked")
    merge_back(adw, way="rebase")
    assert head(adw.directory, "stacked") == stacked


def test_kept_is_the_worktree_as_it_was(adw: Adw) -> None:
    tree = diverged(adw)
    work = head(tree)
    done = adw("finish", "a", "--squash", "--keep")
    assert "reset --keep main" in done.stderr
    assert head(tree) == head(tree, "a") == work
    assert leased(adw) == {"a"}
    assert merge_back(adw, way="squash", keep=True).removed is None
    hint = done.stderr.split("to go on from main: ")[1].strip()
    subprocess.run(shlex.split(hint), check=True)
    commit(tree, "one", "again\n")
    # One commit on top of main: there is nothing to squash.
    assert merge_back(adw, way="squash").way == "fast-forward"
    assert (adw.directory / "one").read_text() == "again\n"


@pytest.mark.parametrize("way", stress_size(["squash", "rebase"], WAYS))
def test_what_is_there_is_not_merged_again(adw: Adw, way: str) -> None:
    """The removal failed: what merged it has only to be repeated."""
    tree = diverged(adw)
    user_hook("pre-remove", "exit 3")
    failed = adw.json("finish", "a", f"--{way}", code=9)
    landed = head(adw.directory)
    assert f"a is merged into main at {landed[:12]}" in failed["error"]["message"]
    assert "worktree stays" in failed["error"]["message"]
    assert tree.is_dir()
    user_hook("pre-remove", "true")
    user_hook("pre-finish", "exit 3")  # there is nothing for it to judge
    for flag, keep in ((way, True), (None, False)):
        again = merge_back(adw, way=flag, keep=keep)
        assert (again.way, again.commit) == (None, landed)
    assert_gone(adw)


def test_empty_commits_land_too(adw: Adw) -> None:
    """They change nothing, but somebody made them."""
    tree = begin(adw, "a")
    git("commit", "--quiet", "--allow-empty", "-m", "deploy", cwd=tree)
    assert merge_back(adw).way == "fast-forward"
    assert subjects(adw.directory, "main")[0] == "deploy"


def test_the_current_worktree_is_meant_if_none_is_named(adw: Adw) -> None:
    tree = begin(adw, "a")
    commit(tree, "one", "1\n")
    assert adw.json("finish", cwd=tree)["adw_id"] == "a"
    assert_gone(adw)
    adw("finish", code=6)
    adw("finish", "a", code=6)


# ---- which target ------------------------------------------------------------------------------


def test_the_setting_base_says_into_what(adw: Adw, tmp_path: Path) -> None:
    theirs = make_repo(tmp_path / "theirs")
    git("branch", "develop", cwd=theirs)
    git("remote", "add", "origin", str(theirs), cwd=adw.directory)
    git("fetch", "--quiet", "origin", cwd=adw.directory)
    commit(begin(adw, "a"), "one", "1\n")
    missing = adw("finish", "a", code=4, ADW_BASE="origin/develop")
    assert "develop" in missing.stderr
    git("branch", "develop", cwd=adw.directory)
    git("checkout", "--quiet", "-b", "elsewhere", cwd=adw.directory)
    assert adw.json("finish", "a", "--keep", ADW_BASE="origin/develop")["into"] == "develop"
    assert adw.json("finish", "a", "--keep", ADW_BASE="main")["into"] == "main"
    assert adw.json("finish", "a")["into"] == "elsewhere"


def test_only_another_local_branch_is_a_target(adw: Adw) -> None:
    git("tag", "v1", cwd=adw.directory)
    git("update-ref", "refs/remotes/origin/main", "HEAD", cwd=adw.directory)
    commit(begin(adw, "a"), "one", "1\n")
    before = everything(adw.directory)
    for into in ("a", "nowhere", "v1", "HEAD", "main~0", "-x", "", "@{-1}", "origin/main", "x\0"):
        with pytest.raises(BranchUnusable) as refused:
            merge_back(adw, into=into)
        assert "--into" in str(refused.value.hint)
    assert everything(adw.directory) == before
    assert adw("finish", "a", "--into", "nowhere", code=4).stderr.startswith("error: there is no")


def test_a_main_worktree_on_no_branch_is_no_target(adw: Adw) -> None:
    commit(begin(adw, "a"), "one", "1\n")
    git("checkout", "--quiet", "--detach", cwd=adw.directory)
    assert "--into" in adw("finish", "a", code=4).stderr
    adw("finish", "a", "--into", "main")
    assert_gone(adw)


@pytest.mark.parametrize(("name", "way"), each(NAMES, WAYS))
def test_branches_may_have_any_name(adw: Adw, way: str, name: str) -> None:
    tree = begin(adw, "a", name)
    commit(tree, "one", "1\n")
    git("checkout", "--quiet", "-b", f"{name}-into", cwd=adw.directory)
    commit(adw.directory, "theirs", "3\n")
    done = merge_back(adw, way=way)
    assert done.into == f"{name}-into"
    assert done.removed is not None
    assert done.removed.branch_deleted == name
    assert (adw.directory / "one").exists()
    assert not anywhere(adw.directory.parent, "ran")


def test_a_bare_repository_has_a_target_too(tmp_path: Path) -> None:
    source = make_repo(tmp_path / "source")
    git("clone", "--quiet", "--bare", str(source), str(tmp_path / "bare.git"), cwd=tmp_path)
    adw = Adw(tmp_path / "bare.git")
    tree = Path(adw.json("create", "a")["path"])
    work = commit(tree, "one", "1\n")
    assert adw.json("finish", "a")["into"] == "main"
    assert head(adw.directory, "main") == work


# ---- refused, with everything as it was --------------------------------------------------------


@pytest.mark.parametrize(("way", "where"), each(["default", *WAYS], PLACES))
def test_a_conflict_leaves_everything_as_it_was(adw: Adw, way: str, where: str) -> None:
    """A half-made merge in somebody's checkout is work for somebody, or lost."""
    flags = [] if way == "default" else [f"--{way}"]
    tree = conflicting(adw)
    (adw.directory / "notes").write_text("untracked\n")
    if where == "nowhere":
        git("checkout", "--quiet", "-b", "other", cwd=adw.directory)
    git("config", "rerere.enabled", "true", cwd=adw.directory)
    user_hook("pre-finish", f"touch '{adw.directory.parent}/ran'")
    before = everything(adw.directory)
    refused = adw.json("finish", "a", *flags, "--into", "main", code=7)["error"]
    assert refused["code"] == "merge-conflict"
    assert "README" in refused["message"]
    assert everything(adw.directory) == before
    assert not (adw.directory.parent / "ran").exists(), "tests of what cannot be merged"
    # What the hint says leads on.
    first, _, rest = refused["hint"].partition("; ")
    again = shlex.split(rest.rpartition("then adw-worktree ")[2])
    subprocess.run(shlex.split(first), capture_output=True)
    assert (tree / "README").read_text() != "mine\n"
    (tree / "README").write_text("both\n")
    git("add", "README", cwd=tree)
    assert way != "rebase" or f"git -C {tree} rebase --continue; " in rest
    onward = ["rebase", "--continue"] if way == "rebase" else ["commit", "--quiet", "-m", "both"]
    git("-c", "core.editor=true", *onward, cwd=tree)
    assert again == ["finish", "a", "--into", "main", *flags]
    assert merge_back(adw, into="main", way=None if way == "default" else way).way is not None
    assert git("show", "main:README", cwd=adw.directory) == "both\n"


def test_a_conflict_in_many_files_names_some(adw: Adw) -> None:
    tree = begin(adw, "a")
    for number in range(5):
        commit(tree, f"file{number}", "mine\n")
        commit(adw.directory, f"file{number}", "theirs\n")
    with pytest.raises(MergeConflict, match="file0, file1, file2 and 2 more"):
        merge_back(adw)


def test_a_failing_hook_leaves_everything_as_it_was(adw: Adw) -> None:
    tree = diverged(adw)
    log = adw.directory.parent / "log"
    user_hook("pre-finish", f"pwd >'{log}'; echo $ADW_ID $ADW_INTO $ADW_BRANCH >>'{log}'; exit 3")
    before = everything(adw.directory)
    assert adw.json("finish", "a", code=9)["error"]["code"] == "hook-failed"
    assert everything(adw.directory) == before
    assert log.read_text() == f"{tree}\na main a\n"
    merge_back(adw, hooks=False)
    assert_gone(adw)


def test_what_the_hooks_leave_is_not_lost(adw: Adw) -> None:
    """A report of the tests, perhaps: nobody has committed it yet."""
    tree = diverged(adw)
    user_hook("pre-finish", "echo 1 >report")
    before = head(adw.directory)
    with pytest.raises(DirtyWorktree):
        merge_back(adw)
    assert head(adw.directory) == before
    assert (tree / "report").exists()


def test_what_the_hooks_commit_lands(adw: Adw) -> None:
    diverged(adw)
    user_hook("pre-finish", "echo 1 >formatted; git add formatted; git commit -qm formatted")
    assert merge_back(adw).notes == [
        "main has a commit that the pre-finish hooks ran without: try it as it is now"
    ]
    assert (adw.directory / "formatted").exists()
    assert_gone(adw)


def test_what_lands_while_the_hooks_run_is_kept(adw: Adw) -> None:
    diverged(adw)
    root = adw.directory
    user_hook("pre-finish", f"cd '{root}' && echo 1 >meanwhile && git add . && git commit -qm mean")
    merge_back(adw)
    assert {"one", "two", "theirs", "meanwhile"} <= set(os.listdir(root))
    assert git("status", "--porcelain", cwd=root) == ""
    assert_gone(adw)


def test_the_repositorys_own_hooks_need_approval(adw: Adw) -> None:
    (adw.directory / "adw-worktree.toml").write_text('[hooks]\npre-finish = "touch ../../ran"\n')
    git("add", ".", cwd=adw.directory)
    git("commit", "--quiet", "-m", "hooks", cwd=adw.directory)
    commit(begin(adw, "a"), "one", "1\n")
    before = everything(adw.directory)
    assert adw.json("finish", "a", code=9)["error"]["code"] == "hook-untrusted"
    assert everything(adw.directory) == before
    adw("trust", "--yes")
    adw("finish", "a")
    assert (adw.directory / "ran").exists()


@pytest.mark.parametrize("kind", ["changed", "staged", "untracked", "merging"])
def test_uncommitted_work_is_refused(adw: Adw, kind: str) -> None:
    tree = diverged(adw)
    if kind == "changed":
        (tree / "one").write_text("work\n")
    elif kind == "merging":
        git("merge", "--quiet", "--no-commit", "main", cwd=tree)
    else:
        (tree / "new").write_text("work\n")
    if kind == "staged":
        git("add", "new", cwd=tree)
    before = everything(adw.directory)
    with pytest.raises(DirtyWorktree, match="uncommitted work"):
        merge_back(adw)
    assert everything(adw.directory) == before


@pytest.mark.parametrize("lost", ["source", "target"])
def test_where_a_git_file_is_lost_nothing_is_finished(adw: Adw, lost: str) -> None:
    """Git would look at the main worktree for the one, and merge into its branch for the other."""
    source, target = begin(adw, "a"), begin(adw, "b")
    commit(source, "one", "work\n")
    link = {"source": source, "target": target}[lost] / ".git"
    text = link.read_text()
    link.unlink()
    with pytest.raises(WorktreeUnavailable, match=r"its \.git file is lost") as caught:
        merge_back(adw, into="b")
    assert caught.value.hint == f"git -C {adw.directory} worktree repair"
    assert subjects(adw.directory, "main") == subjects(adw.directory, "b") == ["first"]
    link.write_text(text)
    merge_back(adw, into="b")
    assert subjects(adw.directory, "b") == ["one of a", "first"]


@pytest.mark.parametrize(("kind", "way"), each(KINDS, ["merge", "squash"]))
def test_changes_in_the_targets_checkout_are_never_overwritten(
    adw: Adw, kind: str, way: str
) -> None:
    tree = diverged(adw)
    commit(tree, "README", "mine\n")
    root = adw.directory
    if kind == "directory":
        (root / "one").mkdir()
    name = {"changed": "README", "staged": "README", "directory": "one/work"}.get(kind, "one")
    (root / name).write_text("days of work\n")
    if kind == "staged":
        git("add", name, cwd=root)
    if kind == "ignored":
        ignore(root, "/one")
    ran = root.parent / "ran"
    user_hook("pre-finish", f"touch '{ran}'")
    before = everything(root)
    with pytest.raises(DirtyWorktree, match=name.partition("/")[0]) as refused:
        merge_back(adw, way=way)
    assert everything(root) == before
    untracked = f"move {name.partition('/')[0]} away, then repeat"  # `git stash` leaves it
    assert (refused.value.hint == untracked) == (kind not in ("changed", "staged"))
    assert not ran.exists(), "tests of what cannot land"


def test_changes_that_are_not_in_the_way_stay(adw: Adw) -> None:
    diverged(adw)
    commit(adw.directory, "other", "1\n")
    (adw.directory / "other").write_text("days of work\n")
    (adw.directory / "new").write_text("untracked\n")
    (adw.directory / "staged").write_text("staged\n")
    git("add", "staged", cwd=adw.directory)
    git("config", "merge.autoStash", "true", cwd=adw.directory)
    merge_back(adw)
    assert (adw.directory / "other").read_text() == "days of work\n"
    status = git("status", "--porcelain", cwd=adw.directory)
    assert status == " M other\nA  staged\n?? new\n"
    assert (adw.directory / "one").exists()


@pytest.mark.parametrize("operation", ["merge", "rebase", "bisect"])
def test_a_target_on_which_something_is_in_progress_is_refused(adw: Adw, operation: str) -> None:
    conflicting(adw)
    root = adw.directory
    commit(begin(adw, "b"), "of-b", "1\n")
    if operation == "merge":
        git("merge", "a", cwd=root, check=False)
    elif operation == "rebase":
        git("rebase", "a", cwd=root, check=False)
    else:
        git("bisect", "start", "HEAD", "HEAD~1", cwd=root)
        git("checkout", "--quiet", "--detach", cwd=root)
    before = everything(root)
    with pytest.raises(DirtyWorktree, match="in progress"):
        merge_back(adw, "b", into="main")
    assert everything(root) == before


def test_a_worktree_on_no_branch_is_refused_with_the_way_on(adw: Adw) -> None:
    tree = diverged(adw)
    git("checkout", "--quiet", "--detach", cwd=tree)
    commit(tree, "three", "3\n")
    refused = adw.json("finish", "a", code=4)["error"]
    assert refused["hint"].endswith("switch -c NEW_BRANCH, then repeat")  # there is an a
    subprocess.run(
        shlex.split(refused["hint"].replace("NEW_BRANCH, then repeat", "other")), check=True
    )
    assert adw.json("finish", "a")["removed"]["branch_deleted"] == "other"
    assert (adw.directory / "three").exists()


def test_a_branch_without_a_commit_is_refused(adw: Adw) -> None:
    tree = begin(adw, "a")
    git("symbolic-ref", "HEAD", "refs/heads/unborn", cwd=tree)
    git("rm", "--quiet", "-r", "--cached", ".", cwd=tree)
    (tree / "README").unlink()
    with pytest.raises(BranchUnusable, match="no commit"):
        merge_back(adw)


@pytest.mark.parametrize("why", ["locked", "inside", "untrusted", "out of sight"])
def test_what_keeps_the_worktree_from_going_is_found_before_the_merge(adw: Adw, why: str) -> None:
    tree = diverged(adw)
    root = adw.directory
    code = 7
    if why == "locked":
        adw("lock", "a")
    elif why == "inside":
        git("worktree", "add", "--quiet", "-b", "b", str(tree / "b"), cwd=root)
        ignore(root, "/b/")
    elif why == "untrusted":
        (root / "adw-worktree.toml").write_text('[hooks]\npost-remove = "true"\n')
        code = 9
    else:
        git("worktree", "add", "--quiet", "-b", "b", str(root.parent / "b"), cwd=root)
        (root.parent / "b").rename(root.parent / "moved")
    before = git("for-each-ref", cwd=root)
    adw("finish", "a", *(["--into", "b"] if why == "out of sight" else []), code=code)
    assert git("for-each-ref", cwd=root) == before
    if why != "out of sight":
        merge_back(adw, keep=True)
        assert git("for-each-ref", cwd=root) != before


def test_work_that_is_committed_during_the_removal_stays(adw: Adw) -> None:
    """An agent that is not done yet: its branch is not the one that was merged any more."""
    diverged(adw)
    user_hook("pre-remove", "echo 1 >late; git add late; git commit -qm late")
    done = adw("finish", "a", "--squash")
    assert "branch a stays" in done.stderr
    assert subjects(adw.directory, "a")[0] == "late"


@pytest.mark.parametrize("hook", stress_size(["commit-msg"], ["commit-msg", "pre-merge-commit"]))
def test_gits_hooks_judge_a_merge_commit(adw: Adw, hook: str) -> None:
    diverged(adw)
    file = adw.directory / ".git" / "hooks" / hook
    file.parent.mkdir(exist_ok=True)
    file.write_text("#!/bin/sh\necho not on a Friday >&2\nexit 1\n")
    file.chmod(0o755)
    before = everything(adw.directory)
    ran = adw("finish", "a", code=4)
    assert "not on a Friday" in ran.stderr
    assert "a was not merged into main, and nothing was changed" in ran.stderr
    assert "use 'git commit'" not in ran.stderr
    assert "adw-worktree finish a --no-hooks" in ran.stderr
    assert everything(adw.directory) == before
    merge_back(adw, hooks=False)
    assert_gone(adw)


def test_gits_post_merge_runs_where_the_target_is_checked_out(adw: Adw) -> None:
    commit(begin(adw, "a"), "one", "1\n")
    file, log = adw.directory / ".git" / "hooks" / "post-merge", adw.directory.parent / "log"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\npwd >>'{log}'\n")
    file.chmod(0o755)
    merge_back(adw)
    assert log.read_text() == f"{adw.directory}\n"


@pytest.mark.thorough
def test_a_disk_that_fills_up_leaves_the_targets_checkout_as_it_was(tmp_path: Path) -> None:
    """Git leaves the half of the files that it had written; they look like somebody's work."""
    with mounted(tmp_path / "small", "6m") as small:
        adw = Adw(make_repo(small / "repo"))
        commit(adw.directory, "gone", "1\n")
        commit(adw.directory, "sub/changed", "before\n" * 9000)
        tree = begin(adw, "a")
        (tree / "gone").unlink()
        for number in range(5):
            (tree / "sub" / f"big{number}").write_bytes(os.urandom(250_000))
        (tree / "link").symlink_to("README")
        (tree / "README").write_text("changed\n")
        (tree / "sub" / "changed").write_text("after\n" * 9000)
        git("add", ".", cwd=tree)
        git("commit", "--quiet", "-m", "big", cwd=tree)
        before = everything(adw.directory)
        room = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
        (small / "ballast").write_bytes(b"0" * (room - 700_000))
        failed = adw("finish", "a", code=4)
        assert "git merge failed" in failed.stderr
        (small / "ballast").unlink()
        assert everything(adw.directory) == before
        assert merge_back(adw).way == "fast-forward"
        assert (adw.directory / "README").read_text() == "changed\n"


# ---- many, and the end of them -----------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("where", stress_size(["main"], PLACES))
def test_many_at_once_lose_nothing(adw: Adw, where: str) -> None:
    """Two that began from the same commit would each drop what the other merged."""
    names = [f"a{number}" for number in range(8)]
    for name in names:
        commit(begin(adw, name), name, f"{name}\n")
    if where == "nowhere":
        git("checkout", "--quiet", "-b", "other", cwd=adw.directory)
    ways = ["--merge", "--squash", "--rebase", "--merge"] * 2
    started = [
        adw.start("finish", name, way, "--into", "main", "--json")
        for name, way in zip(names, ways, strict=True)
    ]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    listed = git("ls-tree", "--name-only", "main", cwd=adw.directory).split()
    assert set(listed) == {"README", *names}
    assert git("status", "--porcelain", cwd=adw.directory) == ""
    assert branches(adw.directory) == {"main"} | ({"other"} if where == "nowhere" else set())
    assert worktrees(adw.directory) == [str(adw.directory)]
    assert leased(adw) == set()


def test_two_of_the_same_at_once_merge_once(adw: Adw) -> None:
    work = head(diverged(adw))
    started = [adw.start("finish", "a") for _ in range(2)]
    codes = []
    for process in started:
        out, err = process.communicate(timeout=120)
        codes.append(process.returncode)
        assert process.returncode in (0, 4, 6, 7), out + err
        assert "bug" not in err
    assert 0 in codes
    assert git("log", "--merges", "--format=%P", cwd=adw.directory).split()[1:] == [work]
    assert_gone(adw)


STEPS = ["scratch.directory", "scratch.locked", "merge.before", "merge.after", "land.before",
         "land.after", "retire.admin"]  # fmt: skip


@pytest.mark.parametrize("step", stress_size(["merge.after", "land.after"], STEPS))
def test_killed_it_has_merged_all_or_nothing(adw: Adw, step: str) -> None:
    """And the next command has nothing left to sweep up; a second finish finishes."""
    work = head(diverged(adw))
    before = everything(adw.directory)
    adw("finish", "a", code=-signal.SIGKILL, ADW_FAULT=f"{step}=kill")
    adw("list")
    landed = head(adw.directory) != before[str(adw.directory)]["commit"]
    assert landed == (step in ("land.after", "retire.admin"))
    assert git("status", "--porcelain", cwd=adw.directory) == ""
    assert scratch_worktrees(adw.directory) == []
    if not landed:
        assert everything(adw.directory) == before
    if step != "retire.admin":  # by then it is the removal that goes on
        assert adw.json("finish", "a")["merged"] is not landed
    assert git("log", "--merges", "--format=%P", cwd=adw.directory).split()[1:] == [work]
    assert_gone(adw)


def test_asked_to_end_while_files_are_written_the_checkout_is_whole(
    adw: Adw, tmp_path: Path
) -> None:
    """Half of a fast-forward in somebody's checkout looks like changes that nobody made."""
    begun = tmp_path / "begun"
    tree = begin(adw, "a")
    (tree / ".gitattributes").write_text("slow* filter=slow\n")
    for name in ("slow1", "slow2", ".gitattributes"):
        commit(tree, name, (tree / name).read_text() if (tree / name).exists() else "x\n")
    slow = f"touch '{begun}'; sleep 0.5; cat"
    git("config", "filter.slow.smudge", slow, cwd=adw.directory)
    process = adw.start("finish", "a", quiet=True)
    settle(begun.exists, "the filter never ran")
    process.terminate()
    assert process.wait(60) in (128 + signal.SIGTERM, 0)
    assert git("status", "--porcelain", cwd=adw.directory) == ""
    adw("finish", "a", code=None)
    assert_gone(adw)
    assert (adw.directory / "slow2").read_text() == "x\n"


def test_the_branches_to_merge_into_are_completed(adw: Adw) -> None:
    git("branch", "develop", cwd=adw.directory)
    begin(adw, "a")
    assert "develop\t" in adw("complete", "--", "finish", "a", "--into", "dev").stdout
    assert adw("complete", "--", "finish", "").stdout.startswith("a\t")

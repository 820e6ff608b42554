"""GitPython for a second opinion: it sees the same branches, commits, changes and submodules.

It reads references, objects and the index itself, and shares no code with `repo/`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adw_worktree.errors import AdwError
from adw_worktree.project import open_project
from adw_worktree.repo.branches import upstream_of
from adw_worktree.repo.refs import branch_commit, head_branch, is_ancestor, resolve_commit
from adw_worktree.repo.repository import admin_directory, list_worktrees
from adw_worktree.repo.summary import glance
from adw_worktree.repo.work import Uncommitted, uncommitted
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.finish.finish import Terms, finish
from adw_worktree.worktrees.reconcile import reconcile
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.rename import rename
from adw_worktree.worktrees.restore import restore
from tests.support.repositories import git, make_repo
from tests.support.stress_size import stress_size

if TYPE_CHECKING:
    from adw_worktree.worktrees.finish.merge import Way

if TYPE_CHECKING:
    from git import Commit, Repo


def opened(path: Path) -> closing[Repo]:
    """Open a repository or worktree; imported here, since it runs git when it is imported."""
    from git import Repo

    return closing(Repo(path))


# ---- what both say -----------------------------------------------------------------------------


def compare(repo: Path) -> None:
    """Hold what our code says of the repository to what GitPython says."""
    with opened(repo) as main:
        heads = {head.name: head for head in main.heads}
        for name, head in heads.items():
            assert branch_commit(repo, name) == head.commit.hexsha
            tracked = head.tracking_branch()
            assert upstream_of(open_project(repo).repo, name) == (tracked and tracked.path)
            found = main.is_ancestor(head.commit, main.head.commit)
            assert is_ancestor(repo, head.commit.hexsha, main.head.commit.hexsha) == found
        assert branch_commit(repo, "none") is None
        listed = [entry for entry in list_worktrees(repo) if entry.path.exists()]
        assert listed[0].path == repo
        for entry in listed:
            git_dir = admin_directory(entry.path) or entry.path / ".git"
            with opened(entry.path) as tree:
                assert Path(tree.git_dir) == git_dir
                branch = None if tree.head.is_detached else tree.active_branch.name
                assert (entry.branch, head_branch(git_dir)) == (branch, branch)
                commit = tree.head.commit.hexsha
                assert (entry.head, resolve_commit(entry.path, "HEAD")) == (commit, commit)
                compare_work(tree, entry.path, git_dir, main.head.commit)


def compare_work(tree: Repo, path: Path, git_dir: Path, base: Commit) -> None:
    """Hold what would be lost with a worktree, and what is shown of it, to GitPython's view."""
    staged, changed = differences(tree)
    clash, untracked = conflicts(tree), tree.untracked_files
    work = uncommitted(path, git_dir)
    assert (work.changed, work.untracked) == (len(staged | changed | clash), len(untracked))
    assert bool(work.changed) == tree.is_dirty()
    assert unpushed_in(work) == sorted(unpushed_submodules(tree))
    seen = glance(path, base.hexsha)
    assert seen is not None
    assert (seen.conflicts, seen.untracked) == (len(clash), len(untracked))
    assert (seen.staged, seen.changed) == (len(staged - clash), len(changed - clash))
    ours, theirs = history(tree.head.commit), history(base)
    assert (seen.ahead, seen.behind) == (len(ours - theirs), len(theirs - ours))


def unpushed_in(work: Uncommitted) -> list[str]:
    """Return the repositories inside that have commits of their own."""
    before = "unpushed commits in "
    named = [text.removeprefix(before) for text in work.unseen if text.startswith(before)]
    return sorted(text.partition(" (")[0] for text in named)


def differences(tree: Repo) -> tuple[set[str], set[str]]:
    """Return the paths that differ between HEAD and the index, and the index and the files."""
    staged = tree.head.commit.diff(find_renames=True)
    found = (staged, tree.index.diff(None))
    first, second = ({str(one.b_path or one.a_path) for one in diff} for diff in found)
    return first, second


def conflicts(tree: Repo) -> set[str]:
    return {str(path) for path in tree.index.unmerged_blobs()}


def history(commit: Commit) -> set[str]:
    """Return the commit and all before it."""
    return {commit.hexsha, *(one.hexsha for one in commit.iter_parents())}


def unpushed_submodules(tree: Repo) -> Iterator[str]:
    """Yield the paths of submodules with a commit of HEAD or a branch that no remote has."""
    for submodule in tree.submodules:
        if submodule.module_exists():
            with closing(submodule.module()) as module:
                ours = [module.head.commit, *(head.commit for head in module.heads)]
                remote = [ref.commit for one in module.remotes for ref in one.refs]
                pushed = set().union(*map(history, remote))
                if not set().union(*map(history, ours)) <= pushed:
                    yield str(submodule.path)


# ---- what is done meanwhile --------------------------------------------------------------------

IDS = ("a", "b")


class Life:
    """A repository with a remote, and what people and agents do in it."""

    def __init__(self, place: Path) -> None:
        self.repo = make_repo(place / "repo")
        (self.repo / "old name").write_text("line\n" * 20)
        git("add", ".", cwd=self.repo)
        git("commit", "--quiet", "-m", "second", cwd=self.repo)
        git("clone", "--quiet", "--bare", ".", str(place / "remote"), cwd=self.repo)
        git("remote", "add", "origin", str(place / "remote"), cwd=self.repo)
        git("fetch", "--quiet", "origin", cwd=self.repo)
        self.number = 0

    def tree(self, adw_id: str) -> Path:
        return self.repo / "trees" / adw_id

    def create(self, adw_id: str) -> None:
        create(open_project(self.repo), adw_id)

    def create_detached(self, adw_id: str) -> None:
        create(open_project(self.repo), adw_id, Wish(detach=True))

    def create_tracking(self, adw_id: str) -> None:
        create(open_project(self.repo), adw_id, Wish(base="origin/main"))

    def write(self, adw_id: str) -> None:
        self.number += 1
        (self.tree(adw_id) / f"new file {self.number}").write_text("new\n")

    def change(self, adw_id: str) -> None:
        self.number += 1
        (self.tree(adw_id) / "README").write_text(f"{self.number}\n")

    def stage(self, adw_id: str) -> None:
        git("add", "--all", cwd=self.tree(adw_id))

    def move(self, adw_id: str) -> None:
        git("mv", "old name", "nämé", cwd=self.tree(adw_id), check=False)

    def delete(self, adw_id: str) -> None:
        (self.tree(adw_id) / "README").unlink(missing_ok=True)

    def commit(self, adw_id: str) -> None:
        self.change(adw_id)
        git("commit", "--quiet", "--all", "-m", "work", cwd=self.tree(adw_id), check=False)

    def commit_in_main(self, adw_id: str) -> None:
        self.number += 1
        (self.repo / "README").write_text(f"main {self.number}\n")
        git("commit", "--quiet", "--all", "-m", "meanwhile", cwd=self.repo)

    def merge(self, adw_id: str) -> None:
        """Merge main, with a conflict if both have changed."""
        git("merge", "--quiet", "main", cwd=self.tree(adw_id), check=False)

    def switch(self, adw_id: str) -> None:
        name = ["feature/ä", "topic"][self.number % 2]
        git("switch", "--quiet", "--force-create", name, cwd=self.tree(adw_id), check=False)

    def finish(self, adw_id: str, way: Way | None = None) -> None:
        project = open_project(self.repo)
        finish(project, project.pool.leases()[adw_id], Terms(way=way))

    def finish_squashed(self, adw_id: str) -> None:
        self.finish(adw_id, "squash")

    def remove(self, adw_id: str, delete: Literal["never", "always"] = "never") -> None:
        remove(open_project(self.repo), adw_id, Consent(force=True, delete_branch=delete))

    def remove_with_branch(self, adw_id: str) -> None:
        self.remove(adw_id, "always")

    def restore(self, adw_id: str) -> None:
        restore(open_project(self.repo), adw_id)

    def rename(self, adw_id: str) -> None:
        project = open_project(self.repo)
        rename(project, project.pool.leases()[adw_id], IDS[adw_id == IDS[0]])

    def delete_by_hand(self, adw_id: str) -> None:
        shutil.rmtree(self.tree(adw_id))
        reconcile(open_project(self.repo))


ACTIONS: tuple[Callable[[Life, str], None], ...] = (
    Life.create, Life.create_detached, Life.create_tracking, Life.write, Life.change, Life.stage,
    Life.move, Life.delete, Life.commit, Life.commit_in_main, Life.merge, Life.switch, Life.finish,
    Life.finish_squashed, Life.remove, Life.remove_with_branch, Life.restore, Life.rename,
    Life.delete_by_hand,
)  # fmt: skip


def act(life: Life, action: Callable[[Life, str], None], adw_id: str) -> None:
    """Do it, unless it is refused or there is nothing to do it to."""
    with suppress(AdwError, KeyError, FileNotFoundError):
        action(life, adw_id)


EACH = (
    Life.create, Life.write, Life.change, Life.stage, Life.change, Life.move, Life.delete,
    Life.remove, Life.restore, Life.stage, Life.commit, Life.commit_in_main, Life.merge,
    Life.remove_with_branch, Life.restore, Life.rename, Life.delete_by_hand, Life.create_tracking,
    Life.commit, Life.switch, Life.finish, Life.create_detached, Life.commit, Life.remove,
    Life.remove_with_branch, Life.create, Life.commit, Life.finish_squashed,
)  # fmt: skip


@pytest.mark.thorough
def test_both_agree_after_each_thing_that_is_done(tmp_path: Path) -> None:
    assert set(EACH) == set(ACTIONS)
    life = Life(tmp_path)
    compare(life.repo)
    for action in EACH:
        there = [adw_id for adw_id in IDS if life.tree(adw_id).exists()]
        act(life, action, there[0] if there else IDS[0])
        compare(life.repo)


steps = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(IDS)), max_size=8)


@pytest.mark.thorough
@settings(
    max_examples=stress_size(8, 400),
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_both_agree_after_anything(
    tmp_path: Path, steps: list[tuple[Callable[[Life, str], None], str]]
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path, ignore_cleanup_errors=True) as place:
        life = Life(Path(place))
        for adw_id in IDS:
            act(life, Life.create, adw_id)
        for action, adw_id in steps:
            act(life, action, adw_id)
        compare(life.repo)


@pytest.mark.parametrize("work", ["none", "HEAD", "a branch", "pushed", "taken out"])
def test_both_agree_on_submodules(tmp_path: Path, work: str) -> None:
    repo, part = make_repo(tmp_path / "repo"), make_repo(tmp_path / "part")
    git("config", "--global", "protocol.file.allow", "always", cwd=repo)
    for path in ("lib", "a dir/other"):
        git("submodule", "--quiet", "add", str(part), path, cwd=repo)
    git("commit", "--quiet", "-m", "parts", cwd=repo)
    tree = Path(str(create(open_project(repo), "a").lease.path))
    lib = tree / "lib"
    if work in ("HEAD", "a branch", "pushed"):
        at = git("rev-parse", "HEAD", cwd=lib).strip()
        git("switch", "--quiet", "--create", "mine", cwd=lib)
        git("commit", "--quiet", "--allow-empty", "-m", "mine", cwd=lib)
        if work == "pushed":
            git("push", "--quiet", "origin", "mine", cwd=lib)
        if work == "a branch":
            git("checkout", "--quiet", at, cwd=lib)
    elif work == "taken out":
        git("submodule", "--quiet", "deinit", "lib", cwd=tree)
    compare(repo)
    found = uncommitted(tree, repo / ".git" / "worktrees" / "a")
    assert unpushed_in(found) == (["lib"] if work in ("HEAD", "a branch") else [])

"""What would be lost: each state of a worktree, and each way to remove it, as the docs say."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.errors import Refused
from adw_worktree.project import Project, open_project
from adw_worktree.system.locks import discard as discard_lock
from adw_worktree.system.locks import try_lock
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.reconcile import reconcile
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.restore import discard, restore
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw
from tests.support.machine import bound, settle
from tests.support.repositories import git, make_repo
from tests.support.stress_size import stress_size

DOCS = CHECKOUT / "docs" / "reliability.md"


def documented() -> dict[str, dict[str, str]]:
    """Return the table of the docs: state, command, what happens."""
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in DOCS.read_text().splitlines()
        if line.startswith("| ")
    ]
    head, *states = [row for row in rows if len(row) == 6]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in states}


TABLE = documented()
CONSENT: Mapping[str, Consent] = {
    "remove": Consent(),
    "remove -f": Consent(force=True),
    "remove -d": Consent(delete_branch="integrated"),
    "remove -D": Consent(delete_branch="always"),
}


# ---- the states --------------------------------------------------------------------------------


def commit(tree: Path, name: str = "work", text: str = "work\n") -> None:
    (tree / name).write_text(text)
    git("add", name, cwd=tree)
    git("commit", "--quiet", "-m", name, cwd=tree)


def clean(repo: Path, tree: Path) -> None:
    pass


def changed(repo: Path, tree: Path) -> None:
    (tree / "README").write_text("changed\n")


def untracked(repo: Path, tree: Path) -> None:
    (tree / "a dir").mkdir()
    (tree / "a dir" / "new\nline").write_text("new\n")


def staged(repo: Path, tree: Path) -> None:
    (tree / "README").write_text("staged\n")
    git("add", "README", cwd=tree)
    (tree / "README").write_text("hello\n")


def conflicted(repo: Path, tree: Path) -> None:
    commit(repo, "README", "theirs\n")
    commit(tree, "README", "ours\n")
    git("merge", "main", cwd=tree, check=False)


def in_a_rebase(repo: Path, tree: Path) -> None:
    commit(repo, "README", "theirs\n")
    commit(tree, "README", "ours\n")
    git("rebase", "main", cwd=tree, check=False)


def in_a_bisection(repo: Path, tree: Path) -> None:
    commit(repo, "meanwhile")
    git("merge", "--quiet", "main", cwd=tree)
    git("bisect", "start", "HEAD", "HEAD~1", cwd=tree)
    git("bisect", "reset", "HEAD", cwd=tree)
    git("bisect", "start", cwd=tree)


def in_an_am(repo: Path, tree: Path) -> None:
    commit(repo, "README", "theirs\n")
    patch = git("format-patch", "-1", "--stdout", cwd=repo)
    (repo.parent / "patch").write_text(patch)
    commit(tree, "README", "ours\n")
    git("am", "--quiet", "../../../patch", cwd=tree, check=False)


def in_a_row_of_cherry_picks(repo: Path, tree: Path) -> None:
    """One was committed by hand, and the next waits: only `sequencer` tells."""
    commit(repo, "README", "theirs\n")
    commit(repo, "later")
    commit(tree, "README", "ours\n")
    git("cherry-pick", "main~1", "main", cwd=tree, check=False)
    (tree / "README").write_text("both\n")
    git("add", "README", cwd=tree)
    git("commit", "--quiet", "-m", "both", cwd=tree)
    assert git("status", "--porcelain", cwd=tree) == ""


def resolved_in_part(repo: Path, tree: Path) -> None:
    """What is staged of a conflict is in no tree that git can write."""
    for name in ("README", "other"):
        commit(repo, name, f"{name}: theirs\n")
        commit(tree, name, f"{name}: ours\n")
    git("merge", "main", cwd=tree, check=False)
    (tree / "README").write_text("resolved\n")
    git("add", "README", cwd=tree)
    (tree / "README").write_text("and changed\n")


def rebasing_with_an_autostash(repo: Path, tree: Path) -> None:
    (tree / "README").write_text("changed\n")
    commit(repo, "work", "theirs\n")
    commit(tree, "work", "ours\n")
    git("rebase", "--autostash", "main", cwd=tree, check=False)


def with_refs_of_its_own(repo: Path, tree: Path) -> None:
    git("checkout", "--quiet", "--detach", cwd=tree)
    commit(tree, "marked")
    git("update-ref", "refs/worktree/mark", "HEAD", cwd=tree)
    git("tag", "-a", "-m", "about it", "passing", "HEAD", cwd=tree)
    git("update-ref", "refs/worktree/tagged", "refs/tags/passing^{}", cwd=tree)
    git("tag", "-d", "passing", cwd=tree)
    git("checkout", "--quiet", "a", cwd=tree)


def marked(tree: Path, flag: str) -> None:
    git("update-index", flag, "README", cwd=tree)
    (tree / "README").write_text("mine\n")
    assert git("status", "--porcelain", cwd=tree) == ""


def changed_behind_skip_worktree(repo: Path, tree: Path) -> None:
    marked(tree, "--skip-worktree")


def changed_behind_assume_unchanged(repo: Path, tree: Path) -> None:
    marked(tree, "--assume-unchanged")


def sparse(repo: Path, tree: Path) -> None:
    (repo / "sub").mkdir()
    commit(repo, "sub/file")
    git("merge", "--quiet", "main", cwd=tree)
    git("sparse-checkout", "set", "nothing", cwd=tree)
    git("update-index", "--assume-unchanged", "README", cwd=tree)
    assert not (tree / "sub").exists()


def with_submodule(repo: Path, tree: Path) -> Path:
    git("config", "--global", "protocol.file.allow", "always", cwd=repo)
    part = make_repo(repo.parent / "part")
    inner = make_repo(repo.parent / "inner")
    git("submodule", "--quiet", "add", str(inner), "inner", cwd=part)
    git("commit", "--quiet", "-m", "with an inner part", cwd=part)
    git("tag", "released", cwd=part)
    git("branch", "wip", cwd=part)
    git("submodule", "--quiet", "add", str(part), "lib", cwd=repo)
    git("commit", "--quiet", "-m", "with a part", cwd=repo)
    git("merge", "--quiet", "main", cwd=tree)
    git("submodule", "--quiet", "update", "--init", "--recursive", cwd=tree)
    return tree / "lib"


def with_a_submodule(repo: Path, tree: Path) -> None:
    with_submodule(repo, tree)


def with_tags_of_a_remote_in_a_submodule(repo: Path, tree: Path) -> None:
    """Those that are on no branch of the remote came with it all the same."""
    lib = with_submodule(repo, tree)
    part = repo.parent / "part"
    git("checkout", "--quiet", "--detach", cwd=part)
    commit(part, "release")
    git("tag", "-a", "-m", "release", "v1", cwd=part)
    git("checkout", "--quiet", "main", cwd=part)
    git("fetch", "--quiet", "--tags", cwd=lib)
    git("fetch", "--quiet", "--tags", cwd=repo / "lib")


def stashed_in_a_submodule(repo: Path, tree: Path) -> None:
    lib = with_submodule(repo, tree)
    (lib / "README").write_text("changed\n")
    git("stash", "push", "--quiet", cwd=lib)


def branched_in_a_submodule(repo: Path, tree: Path) -> None:
    lib = with_submodule(repo, tree)
    git("checkout", "--quiet", "-b", "topic", cwd=lib)
    commit(lib)
    git("checkout", "--quiet", "--detach", "origin/main", cwd=lib)


def tagged_in_a_submodule(repo: Path, tree: Path) -> None:
    lib = with_submodule(repo, tree)
    commit(lib)
    git("tag", "-a", "-m", "mine", "mine", cwd=lib)
    git("checkout", "--quiet", "--detach", "origin/main", cwd=lib)


def committed_in_an_inner_submodule(repo: Path, tree: Path) -> None:
    inner = with_submodule(repo, tree) / "inner"
    git("checkout", "--quiet", "-b", "topic", cwd=inner)
    commit(inner)
    git("checkout", "--quiet", "--detach", "origin/main", cwd=inner)


def untracked_in_an_ignored_inner_submodule(repo: Path, tree: Path) -> None:
    inner = with_submodule(repo, tree) / "inner"
    git("config", "submodule.inner.ignore", "all", cwd=tree / "lib")
    git("config", "--global", "status.showUntrackedFiles", "no", cwd=tree)
    (inner / "new").write_text("new\n")
    assert git("status", "--porcelain", "--ignore-submodules=none", cwd=tree) == ""


def changed_behind_skip_worktree_in_a_submodule(repo: Path, tree: Path) -> None:
    marked(with_submodule(repo, tree), "--skip-worktree")


def in_a_merge_in_a_submodule(repo: Path, tree: Path) -> None:
    lib = with_submodule(repo, tree)
    commit(repo.parent / "part", "later")
    git("fetch", "--quiet", cwd=lib)
    git("merge", "--quiet", "--no-commit", "--no-ff", "origin/main", cwd=lib)
    git("reset", "--quiet", "--hard", cwd=lib, check=False)
    (Path(git("rev-parse", "--absolute-git-dir", cwd=lib).strip()) / "MERGE_HEAD").write_text(
        git("rev-parse", "origin/main", cwd=lib)
    )


def with_a_submodule_that_was_given_up(repo: Path, tree: Path) -> None:
    stashed_in_a_submodule(repo, tree)
    git("submodule", "--quiet", "deinit", "lib", cwd=tree)


def untracked_in_a_submodule_that_is_not_checked_out(repo: Path, tree: Path) -> None:
    with_submodule(repo, tree)
    git("submodule", "--quiet", "deinit", "lib", cwd=tree)
    (tree / "lib").mkdir(exist_ok=True)
    (tree / "lib" / "notes").write_text("mine\n")


def with_a_broken_submodule(repo: Path, tree: Path) -> None:
    (with_submodule(repo, tree) / ".git").write_text("gitdir: ../nowhere\n")


def with_a_worktree_of_a_submodule(repo: Path, tree: Path) -> None:
    lib = with_submodule(repo, tree)
    git("worktree", "add", "--quiet", "--detach", str(repo.parent / "out"), cwd=lib)


def with_an_embedded_repository(repo: Path, tree: Path) -> None:
    make_repo(repo / "vendor")
    git("add", "vendor", cwd=repo)
    git("commit", "--quiet", "-m", "embedded", cwd=repo)
    git("merge", "--quiet", "main", cwd=tree)
    git("clone", "--quiet", "../../vendor", "vendor", cwd=tree)
    git("checkout", "--quiet", "-b", "topic", cwd=tree / "vendor")
    commit(tree / "vendor")
    git("checkout", "--quiet", "main", cwd=tree / "vendor")
    assert git("status", "--porcelain", cwd=tree) == ""


MOUNTS = ExitStack()


@pytest.fixture(autouse=True)
def nothing_stays_mounted() -> Iterator[None]:
    yield
    MOUNTS.close()


def with_something_mounted_inside(repo: Path, tree: Path) -> None:
    ignored_files_only(repo, tree)
    MOUNTS.enter_context(bound(make_repo(repo.parent / "precious"), tree / "data.log"))


def changed_in_a_submodule(repo: Path, tree: Path) -> None:
    (with_submodule(repo, tree) / "README").write_text("changed\n")


def committed_in_a_submodule(repo: Path, tree: Path) -> None:
    lib = with_submodule(repo, tree)
    commit(lib)
    git("add", "lib", cwd=tree)
    git("commit", "--quiet", "-m", "part moved", cwd=tree)
    git("merge", "--quiet", "a", cwd=repo)


def committed_in_a_submodule_that_was_taken_out(repo: Path, tree: Path) -> None:
    lib = with_submodule(repo, tree)
    git("checkout", "--quiet", "-b", "mine", cwd=lib)
    commit(lib)
    git("submodule", "--quiet", "deinit", "--force", "lib", cwd=tree)


def committed_in_a_repository_inside(repo: Path, tree: Path) -> None:
    """One that was made there and added as it is: no `.gitmodules` tells of it."""
    make_repo(tree / "lib")
    git("-c", "advice.addEmbeddedRepo=false", "add", "lib", cwd=tree)
    git("commit", "--quiet", "-m", "a repository", cwd=tree)
    git("merge", "--quiet", "a", cwd=repo)


def stash_made_there(repo: Path, tree: Path) -> None:
    changed(repo, tree)
    git("stash", "push", "--quiet", cwd=tree)


def unpushed(repo: Path, tree: Path) -> None:
    git("init", "--quiet", "--bare", str(repo.parent / "remote"), cwd=repo)
    git("remote", "add", "origin", str(repo.parent / "remote"), cwd=repo)
    git("push", "--quiet", "--set-upstream", "origin", "a", cwd=tree)
    commit(tree)


def unmerged(repo: Path, tree: Path) -> None:
    commit(tree)


def detached_with_commits(repo: Path, tree: Path) -> None:
    git("checkout", "--quiet", "--detach", cwd=tree)
    commit(tree)


def diverged(repo: Path, tree: Path) -> None:
    commit(tree, "one")
    commit(tree, "two")
    commit(repo, "meanwhile")


def merged(repo: Path, tree: Path) -> None:
    diverged(repo, tree)
    git("merge", "--quiet", "--no-edit", "a", cwd=repo)


def rebased(repo: Path, tree: Path) -> None:
    diverged(repo, tree)
    git("checkout", "--quiet", "--detach", "a", cwd=repo)
    git("rebase", "--quiet", "main", cwd=repo)
    git("checkout", "--quiet", "-B", "main", cwd=repo)


def squash_merged(repo: Path, tree: Path) -> None:
    diverged(repo, tree)
    git("merge", "--quiet", "--squash", "a", cwd=repo)
    git("commit", "--quiet", "-m", "squashed", cwd=repo)


def cherry_picked(repo: Path, tree: Path) -> None:
    diverged(repo, tree)
    git("cherry-pick", "a~1", "a", cwd=repo)


def locked(repo: Path, tree: Path) -> None:
    git("worktree", "lock", str(tree), cwd=repo)


def with_a_worktree_inside(repo: Path, tree: Path) -> None:
    git("worktree", "add", "--quiet", str(tree / "trees" / "inner"), cwd=repo)
    (tree / "trees" / "inner" / "new").write_text("new\n")


def without_its_git_file(repo: Path, tree: Path) -> None:
    staged(repo, tree)
    untracked(repo, tree)
    (tree / ".git").unlink()


def with_a_damaged_git_file(repo: Path, tree: Path) -> None:
    changed(repo, tree)
    (tree / ".git").write_bytes(b"\0\xff")


def with_the_git_file_of_another(repo: Path, tree: Path) -> None:
    git("worktree", "add", "--quiet", "trees/b", cwd=repo)
    shutil.copy(repo / "trees" / "b" / ".git", tree / ".git")


def ignored_files_only(repo: Path, tree: Path) -> None:
    with (repo / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write("*.log\n")
    (tree / "x.log").write_text("noise\n")


STATES: Mapping[str, Callable[[Path, Path], Any]] = {
    re.sub("_", " ", made.__name__): made
    for made in (
        clean, changed, untracked, staged, conflicted, in_a_rebase, changed_in_a_submodule,
        committed_in_a_submodule, committed_in_a_submodule_that_was_taken_out,
        committed_in_a_repository_inside,
        in_a_bisection, in_an_am, in_a_row_of_cherry_picks, resolved_in_part, with_refs_of_its_own,
        rebasing_with_an_autostash, changed_behind_skip_worktree, changed_behind_assume_unchanged,
        sparse, with_a_submodule, with_tags_of_a_remote_in_a_submodule, stashed_in_a_submodule,
        branched_in_a_submodule, tagged_in_a_submodule, committed_in_an_inner_submodule,
        untracked_in_an_ignored_inner_submodule, changed_behind_skip_worktree_in_a_submodule,
        in_a_merge_in_a_submodule, with_a_submodule_that_was_given_up,
        untracked_in_a_submodule_that_is_not_checked_out, with_a_broken_submodule,
        with_a_worktree_of_a_submodule, with_an_embedded_repository, with_something_mounted_inside,
        stash_made_there, unpushed, unmerged, detached_with_commits,
        merged, rebased, locked, ignored_files_only, with_a_worktree_inside,
        without_its_git_file, with_a_damaged_git_file, with_the_git_file_of_another,
    )
} | {"squash-merged": squash_merged, "cherry-picked": cherry_picked}  # fmt: skip


# ---- the table ---------------------------------------------------------------------------------


def test_every_state_and_command_is_in_the_docs() -> None:
    assert set(TABLE) == set(STATES)
    assert {column for row in TABLE.values() for column in row} == {*CONSENT, "reconcile"}


def picture(tree: Path) -> dict[str, str | bytes]:
    """Return all that a person has in a worktree, as git and the file system tell it."""
    files = {
        str(path.relative_to(tree)): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and path.name not in (".git", ".env.ports")
    }
    # Named, since the worktree's own `.git` file may be lost.
    admin = tree.parent.parent / ".git" / "worktrees" / "a"
    where = [f"--git-dir={admin}", f"--work-tree={tree}"]
    told = {
        " ".join(question): git(*where, *question, cwd=tree, check=False)
        for question in (
            ("status", "--porcelain=v2", "--branch", "--untracked-files=all"),
            ("diff", "--cached"),
            ("ls-files", "--stage", "-v"),
            ("for-each-ref",),
            ("log", "--format=%H", "-5"),
            ("stash", "list"),
            ("branch", "--format=%(refname) %(objectname)"),
            ("submodule", "status"),
        )
    }
    return {**files, **told, **nested(tree), "state": waiting(tree)}


def nested(tree: Path) -> dict[str, str]:
    """Return what the repositories inside a worktree have, checked out or not."""
    modules = tree.parent.parent / ".git" / "worktrees" / "a" / "modules"
    places = {path.parent for path in tree.rglob(".git")} - {tree}
    places |= {path.parent for path in modules.rglob("HEAD") if path.parent.name != "logs"}
    questions = [("log", "--all", "--format=%H"), ("for-each-ref",), ("stash", "list"),
                 ("ls-files", "--stage", "-v"), ("diff", "--no-ext-diff")]  # fmt: skip
    return {
        f"{question} in {place}": git(*question, cwd=place, check=False)
        for place in places
        for question in questions
    }


def waiting(tree: Path) -> str:
    """Return the state of what waits for its user, with each object that it names whole."""
    admin = tree.parent.parent / ".git" / "worktrees" / "a"
    files = [path for kind in ("rebase-merge", "rebase-apply", "sequencer")
             for path in (admin / kind).rglob("*") if path.is_file()]  # fmt: skip
    files += [path for path in admin.glob("*HEAD") if path.name != "FETCH_HEAD"]
    text = "".join(f"{path.name}: {path.read_text()}\n" for path in sorted(files))
    for name in re.findall(r"\b[0-9a-f]{40}\b", text):
        kind = git("cat-file", "-t", name, cwd=tree.parent.parent, check=False)
        text += f"{name} is a {kind}"
    return text


class Scene:
    """A fresh repository with the worktree of `a` in the state asked for."""

    def __init__(self, place: Path, state: str) -> None:
        self.repo = make_repo(place / "repo")
        self.project: Project = open_project(self.repo)
        self.tree = Path(str(create(self.project, "a").lease.path))
        STATES[state](self.repo, self.tree)
        self.commits = self.all_commits()

    def all_commits(self) -> set[str]:
        """Return every commit that has a name; reading them proves that they are whole."""
        everything = git("rev-list", "--objects", "--all", "--reflog", cwd=self.repo).split()
        return {word for word in everything if len(word) == 40}


def two_columns(state: str) -> dict[str, str]:
    """Return the first column of a row, and another one: the next in the next row."""
    (first, *others), row = TABLE[state].items(), list(TABLE).index(state)
    return dict([first, others[row % len(others)]])


@pytest.mark.parametrize("state", TABLE)
def test_nothing_is_lost_that_the_docs_do_not_say(tmp_path: Path, state: str) -> None:
    scenes = 0
    scene = Scene(tmp_path / "0", state)
    for command, expected in stress_size(two_columns(state), TABLE[state]).items():
        if not scene.tree.exists():
            scenes += 1
            scene = Scene(tmp_path / str(scenes), state)
        before = picture(scene.tree)
        slot = scene.project.pool.leases()["a"].slot
        if expected == "untouched":
            reconcile(scene.project)
        elif expected == "refused":
            with pytest.raises(Refused):
                remove(scene.project, "a", CONSENT[command])
        else:
            gone = remove(scene.project, "a", CONSENT[command])
            assert not scene.tree.exists()
            assert scene.project.pool.leases() == {}
            assert (gone.kept is not None) is (expected == "kept"), command
            if expected == "removed":
                tip = git("rev-parse", "--verify", "--quiet", "a", cwd=scene.repo, check=False)
                assert tip or command in ("remove -d", "remove -D")
                continue
            git("gc", "--quiet", "--prune=now", cwd=scene.repo)
            restore(scene.project, "a")
        assert scene.project.pool.leases()["a"].slot == slot
        assert picture(scene.tree) == before, command


# ---- the trash ---------------------------------------------------------------------------------


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a worktree with untracked work."""
    return Scene(tmp_path, "untracked")


def test_restore_gives_another_slot_if_its_own_is_taken(scene: Scene) -> None:
    gone = remove(scene.project, "a", Consent(force=True))
    assert gone.released is not None
    other = scene.project.pool.reserve("other", wanted=gone.released.slot)
    back = restore(scene.project, "a")
    assert back.lease.slot != other.slot
    assert f"ADW_SLOT={back.lease.slot}\n" in back.env_file.read_text()


def test_restore_under_another_name_beside_the_one_that_was_made_again(scene: Scene) -> None:
    before = picture(scene.tree)
    remove(scene.project, "a", Consent(force=True))
    create(scene.project, "a")
    with pytest.raises(Refused):
        restore(scene.project, "a")
    back = restore(scene.project, "a", as_id="b")
    # The branch is checked out in the new worktree: this one comes back beside it.
    assert back.notes
    assert (scene.tree.parent / "b" / "a dir" / "new\nline").exists()
    assert git("status", "--porcelain", cwd=scene.tree) == ""
    assert set(before) - set(picture(scene.tree.parent / "b")) == set()


def test_restore_when_the_branch_moved_on_shows_no_false_changes(scene: Scene) -> None:
    remove(scene.project, "a", Consent(force=True))
    commit(scene.repo, "meanwhile")
    git("branch", "--force", "a", "main", cwd=scene.repo)
    back = restore(scene.project, "a")
    assert "detached" in back.notes[0]
    status = git("status", "--porcelain", "-z", cwd=scene.tree)
    assert status == "?? a dir/\0"


def test_restore_over_something_else_is_refused(scene: Scene) -> None:
    remove(scene.project, "a", Consent(force=True))
    scene.tree.mkdir(parents=True)
    (scene.tree / "mine").write_text("x")
    with pytest.raises(Refused):
        restore(scene.project, "a")
    assert [entry.adw_id for entry in trash.kept_entries(scene.project.repo)] == ["a"]


def test_restore_without_a_free_slot_leaves_all_as_it_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(scene.project, "a", Consent(force=True))
    monkeypatch.setenv("ADW_SLOTS", "1")
    full = open_project(scene.repo)
    full.pool.reserve("other")
    with pytest.raises(RuntimeError, match="Port pool exhausted"):
        restore(full, "a")
    assert not scene.tree.exists()
    full.pool.release(full.pool.leases()["other"])
    restore(full, "a")
    assert (scene.tree / "a dir").is_dir()


def test_restore_of_a_worktree_that_was_no_adws(scene: Scene) -> None:
    git("worktree", "add", "--quiet", "plain", cwd=scene.repo)
    (scene.repo / "plain" / "new").write_text("new\n")
    gone = remove(scene.project, scene.repo / "plain", Consent(force=True))
    assert gone.kept is not None
    back = restore(scene.project, gone.kept.name, as_id="plain")
    assert Path(str(back.lease.path)) == scene.repo / "plain"
    assert (scene.repo / "plain" / "new").read_text() == "new\n"


def test_trash_keeps_the_latest_of_a_name_first(scene: Scene) -> None:
    remove(scene.project, "a", Consent(force=True))
    tree = Path(str(create(scene.project, "a").lease.path))
    (tree / "second").write_text("second\n")
    remove(scene.project, "a", Consent(force=True))
    restore(scene.project, "a")
    assert (tree / "second").exists()
    assert len(trash.kept_entries(scene.project.repo)) == 1


def aged(scene: Scene, days: float) -> None:
    """Make the one entry of the trash look as if it had been removed `days` ago."""
    (entry,) = trash.kept_entries(scene.project.repo)
    then = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    trash.save(trash.place(scene.project.repo, entry.name), entry._replace(removed_at=then))


def test_trash_goes_after_its_days_if_found_too_old_twice(scene: Scene) -> None:
    repo = scene.project.repo
    remove(scene.project, "a", Consent(force=True))
    aged(scene, 6.9)
    trash.purge(repo, 7)
    aged(scene, 7.1)
    trash.purge(repo, 7)
    trash.purge(repo, 7)
    (entry,) = trash.kept_entries(repo)
    yesterday = time.time() - 25 * 3600
    os.utime(trash.place(repo, entry.name) / "expired", (yesterday, yesterday))
    trash.purge(repo, 7)
    assert trash.kept_entries(repo) == []
    assert "trash" not in git("for-each-ref", cwd=scene.repo)


def test_clock_that_was_wrong_for_an_hour_empties_no_trash(scene: Scene) -> None:
    repo = scene.project.repo
    remove(scene.project, "a", Consent(force=True))
    aged(scene, 365)
    trash.purge(repo, 7)
    aged(scene, 0)
    trash.purge(repo, 7)
    aged(scene, 8)
    trash.purge(repo, 7)
    assert len(trash.kept_entries(repo)) == 1


def test_nothing_is_kept_if_the_setting_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADW_TRASH_DAYS", "0")
    gone = remove(open_project(scene.repo), "a", Consent(force=True))
    assert gone.kept is None
    place = scene.repo / ".git" / "adw-worktree" / "trash"
    settle(lambda: list(place.iterdir()) == [], "the files were never deleted")


@pytest.mark.parametrize("step", ["remove", "restore", "discard"])
def test_who_sweeps_a_stray_lock_is_waited_for(
    scene: Scene, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred removals at once failed over each other's sweeping."""
    (scene.tree / "new").touch()
    monkeypatch.setattr(trash, "new_name", lambda _: "a-1")
    path = scene.repo / ".git" / "adw-worktree" / "trash" / "a-1.lock"
    if step != "remove":
        remove(scene.project, "a", Consent(force=True))
    lock = try_lock(path)
    assert lock is not None
    threading.Timer(0.3, lambda: discard_lock(lock)).start()
    if step == "remove":
        assert remove(scene.project, "a", Consent(force=True)).removed
    elif step == "restore":
        restore(scene.project, "a")
    else:
        discard(scene.project, "a")
    assert not path.exists()


def test_read_only_directories_go_with_their_worktree(scene: Scene) -> None:
    """As the Go module cache and Nix make them."""
    (scene.tree / "a dir").chmod(0o555)
    project = scene.project
    remove(project, "a", Consent(force=True))
    trash.purge(project.repo, 0)
    settle(lambda: not trash.interrupted(project.repo), "the files are not deleted")
    assert list((scene.repo / ".git" / "adw-worktree" / "trash").iterdir()) == []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Return a directory on another file system."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    with tempfile.TemporaryDirectory(dir=shared) as directory:
        yield Path(directory)


@pytest.mark.parametrize("force", [True, False], ids=["kept", "deleted"])
def test_worktree_on_another_file_system_leaves_nothing_there(
    scene: Scene, elsewhere: Path, force: bool
) -> None:
    project = scene.project
    tree = elsewhere / "b"
    create(project, "b", Wish(path=tree))
    if force:
        (tree / "new").write_text("new\n")
        (tree / "link").symlink_to("new")
        os.mkfifo(tree / "pipe")
    remove(project, "b", Consent(force=force))
    assert list(elsewhere.iterdir()) == []
    assert "b" not in project.pool.leases()
    if force:
        restore(project, "b")
        assert (tree / "link").read_text() == "new\n"
        assert git("status", "--porcelain", cwd=tree) == "?? link\n?? new\n"
        assert sorted(path.name for path in elsewhere.iterdir()) == ["b"]


def test_command_line_removes_lists_restores_and_discards(scene: Scene) -> None:
    adw = Adw(scene.repo)
    assert adw.json("restore")["kept"] == []
    until = adw.json("remove", "a", "--force")["kept_until"]
    (kept,) = adw.json("restore")["kept"]
    assert (kept["adw_id"], kept["branch"], kept["kept_until"]) == ("a", "a", until)
    back = adw.json("restore", "a")
    assert back.keys() >= {"restored", "adw_id", "slot", "ports", "path", "branch", "env_file"}
    assert adw("list").stdout.count("trees/a") == 1
    adw("remove", "a", "--force")
    adw("restore", "a", "--discard")
    assert adw.json("restore")["kept"] == []
    assert adw("restore", "a", code=6).stderr.count("hint: ") == 1
    assert adw("restore", "--discard", code=2)


def test_damaged_record_keeps_the_files(scene: Scene) -> None:
    remove(scene.project, "a", Consent(force=True))
    (entry,) = trash.kept_entries(scene.project.repo)
    directory = trash.place(scene.project.repo, entry.name)
    (directory / "entry.json").write_text('{"schema_version": 1, "admin_id": "../.."}')
    trash.purge(scene.project.repo, 0)
    assert trash.kept_entries(scene.project.repo) == []
    assert (directory / "tree" / "a dir").is_dir()
    shutil.rmtree(directory)

"""A feature lands on its base as the branch of any ADW does, or waits for a person."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.orchestration.store.records import events as load_events
from tests.support.command_line import Adw, user_hook
from tests.support.features import (
    COMMIT,
    kill_all,
    phase,
    reasons,
    start,
    statuses,
    store,
    until,
    until_there,
    work,
    write_feature,
)  # fmt: skip
from tests.support.repositories import branches, git, worktrees


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test leaves running."""
    yield
    kill_all()


def events(adw: Adw) -> list[dict[str, Any]]:
    database = store()
    try:
        return [event._asdict() for event in load_events(database, "1 = 1")]
    finally:
        database.close()


def completed(adw: Adw) -> None:
    start(adw, "f", phase(1), phase(2, needs=[1]))
    work(adw)


@pytest.mark.thorough
def test_a_completed_feature_is_merged_and_its_branch_goes(adw: Adw, repo: Path) -> None:
    completed(adw)
    ran = adw("feature", "finish", "f")
    assert "fast-forwarded main to feature/f, by 2 commits" in ran.stdout
    assert {"f-p1", "f-p2"} <= {*git("ls-tree", "--name-only", "main", cwd=repo).split()}
    assert branches(repo) == {"main"}
    assert worktrees(repo) == [str(repo)]
    assert "merged before" in adw("feature", "finish", "f", code=4).stderr


def test_a_feature_that_is_to_be_merged_is(adw: Adw, repo: Path) -> None:
    start(adw, "f", phase(1), phase(2, needs=[1]), land="merge")
    work(adw)
    assert {"f-p1", "f-p2"} <= {*git("ls-tree", "--name-only", "main", cwd=repo).split()}
    assert branches(repo) == {"main"}
    assert adw.json("feature", "show", "f")["feature"]["landing"] == "landed"


@pytest.mark.thorough
def test_who_waits_for_a_feature_waits_for_its_merge(adw: Adw, repo: Path) -> None:
    file = str(write_feature(adw, "f", phase(1), land="merge"))
    assert "landing: landed" in adw("feature", "start", file, "--yes", "--wait").stdout
    assert "f-p1" in git("ls-tree", "--name-only", "main", cwd=repo).split()
    (repo / "g-p1").write_text("in the way\n")
    file = str(write_feature(adw, "g", phase(1), land="merge"))
    found = adw.json("feature", "start", file, "--yes", "--wait", code=11)
    assert found["feature"]["landing"].startswith("failed: ")


def test_a_merge_that_conflicts_is_told_and_repeated_by_a_person(adw: Adw, repo: Path) -> None:
    (repo / "f-p1").write_text("other\n")
    start(adw, "f", phase(1, f"git -C {repo} add f-p1; git -C {repo} commit -qm other", COMMIT),
          land="merge")  # fmt: skip
    work(adw)
    feature = adw.json("feature", "show", "f")["feature"]
    assert feature["status"] == "completed"
    assert feature["landing"].startswith("failed: ")
    kinds = [one["kind"] for one in events(adw)]
    assert kinds.count("feature.landing-failed") == 1
    assert "landing" in adw("feature", "show", "f").stdout


@pytest.mark.thorough
def test_one_that_lands_is_gone_on_with_after_a_kill(adw: Adw, repo: Path, tmp_path: Path) -> None:
    user_hook("pre-finish", f"[ $ADW_ID != f ] || [ -e {tmp_path}/go ] || "
              f"{{ touch {tmp_path}/there; sleep 60; }}")  # fmt: skip
    start(adw, "f", phase(1), land="merge")
    until_there(tmp_path / "there")
    kill_all()
    (tmp_path / "go").touch()
    work(adw)
    assert "f-p1" in git("ls-tree", "--name-only", "main", cwd=repo).split()
    assert adw.json("feature", "show", "f")["feature"]["landing"] == "landed"


FORGE = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$0.calls"
case $2 in
list) cat "$0.open" 2>/dev/null ;;
create) cat >"$0.body"; echo https://example.com/pull/7 | tee "$0.open" ;;
esac
"""


@pytest.mark.file_store
def test_a_pull_request_is_opened_once(
    adw: Adw, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(FORGE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    remote = tmp_path / "remote.git"
    git("init", "-q", "--bare", str(remote), cwd=tmp_path)
    git("remote", "add", "origin", str(remote), cwd=repo)
    start(adw, "f", phase(1), land="pr")
    work(adw)
    assert adw.json("feature", "show", "f")["feature"]["landing"] == "https://example.com/pull/7"
    assert git("rev-parse", "feature/f", cwd=remote) == git("rev-parse", "feature/f", cwd=repo)
    told = program.with_name("gh.calls").read_text()
    assert told.count("pr create") == 1
    assert "--head=feature/f --base=main --title=F" in told
    assert "1. Phase 1" in program.with_name("gh.body").read_text()


def test_a_pull_request_needs_its_program(
    adw: Adw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_alone = tmp_path / "bin"
    git_alone.mkdir()
    for name in ("git", "sh"):
        (git_alone / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(git_alone))
    file = write_feature(adw, "f", phase(1), land="pr")
    assert "gh" in adw("feature", "start", str(file), "--yes", code=3).stderr


def test_as_one_commit_onto_another_branch(adw: Adw, repo: Path) -> None:
    completed(adw)
    git("branch", "next", cwd=repo)
    told = adw.json("feature", "finish", "f", "--squash", "--into", "next")
    assert (told["into"], told["way"], told["commits"]) == ("next", "squash", 2)
    assert git("rev-list", "--count", "main..next", cwd=repo).strip() == "1"


@pytest.mark.thorough
def test_hooks_judge_it_and_a_person_goes_on(adw: Adw, repo: Path) -> None:
    completed(adw)
    user_hook("pre-finish", "test -f fixed")
    before = git("rev-parse", "main", cwd=repo)
    assert "pre-finish" in adw("feature", "finish", "f", code=9).stderr
    assert git("rev-parse", "main", cwd=repo) == before
    tree = Path(adw("path", "f").stdout.strip())
    assert git("rev-parse", "--abbrev-ref", "HEAD", cwd=tree).strip() == "feature/f"
    (tree / "fixed").touch()
    git("add", "fixed", cwd=tree)
    git("commit", "-qm", "fixed", cwd=tree)
    adw("feature", "finish", "f")
    assert "fixed" in git("ls-tree", "--name-only", "main", cwd=repo).split()


@pytest.mark.file_store
def test_a_conflict_changes_nothing(adw: Adw, repo: Path) -> None:
    completed(adw)
    (repo / "f-p1").write_text("another\n")
    git("add", "f-p1", cwd=repo)
    git("commit", "-qm", "mine", cwd=repo)
    before = git("rev-parse", "main", cwd=repo)
    assert "f-p1" in adw("feature", "finish", "f", code=7).stderr
    assert git("rev-parse", "main", cwd=repo) == before


def test_a_feature_that_is_not_completed_does_not_land(adw: Adw) -> None:
    start(adw, "f", phase(1, "false"))
    until(adw, "f.1", "failed")
    assert "not completed" in adw("feature", "finish", "f", code=7).stderr


def test_another_adw_of_that_name_is_left_alone(adw: Adw) -> None:
    completed(adw)
    adw("create", "f")
    assert "is not on feature/f" in adw("feature", "finish", "f", code=7).stderr


@pytest.mark.thorough
def test_all_that_failed_of_a_feature_is_repeated(adw: Adw, tmp_path: Path) -> None:
    line = f"test -f {tmp_path}/ready"
    start(adw, "f", phase(1, line, COMMIT), phase(2, line, COMMIT), phase(3, needs=[1, 2]))
    work(adw)
    assert statuses(adw, "f") == {1: "failed", 2: "failed", 3: "blocked"}
    (tmp_path / "ready").touch()
    adw("feature", "retry", "f")
    work(adw)
    assert set(statuses(adw, "f").values()) == {"completed"}
    assert "nothing to repeat" in adw("feature", "retry", "f", code=7).stderr


@pytest.mark.thorough
def test_a_cancelled_feature_goes_on(adw: Adw) -> None:
    start(adw, "f", phase(1, "sleep 60", changes="none"), phase(2, needs=[1]))
    until(adw, "f.1", "running")
    adw("feature", "cancel", "f")
    work(adw)
    assert reasons(adw, "f.1") == ["cancelled"]
    adw("feature", "retry", "f")
    until(adw, "f.1", "running")
    assert statuses(adw, "f")[2] == "queued"


@pytest.mark.thorough
def test_a_cancelled_feature_whose_slug_is_used_again_stays_so(adw: Adw) -> None:
    start(adw, "f", phase(1, "sleep 60", changes="none"))
    until(adw, "f.1", "running")
    adw("feature", "cancel", "f")
    work(adw)
    start(adw, "f", phase(1, "sleep 60", changes="none"))
    assert "choose another slug" in adw("feature", "retry", "1", code=7).stderr

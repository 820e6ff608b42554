"""The operations as programs call them: many times in one process, from threads, in silence.

The command line, the coordinator and the board run them side by side. None may print, ask, change
the working directory or anything else of the process, and none may leave a descriptor or a child.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from adw_worktree.errors import AdwError
from adw_worktree.project import open_project
from adw_worktree.system.memo import Memory
from adw_worktree.worktrees import results, spares
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from adw_worktree.worktrees.finish.finish import Terms, finish
from adw_worktree.worktrees.finish.result import finished
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.listing import rows
from adw_worktree.worktrees.lock import lock, unlock
from adw_worktree.worktrees.lookup import find_lease, other_projects, require_path
from adw_worktree.worktrees.reconcile_pass import background_pass, full_pass
from adw_worktree.worktrees.remove import remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.remove_several import plan_removals, remove_several
from adw_worktree.worktrees.rename import rename
from adw_worktree.worktrees.restore import discard, restore
from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.repositories import branches, git, make_repo, worktrees
from tests.support.stress_size import stress_size

pytestmark = pytest.mark.thorough
CALLS = stress_size(8, 1000)
THREADS = 8


def state_of_the_process() -> dict[str, object]:
    """Return what a call may not change, for this process and whoever runs beside it in it."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "directory": os.getcwd(),
        "environment": {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
        "umask": mask,
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "threads": threading.active_count(),
        "descriptors": psutil.Process().num_fds(),
        "children": [child.pid for child in psutil.Process().children()],
    }


@pytest.fixture
def unchanged(
    adw: Adw, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Hold the process to its state before the test, and its streams to silence."""

    def asked(*_: object) -> str:
        raise AssertionError("an operation asked on the terminal")

    monkeypatch.setattr("builtins.input", asked)
    monkeypatch.chdir("/")  # an operation that looks at the working directory finds no repository
    create_and_remove(adw.directory, "warm-up")  # loads what is loaded once
    full_pass(open_project(adw.directory))
    before = state_of_the_process()
    yield
    assert state_of_the_process() == before
    assert capfd.readouterr() == ("", "")


def create_and_remove(directory: Path, adw_id: str) -> None:
    project = open_project(directory)
    made = create(project, adw_id, Wish())
    assert results.created(made)["created"]
    assert remove(project, adw_id, Consent(delete_branch="always")).removed


def commit_in(worktree: Path) -> None:
    (worktree / "work").write_text(worktree.name)
    git("add", "work", cwd=worktree)
    git("commit", "--quiet", "-m", "work", cwd=worktree)


# ---- each operation -----------------------------------------------------------------------------


def call_create(directory: Path, number: int) -> None:
    create_and_remove(directory, f"c{number}")


def call_remove_several(directory: Path, number: int) -> None:
    project = open_project(directory)
    ids = [f"s{number}-a", f"s{number}-b"]
    paths = [create(project, adw_id, Wish()).lease.path for adw_id in ids]
    targets: dict[str, str | Path] = {
        ids[0]: ids[0],
        "by path": Path(str(paths[1])),
        "nowhere": f"nowhere{number}",
    }
    consent = Consent(delete_branch="always")
    plan = plan_removals(project, targets, consent)
    assert (list(plan.going), list(plan.refused)) == ([ids[0], "by path"], ["nowhere"])
    done = remove_several(project, plan, consent)
    document = results.removed_several(done, project.settings.trash_days)
    assert [one["adw_id"] for one in document["removals"]] == ids
    assert [one["target"] for one in document["refused"]] == ["nowhere"]


def call_passes(directory: Path, _number: int) -> None:
    project = open_project(directory)
    heal(project)
    background_pass(project)
    dry = full_pass(project, dry_run=True)
    passes = [(project, full_pass(project)), (project, dry)]
    assert results.reconciled(passes, dry_run=False)["ok"]


def call_lock(directory: Path, number: int) -> None:
    project = open_project(directory)
    lease = create(project, f"l{number}", Wish()).lease
    assert lock(project, lease, "in use").changed
    assert results.locked(lock(project, lease))["locked"]
    with pytest.raises(AdwError, match="locked"):
        remove(project, lease.adw_id)
    assert unlock(project, lease).changed
    assert not unlock(project, lease).changed
    remove(project, lease.adw_id, Consent(delete_branch="always"))


def call_finish(directory: Path, number: int) -> None:
    project = open_project(directory)
    git("branch", f"into{number}", "main", cwd=directory)
    lease = create(project, f"f{number}", Wish()).lease
    commit_in(Path(str(lease.path)))
    done = finish(project, lease, Terms(into=f"into{number}"))
    assert finished(done, lease.adw_id, 7)["merged"]


def call_rename_and_restore(directory: Path, number: int) -> None:
    project = open_project(directory)
    lease = create(project, f"r{number}", Wish()).lease
    project, lease = find_lease(directory, lease.adw_id)
    lease = rename(project, lease, f"renamed{number}").lease
    (require_path(project, lease) / "unsaved").write_text("work")
    remove(project, lease.adw_id, Consent(force=True))
    back = restore(project, lease.adw_id)
    assert results.restored(back)["restored"]
    assert (require_path(project, back.lease) / "unsaved").read_text() == "work"
    remove(project, lease.adw_id, Consent(force=True, delete_branch="always"))
    discard(project, lease.adw_id)


def call_reads(directory: Path, _number: int) -> None:
    project = open_project(directory)
    assert [results.listed(project, row) for row in rows(project)]
    other_projects(project, [])


OPERATIONS: dict[str, Callable[[Path, int], None]] = {
    "create": call_create,
    "remove several": call_remove_several,
    "reconcile": call_passes,
    "lock": call_lock,
    "finish": call_finish,
    "rename, restore": call_rename_and_restore,
    "list": call_reads,
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_is_called_many_times_in_one_process(adw: Adw, operation: str) -> None:
    for number in range(CALLS):
        OPERATIONS[operation](adw.directory, number)
    assert_nothing_left(adw.directory)


@pytest.mark.usefixtures("unchanged")
def test_operations_are_called_from_threads(adw: Adw, tmp_path: Path) -> None:
    """Two repositories, eight threads, every operation: each ends as if it were alone."""
    repos = [adw.directory, make_repo(tmp_path / "second")]

    def call(number: int) -> None:
        operation = list(OPERATIONS.values())[number % len(OPERATIONS)]
        operation(repos[number % 2], number)

    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(call, number) for number in range(2 * CALLS)]:
            done.result()
    for repo in repos:
        assert_nothing_left(repo)


@pytest.mark.usefixtures("unchanged")
def test_spares_are_filled_and_dropped_in_one_process(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADW_SPARES", "1")
    for _ in range(stress_size(3, 50)):
        project = open_project(adw.directory)
        assert spares.fill(project).ready == 1
        assert spares.drop(project) == 1
    monkeypatch.delenv("ADW_SPARES")


def assert_nothing_left(repo: Path) -> None:
    project = open_project(repo)
    assert project.pool.leases() == {}
    assert worktrees(repo) == [str(repo)]
    assert {name for name in branches(repo) if not name.startswith("into")} == {"main"}
    trash = project.repo.tool_dir / "trash"
    settle(lambda: not trash.is_dir() or not any(trash.iterdir()), "files of the trash stay")
    fsck = subprocess.run(["git", "fsck", "--strict"], cwd=repo, capture_output=True, check=False)
    assert fsck.returncode == 0, fsck.stderr


def test_memory_is_shared_by_threads() -> None:
    memory: Memory[int, int] = Memory(4)

    def use(start: int) -> None:
        for number in range(start, start + 20_000):
            memory.keep(number, number)
            assert memory.recall(number) in (None, number)

    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(use, start * 7) for start in range(THREADS)]:
            done.result()

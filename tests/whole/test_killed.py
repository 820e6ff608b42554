"""Killed anywhere: whatever ends a command, and at whichever step, one ordinary command heals."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from adw_worktree.integrations.git_hooks import CONFIG_GIT
from adw_worktree.pool import registry
from adw_worktree.pool.receipts import load_receipt, receipt_token
from adw_worktree.project import open_project
from adw_worktree.repo.git import git_version
from adw_worktree.repo.refs import head_branch
from adw_worktree.repo.repository import admin_directory
from adw_worktree.system.faults import PHASE_POINTS, POINTS
from adw_worktree.worktrees.create import create
from adw_worktree.worktrees.create_plan import Wish
from tests.support import postgres_server
from tests.support.checkout import PACKAGE
from tests.support.command_line import Adw
from tests.support.machine import settle
from tests.support.repositories import anywhere, branches, git, make_repo, worktrees
from tests.support.starts import (
    busy_in,
    elsewhere,
    nothing,
    spares_of,
    with_a,
    with_a_of_an_earlier_version,
    with_agents,
    with_branch_half_renamed,
    with_changes,
    with_claude,
    with_claude_alone_installed,
    with_claude_installed,
    with_commits,
    with_damage,
    with_damaged_place,
    with_disorder,
    with_entry_alone,
    with_expired_trash,
    with_failing_hook,
    with_foreign_hook,
    with_foreign_hook_half_installed,
    with_foreign_hook_installed,
    with_forgotten_a,
    with_hooks,
    with_ignored_files,
    with_installed_hooks,
    with_lost_repository,
    with_old_spare,
    with_old_trash,
    with_own_hook,
    with_plain_worktree,
    with_postgres,
    with_postgres_and_a,
    with_postgres_and_trash,
    with_postgres_and_work,
    with_remote,
    with_requests,
    with_reservation,
    with_spare,
    with_submodule,
    with_topic,
    with_tracking,
    with_tracking_and_work,
    with_trash,
    with_trash_elsewhere,
    with_watch_installed,
    with_work,
    with_work_elsewhere,
    without_info,
    without_spare,
)
from tests.support.stress_size import count, stress_size

NONE: frozenset[str] = frozenset()


# ---- what is killed ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """A command, and what is there before it."""

    words: tuple[str, ...]
    before: Callable[[Adw], None] = nothing
    code: int = 0
    """With which it ends if it is let."""
    adw_id: str = "a"
    """What has to be created afterwards, by `wish`."""
    wish: Wish = Wish()  # noqa: RUF009  (immutable)
    keeps: frozenset[str] = NONE
    """Branches that may be there without a worktree."""
    dirty: frozenset[str] = NONE
    """Worktrees in which somebody worked."""
    work: bool = False
    """Whether a file `new` of somebody's has to be in a worktree or in the trash."""
    fault: str = ""
    """What fails, so that it is undone."""


SCENARIOS = {
    "create": Scenario(("create", "a")),
    "create-with-hooks": Scenario(("create", "a"), with_hooks),
    "create-existing-branch": Scenario(
        ("create", "a", "--branch", "topic"), with_topic, keeps=frozenset({"topic"}),
        wish=Wish(branch="topic"),
    ),
    "create-detached": Scenario(("create", "a", "--detach"), without_info),
    "create-tracking": Scenario(
        ("create", "a", "--from", "origin/main"), with_remote,
        wish=Wish(base="origin/main"),
    ),
    "create-request": Scenario(
        ("create", "a", "--pr", "7"), with_remote, wish=Wish(pr=7)
    ),
    "create-submodule": Scenario(("create", "a"), with_submodule),
    "create-reserved": Scenario(("create", "a"), with_reservation),
    "create-undone": Scenario(
        ("create", "a"), with_failing_hook, 9, wish=Wish(hooks=False)
    ),
    "create-from-spare": Scenario(("create", "a"), with_spare),
    "create-from-old-spare": Scenario(("create", "a", "--detach"), with_old_spare),
    "spares-fill": Scenario(("spares", "fill", "--wait"), without_spare),
    "spares-refresh": Scenario(("spares", "fill", "--wait"), with_old_spare),
    "spares-drop": Scenario(("spares", "drop"), with_spare),
    "create-with-files": Scenario(("create", "a"), with_ignored_files),
    "create-with-damaged-ledger": Scenario(("create", "b"), with_damage),
    "create-unrecorded": Scenario(
        ("create", "b"), with_a_of_an_earlier_version, keeps=frozenset({"a"}), adw_id="b"
    ),
    "create-with-damaged-place": Scenario(
        ("create", "b"), with_damaged_place, keeps=frozenset({"a"}), adw_id="b"
    ),
    "create-with-forgotten-worktree": Scenario(
        ("create", "b"), with_forgotten_a, keeps=frozenset({"a"}), adw_id="b"
    ),
    "remove": Scenario(("remove", "a"), with_a, keeps=frozenset({"a"})),
    "remove-forced": Scenario(
        ("remove", "-f", "a"), with_work, keeps=frozenset({"a"}), dirty=frozenset({"a"}),
        work=True,
    ),
    "remove-undone": Scenario(
        ("remove", "-f", "a"), with_work, 4, keeps=frozenset({"a"}), dirty=frozenset({"a"}),
        work=True, fault="retire.tree=eio",
    ),
    "remove-across": Scenario(
        ("remove", "-f", "a"), with_work_elsewhere, keeps=frozenset({"a"}),
        dirty=frozenset({"a"}), work=True,
    ),
    "remove-expired": Scenario(
        ("remove", "b"), with_expired_trash, keeps=frozenset({"a", "b"}), dirty=frozenset({"a"})
    ),
    "remove-old": Scenario(
        ("remove", "b"), with_old_trash, keeps=frozenset({"a", "b"}), dirty=frozenset({"a"})
    ),
    "finish": Scenario(
        ("finish", "a", "--squash"), with_commits, keeps=frozenset({"a", "develop"})
    ),
    "finish-elsewhere": Scenario(
        ("finish", "a", "--merge", "--into", "develop"), with_commits,
        keeps=frozenset({"a", "develop"}),
    ),
    "restore": Scenario(
        ("restore", "a"), with_trash, keeps=frozenset({"a"}), dirty=frozenset({"a"}), work=True
    ),
    "restore-undone": Scenario(
        ("restore", "a"), with_trash, 3, keeps=frozenset({"a"}), dirty=frozenset({"a"}),
        work=True, fault="restore.admin=eio",
    ),
    "restore-across": Scenario(
        ("restore", "a"), with_trash_elsewhere, keeps=frozenset({"a"}), dirty=frozenset({"a"}),
        work=True,
    ),
    "restore-across-undone": Scenario(
        ("restore", "a"), with_trash_elsewhere, 3, keeps=frozenset({"a"}), dirty=frozenset({"a"}),
        work=True, fault="restore.admin=eio",
    ),
    "restore-without-tree": Scenario(
        ("restore", "a"), with_entry_alone, keeps=frozenset({"a"}), dirty=frozenset({"a"})
    ),
    "restore-without-tree-undone": Scenario(
        ("restore", "a"), with_entry_alone, 3, keeps=frozenset({"a"}), dirty=frozenset({"a"}),
        fault="restore.admin=eio",
    ),
    "restore-discard": Scenario(
        ("restore", "a", "--discard"), with_trash, keeps=frozenset({"a"}), dirty=frozenset({"a"})
    ),
    "remove-with-branch": Scenario(("remove", "-D", "a"), with_tracking, keeps=frozenset({"a"})),
    "rename": Scenario(
        ("rename", "a", "b"), with_tracking_and_work, dirty=frozenset({"a", "b"}), work=True
    ),
    "rename-undone": Scenario(
        ("rename", "a", "b"), with_tracking_and_work, 3, dirty=frozenset({"a", "b"}), work=True,
        fault="rename.moved=eio",
    ),
    "rename-half": Scenario(
        ("list",), with_branch_half_renamed, dirty=frozenset({"a", "b"}), work=True
    ),
    "rename-reserved": Scenario(("rename", "a", "b"), with_reservation),
    "reconcile": Scenario(
        ("reconcile",), with_disorder, keeps=frozenset({"gone"}), adw_id="gone",
        dirty=frozenset({"gone"}),
    ),
    "reconcile-lost-repository": Scenario(("reconcile",), with_lost_repository),
    "adopt": Scenario(
        ("adopt", "plain"), with_plain_worktree,
        keeps=frozenset({"plain"}), dirty=frozenset({"plain"}),
    ),
    "reserve": Scenario(("reserve", "a")),
    "release": Scenario(("release", "a"), with_reservation),
    "hooks-install": Scenario(("hooks", "install"), with_own_hook),
    "hooks-install-claude": Scenario(("hooks", "install", "--claude"), with_claude),
    "hooks-uninstall-claude": Scenario(("hooks", "uninstall", "--claude"), with_claude_installed),
    "hooks-uninstall-claude-alone": Scenario(
        ("hooks", "uninstall", "--claude"), with_claude_alone_installed
    ),
    "hooks-install-agents": Scenario(("hooks", "install", "--agents-md"), with_claude),
    "hooks-uninstall-agents": Scenario(("hooks", "uninstall", "--agents-md"), with_agents),
    "hooks-uninstall": Scenario(("hooks", "uninstall"), with_installed_hooks),
    "hooks-install-watch": Scenario(("hooks", "install", "--watch")),
    "hooks-uninstall-watch": Scenario(("hooks", "uninstall", "--watch"), with_watch_installed),
    "background": Scenario(
        ("reconcile", "--background"), with_changes, keeps=frozenset({"gone"}),
        adw_id="gone", dirty=frozenset({"gone"}),
    ),
    "trust": Scenario(("trust", "--yes"), with_requests, wish=Wish(hooks=False)),
}  # fmt: skip

HOOKS_IN_FILES = git_version(Path("/")) < CONFIG_GIT
if HOOKS_IN_FILES:  # else nobody's hook is in the way
    SCENARIOS |= {
        "hooks-install-foreign": Scenario(("hooks", "install"), with_foreign_hook),
        "hooks-uninstall-foreign": Scenario(("hooks", "uninstall"), with_foreign_hook_installed),
        "hooks-uninstall-half": Scenario(("hooks", "uninstall"), with_foreign_hook_half_installed),
    }

if postgres_server.programs() is not None:
    SCENARIOS |= {
        "create-with-postgres": Scenario(("create", "a"), with_postgres),
        "remove-with-postgres": Scenario(
            ("remove", "a"), with_postgres_and_a, keeps=frozenset({"a"})
        ),
        "remove-forced-with-postgres": Scenario(
            ("remove", "-f", "a"), with_postgres_and_work, keeps=frozenset({"a"}),
            dirty=frozenset({"a"}), work=True,
        ),
        "restore-with-postgres": Scenario(
            ("restore", "a"), with_postgres_and_trash, keeps=frozenset({"a"}),
            dirty=frozenset({"a"}), work=True,
        ),
    }  # fmt: skip


# ---- what has to hold --------------------------------------------------------------------------


def assert_in_order(adw: Adw, keeps: frozenset[str], dirty: frozenset[str] = NONE) -> None:
    """Leases, worktrees, directories, admin entries and branches agree; no litter is left."""
    repo, common = adw.directory, adw.directory / ".git"
    settle(lambda: not busy_in(repo), "something goes on in the background")
    stored = json.loads((repo / "agents" / "port_allocations.json").read_bytes() or "{}") if (
        repo / "agents" / "port_allocations.json"
    ).exists() else {}  # fmt: skip
    leases = {key: lease for key, lease in stored.items() if not key.startswith("_")}
    assert {lease["state"] for lease in leases.values()} <= {"active"}
    slots = [lease["slot"] for lease in leases.values()]
    assert len(slots) == len(set(slots))
    paths = {lease["path"] for lease in leases.values() if lease.get("path")}
    spares = spares_of(repo)
    listed = [path for path in worktrees(repo)[1:] if Path(path).name not in spares]
    assert paths == set(listed), "leases and worktrees"
    found = [path for path in elsewhere().glob("*") if any(path.iterdir())]
    directories = [*(repo / "trees").glob("*"), *found]
    assert {str(path) for path in directories} == paths, "leases and directories"
    admins = {path.name for path in (common / "worktrees").glob("*")}
    assert admins == spares | {lease["admin_id"] for lease in leases.values() if lease.get("path")}
    for lease in leases.values():
        if lease.get("path"):
            admin = admin_directory(Path(lease["path"]))
            assert admin is not None
            assert receipt_token(admin) in (lease["token"], None)
    for adw_id, lease in leases.items():
        if lease.get("path") and (Path(lease["path"]) / ".env.ports").exists():
            assert f"\nADW_ID={adw_id}\n" in (Path(lease["path"]) / ".env.ports").read_text()
    of_worktrees = {lease["branch"] for lease in leases.values() if lease.get("branch")}
    assert branches(repo) <= {"main"} | keeps | of_worktrees, "branches"
    kept = {path.name for path in (common / "adw-worktree" / "trash").glob("*")}
    refs = git("for-each-ref", "--format=%(refname)", "refs/adw-worktree", cwd=repo).split()
    assert set(refs) == {f"refs/adw-worktree/trash/{name}" for name in kept}
    assert all(name.partition("-")[0] in dirty for name in kept), "trash"
    state = Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree"
    litter = [*anywhere(repo, ".*.tmp"), *anywhere(state, ".*.tmp")]
    litter += (common / "adw-worktree" / "creating").glob("*")
    locks = [path for path in anywhere(common, "*.lock") if path.parent != common / "adw-worktree"]
    litter += [path for path in locks if path.name != "fill.lock"]
    assert litter == []
    for path in (str(repo), *listed):
        status = git("status", "--porcelain", "--untracked-files=all", cwd=Path(path))
        assert status == "" or Path(path).name in dirty, status
    recorded = set()
    for file in (state / "ledgers").glob("*.json"):
        entry = json.loads(file.read_bytes())
        if entry["common_dir"] == str(common):
            known = {key: one for key, one in entry["leases"].items() if not key.startswith("_")}
            recorded = {one["slot"] for one in known.values()}
    assert recorded == set(slots), "what the machine knows of this ledger"


def assert_heals(adw: Adw, scenario: Scenario) -> None:
    adw("list")
    before = scenario.before.__name__
    if scenario.words[0] == "reconcile" or "spare" in before or "postgres" in before:
        adw("reconcile")  # what was in disorder before, spares and databases
    if scenario.words[0] == "adopt":
        adw(*scenario.words)  # whether it was taken in or not: now it is
        assert (adw.directory / "trees" / "plain" / "new").read_text() == "new\n"
    assert_in_order(adw, scenario.keeps, scenario.dirty)
    if scenario.work:
        assert_work_is_there(adw)
    if "rename" in scenario.words or "half_renamed" in scenario.before.__name__:
        assert_named_alike(adw)
    create(open_project(adw.directory), scenario.adw_id, scenario.wish)
    assert_in_order(adw, scenario.keeps, scenario.dirty)
    if "postgres" in before:
        assert_databases_are_those_needed(adw)


def assert_databases_are_those_needed(adw: Adw) -> None:
    """Each worktree has one, each kept one in the trash, and there is no other."""
    leases = open_project(adw.directory).pool.leases().values()
    kept = adw.json("restore")["kept"]

    def only_needed() -> bool:
        # A server goes on with what a killed command asked for.
        adw("reconcile")
        there = postgres_server.running().databases()
        used = {lease.database for lease in leases}
        return used <= there and len(there - used) == len(kept)

    settle(only_needed, "leases, trash and databases")


def assert_work_is_there(adw: Adw) -> None:
    """The file is in the worktree or in the trash, and whole."""
    trash = adw.directory / ".git" / "adw-worktree" / "trash"
    trees = adw.directory / "trees"
    places = [trees / "a", trees / "b", elsewhere() / "a", *trash.glob("a-*/tree")]
    found = [place / "new" for place in places if (place / "new").exists()]
    assert [path.read_text() for path in found] == ["new\n"]


def assert_named_alike(adw: Adw) -> None:
    """There is one ADW, `a` or `b`, and it is called that everywhere."""
    project = open_project(adw.directory)
    (lease,) = project.pool.leases().values()
    assert lease.adw_id in ("a", "b")
    entry = registry.entry_of(project.state_dir, project.pool.ledger.path, project.repo.common_dir)
    assert entry is not None and set(entry.leases) == {lease.adw_id}
    if lease.admin_id is None:
        return
    admin = project.repo.admin_root / lease.admin_id
    assert (Path(str(lease.path)).name, head_branch(admin)) == (lease.adw_id, lease.adw_id)
    assert load_receipt(admin) == lease
    upstream = git("for-each-ref", "--format=%(refname) %(upstream)", cwd=adw.directory)
    assert f"refs/heads/{lease.adw_id} refs/remotes/origin/main\n" in upstream
    other = {"a": "b", "b": "a"}[lease.adw_id]
    assert f"branch.{other}." not in git("config", "--local", "--list", cwd=adw.directory)
    assert not (admin / "locked").exists()
    files = Path(str(lease.path)).glob("*.code-workspace")
    assert [path.name for path in files] == [f"{lease.adw_id}.code-workspace"]


def put_in_place(directory: Path, scenario: Scenario) -> Adw:
    adw = Adw(make_repo(directory / "repo"))
    scenario.before(adw)
    return adw


@pytest.fixture(autouse=True)
def another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path))
    monkeypatch.setenv("TEST_ELSEWHERE", str(root))
    yield root
    shutil.rmtree(root)


@pytest.fixture
def fresh_home(
    tmp_path: Path, another_file_system: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Path]:
    """Return a way to begin anew: another directory, home and state."""
    numbers = iter(range(10**6))

    def begin() -> Path:
        directory = tmp_path / str(next(numbers))
        for name, below in (("HOME", ""), ("XDG_STATE_HOME", "s"), ("XDG_CONFIG_HOME", "c")):
            (directory / "home" / below).mkdir(parents=True, exist_ok=True)
            monkeypatch.setenv(name, str(directory / "home" / below))
        monkeypatch.setenv("TEST_ELSEWHERE", str(another_file_system / directory.name))
        return directory

    return begin


# ---- at every step -----------------------------------------------------------------------------


def test_every_fault_point_is_used_once_by_its_name() -> None:
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "faults.py")
    points = (*POINTS, *PHASE_POINTS)
    assert [name for name in points if f'reached("{name}")' not in text] == []
    every = len(re.findall(r"\breached\(", text))
    assert every == sum(text.count(f'reached("{name}")') for name in points)


@pytest.mark.parametrize("value", ["", "nowhere=kill", "lock.taken=perhaps", "lock.taken:0=kill"])
def test_faulty_fault_is_an_error(adw: Adw, value: str) -> None:
    assert "ADW_FAULT" in adw("list", code=2, ADW_FAULT=value).stderr


def faults(scenario: Scenario, fault: str) -> str:
    return f"{scenario.fault},{fault}" if scenario.fault else fault


def run_traced(adw: Adw, scenario: Scenario, trace: Path) -> list[str]:
    adw(*scenario.words, code=scenario.code, ADW_FAULT=faults(scenario, f"trace:{trace}"))
    return trace.read_text().splitlines() if trace.exists() else []


@pytest.mark.thorough
def test_every_fault_point_is_reached(fresh_home: Callable[[], Path]) -> None:
    reached: set[str] = set()
    for scenario in SCENARIOS.values():
        directory = fresh_home()
        reached |= set(run_traced(put_in_place(directory, scenario), scenario, directory / "t"))
    # A dead process's litter is taken away by the command after it.
    unreached = {"atomic.discarded"}
    if postgres_server.programs() is None:
        unreached |= {point for point in POINTS if point.startswith("database")}
    if not HOOKS_IN_FILES:
        unreached |= {point for point in POINTS if point.startswith("hook.")}
    assert set(POINTS) - reached == unreached


SAMPLE = {
    "create": (7, 20, 36),
    "create-request": (4, 45),
    "create-submodule": (45,),
    "create-reserved": (25,),
    "create-undone": (55,),
    "create-unrecorded": (13, 16),
    "create-with-damaged-place": (5, 7),
    "remove": (10,),
    "reconcile": (18,),
    "adopt": (8, 14),
    "reserve": (9, 25, 28),
    "background": (6,),
    "hooks-install": (4,),
    "remove-forced": (21,),
    "remove-across": (19,),
    "rename": (7, 20, 27),
    "rename-undone": (33,),
    "rename-half": (6,),
    "restore": (14,),
    "finish": (3, 8),
    "restore-across": (19,),
    "restore-undone": (30,),
}
"""At which of the points that each reaches the ordinary run kills."""
STEPS = stress_size(0, 1000) // 10
"""At how many the big one does."""


@pytest.mark.parametrize("name", stress_size([*SAMPLE], [*SCENARIOS]))
def test_killed_at_a_step_is_healed(name: str, fresh_home: Callable[[], Path]) -> None:
    """A slot, branch or directory that a dead process keeps would be lost for good."""
    scenario = SCENARIOS[name]
    bad = []
    for step in SAMPLE.get(name, ()) if not STEPS else steps_of(scenario, fresh_home()):
        adw = put_in_place(fresh_home(), scenario)
        ran = adw(*scenario.words, code=None, ADW_FAULT=faults(scenario, f"any:{step}=kill"))
        assert ran.code in (-signal.SIGKILL, scenario.code), ran.stderr
        count("kills", int(ran.code == -signal.SIGKILL))
        try:
            assert_heals(adw, scenario)
        except AssertionError as exc:
            bad.append((step, str(exc)[:1500]))
    count("not healed", len(bad))
    assert not bad, "\n".join(map(str, bad))


def steps_of(scenario: Scenario, directory: Path) -> list[int]:
    """Return as many steps of it as are wished for, other ones each time if that is not all."""
    reached = run_traced(put_in_place(directory, scenario), scenario, directory / "t")
    steps = range(1, len(reached) + 1)
    return sorted(random.sample(steps, min(STEPS, len(steps))))


# ---- inside of git -----------------------------------------------------------------------------

HALF_ADDED = {
    "nothing": {},
    "mark": {"locked": "initializing\n"},
    "empty-gitdir": {"locked": "initializing\n", "gitdir": ""},
    "gitdir": {"locked": "initializing\n", "gitdir": "{path}/.git\n"},
    "empty-commondir": {
        "locked": "initializing\n", "gitdir": "{path}/.git\n", "HEAD": f"{'0' * 40}\n",
        "commondir": "",
    },
    "all": {
        "locked": "initializing\n", "gitdir": "{path}/.git\n", "HEAD": f"{'0' * 40}\n",
        "commondir": "../..\n",
    },
}  # fmt: skip
"""What `git worktree add` has written when it is killed, step by step (git 2.39)."""


@pytest.mark.thorough
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("state", stress_size(["mark", "empty-commondir"], [*HALF_ADDED]))
def test_git_killed_in_worktree_add_is_healed(adw: Adw, state: str, linked: bool) -> None:
    """Git fails over some of these in every `worktree list`, and removes none of them."""
    adw("create", "a", code=-signal.SIGKILL, ADW_FAULT="worktree-add.before=kill")
    admin, path = adw.directory / ".git" / "worktrees" / "a", adw.directory / "trees" / "a"
    admin.mkdir(parents=True)
    for name, text in HALF_ADDED[state].items():
        (admin / name).write_text(text.format(path=path))
    if linked:
        path.mkdir()
        (path / ".git").write_text(f"gitdir: {admin}\n")
    assert_heals(adw, SCENARIOS["create"])


@pytest.mark.thorough
@pytest.mark.parametrize("left", [["index"], ["HEAD", "index", "logs"], []])
def test_git_killed_in_worktree_remove_is_healed(adw: Adw, left: list[str]) -> None:
    """Without its `gitdir`, git does not see the entry any more, and never deletes it."""
    with_failing_hook(adw)
    adw("create", "a", code=-signal.SIGKILL, ADW_FAULT="worktree-remove.before=kill")
    shutil.rmtree(adw.directory / "trees" / "a")
    admin = adw.directory / ".git" / "worktrees" / "a"
    for path in admin.iterdir():
        if path.name not in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert_heals(adw, SCENARIOS["create-undone"])


def test_half_added_worktree_of_somebody_else_is_left_alone(adw: Adw) -> None:
    adw("create", "a", code=-signal.SIGKILL, ADW_FAULT="worktree-add.before=kill")
    admin = adw.directory / ".git" / "worktrees" / "a"
    admin.mkdir(parents=True)
    (admin / "locked").write_text("initializing\n")
    (admin / "gitdir").write_text(f"{adw.directory.parent}/a/.git\n")
    (admin / "HEAD").write_text("ref: refs/heads/main\n")
    (admin / "commondir").write_text("../..\n")
    adw("list")
    assert (admin / "gitdir").exists()


def test_an_undo_that_cannot_finish_stops_nobody(adw: Adw) -> None:
    """It failed every command after it, or left the branch; now it is tried again by each."""
    adw("create", "a", code=-signal.SIGKILL, ADW_FAULT="branch-make.after=kill")
    lock = adw.directory / ".git" / "refs" / "heads" / "a.lock"
    lock.touch()
    assert "cannot be undone yet" in adw("list").stderr
    assert "cannot be undone yet" in adw("create", "a", code=7).stderr
    adw("create", "b")
    assert branches(adw.directory) == {"main", "a", "b"}
    lock.unlink()
    assert_heals(adw, SCENARIOS["create"])


@pytest.mark.thorough
def test_git_that_outlives_its_creator_is_waited_for(adw: Adw, tmp_path: Path) -> None:
    """Undone under the hands of a running git, the worktree would come back half-made."""
    filter_begun = tmp_path / "begun"
    (adw.directory / ".gitattributes").write_text("README filter=slow\n")
    git("add", ".", cwd=adw.directory)
    git("commit", "--quiet", "-m", "slow", cwd=adw.directory)
    slow = f"touch '{filter_begun}'; sleep 1; cat"
    git("config", "filter.slow.smudge", slow, cwd=adw.directory)
    process = adw.start("create", "a", quiet=True)
    settle(filter_begun.exists, "the filter never ran")
    process.kill()
    process.wait()
    assert_heals(adw, SCENARIOS["create"])


@pytest.mark.thorough
def test_git_that_outlives_its_creator_for_long_is_named(adw: Adw, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    (adw.directory / ".gitattributes").write_text("README filter=slow\n")
    git("add", ".", cwd=adw.directory)
    git("commit", "--quiet", "-m", "slow", cwd=adw.directory)
    slow = f"touch '{begun}'; while [ ! -e '{go}' ]; do sleep 0.02; done; cat"
    git("config", "filter.slow.smudge", slow, cwd=adw.directory)
    process = adw.start("create", "a", quiet=True)
    settle(begun.exists, "the filter never ran")
    process.kill()
    process.wait()
    error = adw.json("create", "a", code=8, ADW_LOCK_TIMEOUT="0.2")["error"]
    assert error["code"] == "lock-timeout"
    assert "a create of a died half-way" in error["message"]
    assert "the git that it started still runs" in error["message"]
    assert "the git that it started still runs" in adw("list", ADW_LOCK_TIMEOUT="0.2").stderr
    go.touch()
    assert_heals(adw, SCENARIOS["create"])


@pytest.mark.thorough
@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "group"])
def test_half_checked_out_submodule_is_nobodys_work(
    adw: Adw, whole_group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for work, it would keep a half-made worktree as a finished one."""
    filter_begun, part = adw.directory.parent / "begun", adw.directory.parent / "part"
    with_submodule(adw)
    (part / ".gitattributes").write_text("file15 filter=slow\n")
    git("add", ".", cwd=part)
    git("commit", "--quiet", "-m", "slow", cwd=part)
    git("-c", "protocol.file.allow=always", "pull", "--quiet", cwd=adw.directory / "lib")
    git("commit", "--quiet", "-a", "-m", "later part", cwd=adw.directory)
    configuration = adw.directory.parent / "configuration"
    slow = f"touch '{filter_begun}'; sleep 1; cat"
    configuration.write_text(f'[filter "slow"]\n\tsmudge = "{slow}"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    process = started(adw, SCENARIOS["create-submodule"])
    settle(filter_begun.exists, "the filter never ran")
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    configuration.write_text("")
    assert_heals(adw, SCENARIOS["create-submodule"])


def started(adw: Adw, scenario: Scenario) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own."""
    null = subprocess.DEVNULL
    return subprocess.Popen(
        [*Adw.command, *scenario.words], cwd=adw.directory, stdin=null, stdout=null,
        stderr=null, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["term", "kill-process", "kill-group"])
def test_no_lock_on_shared_files_is_left(adw: Adw, how: str) -> None:
    """Nobody may delete such a lock, so the branch could never be made again."""
    begun = adw.directory.parent / "begun"
    hook = adw.directory / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!/bin/sh\n[ -e '{begun}' ] || [ $1 != prepared ] || {{ touch '{begun}'; sleep 1; }}\n"
    )
    hook.chmod(0o755)
    process = started(adw, SCENARIOS["create"])
    settle(begun.exists, "the hook never ran")
    assert list(adw.directory.glob(".git/refs/heads/*.lock"))
    if how == "kill-group":
        os.killpg(process.pid, signal.SIGKILL)
    elif how == "kill-process":
        process.kill()
    else:
        process.terminate()
    process.wait()
    if how == "term":
        assert process.returncode == 128 + signal.SIGTERM
        assert_in_order(adw, NONE)
    assert_heals(adw, SCENARIOS["create"])


# ---- at any moment -----------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "group"])
def test_killed_at_a_random_moment_is_healed(
    whole_group: bool, fresh_home: Callable[[], Path]
) -> None:
    bad = []
    for seed in range(stress_size(6, 500) // (2 if STEPS else 1)):
        choice = random.Random(seed if not STEPS else None)
        name = choice.choice(sorted(SCENARIOS))
        scenario = SCENARIOS[name]
        adw = put_in_place(fresh_home(), scenario)
        process = started(adw, scenario)
        time.sleep(choice.uniform(0.08, 0.5))
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        wait_for_orphans(process.pid)  # a git that outlives the command is waited for, not undone
        count("kills")
        try:
            assert_heals(adw, scenario)
        except AssertionError as exc:
            bad.append((seed, name, str(exc)[:1500]))
    count("not healed", len(bad))
    assert not bad, "\n".join(map(str, bad))


def wait_for_orphans(session: int) -> None:
    """Wait until no process of the session is left."""

    def alone() -> bool:
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                    return False
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return True

    settle(alone, "a git command goes on")


# ---- asked to end ------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["int", "term", "hup"])
def test_signal_at_a_step_of_create_undoes_it_at_once(
    name: str, fresh_home: Callable[[], Path]
) -> None:
    """Who ends a command does not come back to heal what it left."""
    signum = {"int": signal.SIGINT, "term": signal.SIGTERM, "hup": signal.SIGHUP}[name]
    scenario, bad = SCENARIOS["create-with-hooks"], []
    adw = put_in_place(fresh_home(), scenario)
    steps = run_traced(adw, scenario, adw.directory.parent / "trace")
    active = steps.index("lease.active") + 1  # what comes later, comes after it is done
    offset = ["int", "term", "hup"].index(name)
    for step in range(1 + offset, active + 1, stress_size(16, 1)):
        adw = put_in_place(fresh_home(), scenario)
        ran = adw(*scenario.words, code=None, ADW_FAULT=f"any:{step}={name}")
        count("signals")
        try:
            assert ran.code == 128 + signum
            assert_in_order(adw, scenario.keeps)
            assert worktrees(adw.directory) == [str(adw.directory)]
        except AssertionError as exc:
            bad.append((step, steps[step - 1], str(exc)[:1500]))
    count("not healed", len(bad))
    assert not bad, "\n".join(map(str, bad))

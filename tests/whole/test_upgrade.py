"""An upgrade is not felt: what the version before made works on, and the two work side by side.

One version makes something, the other goes on with it: after an upgrade, and in the other order,
since an agent may still run the one while a person has the other.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw, managed_hook, user_hook
from tests.support.machine import settle
from tests.support.repositories import branches, git, make_repo, worktrees
from tests.support.stress_size import stress_size
from tests.support.version_before import VersionBefore, environment, unpack

pytestmark = pytest.mark.thorough
BEFORE, NOW = "the version before", "this version"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("before"))


ORDERS = {"upgrade": (BEFORE, NOW), "side-by-side": (NOW, BEFORE)}


both_orders = pytest.mark.parametrize(
    "pair", list(ORDERS.values()), ids=list(ORDERS), indirect=True
)


@pytest.fixture(params=list(ORDERS.values())[: stress_size(1, 2)], ids=lambda order: order[0])
def pair(request: pytest.FixtureRequest, adw: Adw, site: Path) -> tuple[Adw, Adw]:
    """Return the version that makes something, and the one that goes on with it."""
    versions = {BEFORE: VersionBefore(adw.directory, site), NOW: adw}
    first, second = (versions[name] for name in request.param)
    return first, second


def in_order(adw: Adw) -> bool:
    """Whether that version finds nothing to do and nothing wrong."""
    assert adw.json("doctor")["problems"] == []
    return adw("reconcile", "--check", code=None).code == 0


def agree(one: Any, other: Any) -> None:
    """Hold two documents to the same values; a later version may have further keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() & other.keys():
            agree(one[key], other[key])
        assert one.keys() <= other.keys() or other.keys() <= one.keys()
    elif isinstance(one, list) and isinstance(other, list):
        for first, second in zip(one, other, strict=True):
            agree(first, second)
    else:
        assert one == other


def leased(adw: Adw) -> dict[str, int]:
    """Return the slots by ADW id, as the ledger's file has them: a command would look first."""
    ledger = json.loads((adw.directory / "agents" / "port_allocations.json").read_bytes())
    return {key: one["slot"] for key, one in ledger.items() if not key.startswith("_")}


def files_below(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of each file."""
    return {
        str(path): (path.lstat().st_mode, path.read_bytes())
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def with_config(text: str) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)


def test_it_is_the_version_before_that_runs(adw: Adw, site: Path, tmp_path: Path) -> None:
    """Else all that follows would compare this version with itself."""
    ask = "import adw_worktree.{0} as it; print(it.__file__)"
    for module, env in (("gitrepo", {"PYTHONPATH": str(site)}), ("repo.git", {})):
        command = [sys.executable, "-c", ask.format(module)]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(site)) == (module == "gitrepo")
    before = VersionBefore(adw.directory, site)
    assert before("--version").stdout.startswith("adw-worktree ")


# ---- worktrees and leases ----------------------------------------------------------------------


@both_orders
@pytest.mark.parametrize("bare", [False, True][: stress_size(1, 2)])
def test_worktrees_keep_their_slots_ports_paths_and_files(
    pair: tuple[Adw, Adw], tmp_path: Path, bare: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    services = os.environ["ADW_SERVICES"]
    further = int(services.partition("=")[2].partition(",")[0]) + 50
    monkeypatch.setenv("ADW_SERVICES", f"{services},docs={further + 100},metrics={further}")
    monkeypatch.setenv("ADW_SLOTS", "40")
    with_config('include = ["secret"]\nwrite = ["vscode", "direnv"]\n')
    if bare:
        git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"), cwd=first.directory)
        for one in pair:
            one.directory = tmp_path / "bare.git"
    else:
        (first.directory / ".gitignore").write_text("secret\n")
        git("add", ".gitignore", cwd=first.directory)
        git("commit", "--quiet", "-m", "ignore", cwd=first.directory)
        (first.directory / "secret").write_text("mine\n")
    made = {
        "a": first.json("create", "a"),
        "b": first.json("create", "b", "--detach", "--path", str(tmp_path / "elsewhere")),
        "r": first.json("reserve", "r", "--slot", "7"),
    }
    trees = [Path(made[key]["path"]) for key in "ab"]
    before = [files_below(tree) for tree in trees]
    for question in (["list"], ["status"], ["env", "a"], ["env", "r"], ["path", "b"]):
        agree(first.json(*question), second.json(*question))
    for adw_id, words in {
        "a": ["create", "a"],
        "b": ["create", "b"],
        "r": ["reserve", "r"],
    }.items():
        again = second.json(*words)
        for key in ("slot", "ports", "path", "branch", "env_file"):
            assert again.get(key) == made[adw_id].get(key)
        assert again.get("created", False) is False
    assert [files_below(tree) for tree in trees] == before
    assert in_order(second)
    assert second.json("create", "c")["slot"] not in {one["slot"] for one in made.values()}
    agree(first.json("list"), second.json("list"))
    for adw_id in "abc":
        assert second.json("remove", adw_id, "-D")["removed"] is True
    assert second.json("release", "r")["released"]
    assert first.json("status")["allocations"] == {}
    assert in_order(first)


@both_orders
def test_a_lost_ledger_is_rebuilt_from_what_lies_with_the_worktrees(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    for adw_id, slot in (("a", "3"), ("b", "5")):
        first("create", adw_id, "--slot", slot)
    shutil.rmtree(first.directory / "agents")
    shutil.rmtree(os.environ["XDG_STATE_HOME"])
    found = second.json("status")["allocations"]
    assert {key: one["slot"] for key, one in found.items()} == {"a": 3, "b": 5}
    assert in_order(second)


def test_a_worktree_that_is_gone_frees_its_slot_and_one_that_was_moved_keeps_it(
    pair: tuple[Adw, Adw],
) -> None:
    first, second = pair
    for adw_id in ("gone", "moved", "by-git", "here"):
        first("create", adw_id)
    trees = first.directory / "trees"
    slots = leased(first)
    shutil.rmtree(trees / "gone")
    (trees / "moved").rename(trees / "elsewhere")
    git("worktree", "remove", "trees/by-git", cwd=first.directory)
    second("list")
    assert leased(second) == {key: slots[key] for key in ("moved", "here")}
    second("reconcile")
    assert second.json("path", "moved")["path"] == str(trees / "elsewhere")
    assert in_order(second)


def test_what_was_taken_by_one_is_not_handed_out_by_the_other(
    pair: tuple[Adw, Adw], tmp_path: Path
) -> None:
    """In two repositories: they see each other in the machine's registry."""
    first, second = pair
    first("create", "a")
    second.directory = make_repo(tmp_path / "other")
    assert second.json("create", "a")["slot"] == 1
    assert first.json("create", "b")["slot"] == 2
    assert {row["slot"] for row in second.json("list", "--all")["worktrees"]} >= {0, 1, 2}


def test_both_at_once_never_double_a_slot(pair: tuple[Adw, Adw]) -> None:
    started = [pair[n % 2].start("create", f"a{n}", quiet=True) for n in range(8)]
    assert [process.wait(120) for process in started] == [0] * 8
    slots = leased(pair[1])
    assert len(set(slots.values())) == len(slots) == 8
    assert in_order(pair[1])


def test_the_ledger_of_a_program_is_read_by_both(pair: tuple[Adw, Adw], tmp_path: Path) -> None:
    ask = (
        "import sys; from adw_worktree import PortPool\n"
        "pool = PortPool(sys.argv[1])\n"
        "print(pool.get_allocation('a'), pool.reserve(sys.argv[2]), pool.reserve('a'))\n"
    )
    told = []
    for number, version in enumerate(pair):
        command = [sys.executable, "-c", ask, str(tmp_path / "ports.json"), f"x{number}"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(version), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.split("(")[1:])
    assert told[1][0].rstrip() == told[0][-1].rstrip()  # who came second finds the first one's
    assert told[1][2] == told[0][-1]
    assert told[1][1] != told[0][0]


def test_the_last_worktree_is_known(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    first("create", "a")
    tree = Path(first.json("create", "b")["path"])
    assert second.json("path", "-")["adw_id"] == "b"
    assert second.json("path", "-", cwd=tree)["adw_id"] == "a"


# ---- spares, the trash, approvals --------------------------------------------------------------


@both_orders
def test_spares_are_taken_and_are_nobodys_worktrees(
    pair: tuple[Adw, Adw], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    user_hook("prepare", "echo prepared >>ran")
    (first.directory / ".git" / "info" / "exclude").write_text("ran\n")
    monkeypatch.setenv("ADW_SPARES", "2")
    assert first.json("spares", "fill", "--wait")["made"] == 2
    names = {one["name"] for one in second.json("spares", "status")["spares"]}
    assert all(one["fresh"] for one in second.json("spares", "status")["spares"])
    assert [row["main"] for row in second.json("list")["worktrees"]] == [True]
    assert in_order(second)
    tree = Path(second.json("create", "a")["path"])
    assert Path((tree / ".git").read_text().split()[1]).name in names
    assert (tree / "ran").read_text() == "prepared\n"

    def are_filled() -> bool:
        """Whether the filling that `create` started is done."""
        told = second.json("spares", "status")
        return told["ready"] == 2 and not told["filling"]

    settle(are_filled, "no other spare was made")
    assert len(names & {one["name"] for one in second.json("spares", "status")["spares"]}) == 1
    assert second.json("spares", "drop")["dropped"] == 2
    assert len(worktrees(first.directory)) == 2


@both_orders
def test_work_comes_back_from_the_trash(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    tree = Path(first.json("create", "a", "--slot", "4")["path"])
    (tree / "README").write_text("changed\n")
    git("add", "README", cwd=tree)
    git("commit", "--quiet", "-m", "work", cwd=tree)
    (tree / "README").write_text("staged\n")
    git("add", "README", cwd=tree)
    (tree / "new").write_text("new\n")
    before = git("status", "--porcelain=v2", "--branch", cwd=tree), files_below(tree)
    first("remove", "-f", "-D", "a")
    assert [one["adw_id"] for one in second.json("restore")["kept"]] == ["a"]
    git("gc", "--quiet", "--prune=now", cwd=first.directory)
    assert second.json("restore", "a")["slot"] == 4
    assert git("status", "--porcelain=v2", "--branch", cwd=tree) == before[0]
    after = files_below(tree)
    assert after.keys() == before[1].keys()
    assert (tree / "new").read_text() == "new\n"
    assert in_order(second)
    first("remove", "-f", "-D", "a")
    second("restore", "a", "--discard")
    assert first.json("restore")["kept"] == []
    assert branches(first.directory) == {"main"}


def test_what_was_approved_is_approved(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    (first.directory / "adw-worktree.toml").write_text('[hooks]\npost-create = "touch ../../ran"\n')
    second("create", "a", code=9)
    first("trust", "--yes")
    second("create", "a")
    assert (first.directory / "ran").exists()


# ---- what was put in place ---------------------------------------------------------------------


def test_gits_hooks_work_on_and_come_out_byte_for_byte(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    hooks = first.directory / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    existing = {"post-commit": "#!/bin/sh\ntrue\n", "post-merge": "#!/usr/bin/env python3\n"}
    for event, text in existing.items():
        (hooks / event).write_text(text)
        (hooks / event).chmod(0o755)
    config = first.directory / ".git" / "config"
    before = files_below(hooks), config.read_bytes()
    first("hooks", "install")
    rows = [one for one in second.json("hooks", "status")["hooks"] if one["event"].startswith("p")]
    assert {one["state"] for one in rows} == {"installed"}
    for adw_id in ("a", "b", "c"):
        first("create", adw_id)
    text = managed_hook(second, "post-checkout").read_text()
    assert f"{sys.executable} -m adw_worktree -C" in text
    subprocess.run(["rm", "-rf", str(first.directory / "trees" / "a")], check=True)
    git("worktree", "prune", cwd=first.directory)
    git("commit", "--quiet", "--allow-empty", "-m", "second", cwd=first.directory)
    settle(lambda: leased(second).keys() == {"b", "c"}, "the hook started no pass")
    second("hooks", "uninstall")
    assert (files_below(hooks), config.read_bytes()) == before
    first("hooks", "install")
    second("hooks", "install")  # over what is there, perhaps with another text
    git("worktree", "remove", "trees/b", cwd=first.directory)
    git("commit", "--quiet", "--allow-empty", "-m", "third", cwd=first.directory)
    settle(lambda: leased(second).keys() == {"c"}, "the hook started no pass")
    second("hooks", "uninstall")
    assert (files_below(hooks), config.read_bytes()) == before


def test_the_service_of_the_watcher_is_known_and_comes_out(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    home = Path(os.environ["HOME"])
    before = files_below(home)
    first("hooks", "install", "--watch")
    written = files_below(home).keys() - before.keys()
    assert len(written) == 1
    [row] = [one for one in second.json("hooks", "status")["hooks"] if one["event"] == "watch"]
    assert (row["state"], {row["path"]}) == ("installed", written)
    assert f'"{sys.executable}" "-m" "adw_worktree" "watch"' in Path(row["path"]).read_text()
    installed = files_below(home)
    second("hooks", "install", "--watch")
    # It is brought up to date: phases go on now when the service ends.
    assert files_below(home).keys() == installed.keys()
    if sys.platform == "linux":
        assert "KillMode=process" in Path(row["path"]).read_text()
    second("hooks", "uninstall", "--watch")
    assert files_below(home) == before


@both_orders
def test_one_watcher_is_enough_for_both(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    first("create", "a")
    watcher = first.start("watch", "--json")
    try:
        assert watcher.stdout is not None
        assert json.loads(watcher.stdout.readline())["event"] == "watching"
        error = second.json("watch", code=8)["error"]
        assert f"by process {watcher.pid}" in error["message"]
        second("create", "b")
        git("worktree", "remove", "trees/b", cwd=first.directory)
        assert json.loads(watcher.stdout.readline())["adw_id"] == "b"
    finally:
        watcher.terminate()
        watcher.communicate(timeout=60)
    assert leased(second).keys() == {"a"}


def test_what_agents_were_told_is_known_and_comes_out_byte_for_byte(pair: tuple[Adw, Adw]) -> None:
    first, second = pair
    settings = first.directory / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"model": "opus"}')
    agents = first.directory / "AGENTS.md"
    agents.write_text("# Agents\n\nBe kind.")
    (first.directory / ".git" / "info" / "exclude").write_text(".claude/\nAGENTS.md\n")
    before = settings.read_bytes(), agents.read_bytes()
    first("hooks", "install", "--claude", "--agents-md")
    rows = {one["event"]: one["state"] for one in second.json("hooks", "status")["hooks"]}
    assert (rows["claude"], rows["agents-md"]) == ("installed", "installed")
    command = json.loads(settings.read_text())["hooks"]["WorktreeCreate"][0]["hooks"][0]["command"]
    asked = json.dumps({"cwd": str(first.directory), "name": "a"})
    done = subprocess.run(
        command, shell=True, cwd="/", input=asked, env=environment(second),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == f"{first.directory}/trees/a\n", done.stderr
    second("remove", "a", "-D")
    second("hooks", "uninstall", "--claude", "--agents-md")
    assert (settings.read_bytes(), agents.read_bytes()) == before


def test_a_shell_that_loaded_the_one_goes_on_with_the_other(
    pair: tuple[Adw, Adw], tmp_path: Path
) -> None:
    """It has the text of `shell-init` until it ends, and completion asks the tool each time."""
    first, second = pair
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    first("create", "fix-login")
    for words in (["rem"], ["remove", "fix"], ["list", "--"]):
        told = second("complete", "--", *words).stdout
        assert told and told == first("complete", "--", *words).stdout
    script = tmp_path / "bin" / "adw-worktree"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m adw_worktree "$@"\n')
    script.chmod(0o755)
    load = first("shell-init", "bash").stdout
    use = 'COMP_WORDS=(adw cd fix); COMP_CWORD=2; _adw_complete; echo "$COMPREPLY"'
    env = environment(second)
    env["PATH"] = f"{script.parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", f"{load}\n{use}; adw cd fix-login; pwd"],
        cwd=first.directory, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == "fix-login", done.stderr
    assert done.stdout.splitlines()[-1] == f"{first.directory}/trees/fix-login"


# ---- what was under way ------------------------------------------------------------------------


def nothing(first: Adw) -> None:
    pass


def with_spare(first: Adw) -> None:
    first("spares", "fill", "--wait", ADW_SPARES="1")


def with_work(first: Adw) -> None:
    tree = Path(first.json("create", "a")["path"])
    (tree / "new").write_text("of days\n")


def with_trash(first: Adw) -> None:
    with_work(first)
    first("remove", "a", "-f", "-D")


def with_commit(first: Adw) -> None:
    tree = Path(first.json("create", "a")["path"])
    (tree / "new").write_text("of days\n")
    git("add", "new", cwd=tree)
    git("commit", "--quiet", "-m", "work", cwd=tree)


def with_foreign_hook(first: Adw) -> None:
    hook = first.directory / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/usr/bin/env python3\n")
    hook.chmod(0o755)


UNDER_WAY: dict[str, tuple[Callable[[Adw], None], str, list[str]]] = {
    "create": (
        nothing, "create a",
        ["env.written", "lease.pending", "worktree-add.after", "receipt.written", "lease.active"],
    ),
    "remove": (with_work, "remove a -f -D", ["retire.tree", "retire.admin", "branch-drop.before"]),
    "rename": (with_work, "rename a b", ["rename.moved", "rename.noted", "rename.claimed"]),
    "restore": (with_trash, "restore a", ["restore.tree", "restore.begun", "restore.admin"]),
    "create-from-spare": (with_spare, "create a", ["spare.placed", "spare.claimed"]),
    "fill": (nothing, "spares fill --wait", ["spare.locked", "spare.directory"]),
    "finish": (with_commit, "finish a", ["land.after", "land.before"]),
    "hooks": (with_foreign_hook, "hooks install", ["hook.twice"]),
}  # fmt: skip
KILLED = [
    (order, name, point)
    for order in ORDERS
    for name, (_, _, points) in UNDER_WAY.items()
    for point in points[: stress_size(1, 10)]
    if order == "upgrade" or name in stress_size(["create", "rename"], list(UNDER_WAY))
]
"""In which order, at what, and at which step."""


@pytest.mark.parametrize(
    ("pair", "name", "point"),
    [(ORDERS[order], name, point) for order, name, point in KILLED],
    ids=["-".join(case) for case in KILLED],
    indirect=["pair"],
)
def test_what_the_one_was_killed_at_is_finished_or_undone_by_the_other(
    pair: tuple[Adw, Adw], name: str, point: str
) -> None:
    first, second = pair
    before, words, _ = UNDER_WAY[name]
    before(first)
    spares = "1" if name in ("fill", "create-from-spare") else "0"
    fault = f"{point}=kill"
    first(*words.split(), code=-signal.SIGKILL, ADW_FAULT=fault, ADW_SPARES=spares)
    second("list")
    second("reconcile")
    if name == "hooks":
        second("hooks", "install")
        second("hooks", "uninstall")
        hooks = first.directory / ".git" / "hooks"
        assert [path.name for path in hooks.iterdir() if not path.name.endswith(".sample")] == [
            "post-commit"
        ]
        assert (hooks / "post-commit").read_text() == "#!/usr/bin/env python3\n"
    rows: list[dict[str, Any]] = [
        row for row in second.json("list")["worktrees"] if row["adw_id"] is not None
    ]
    leases = second.json("status")["allocations"]
    assert leases.keys() == {row["adw_id"] for row in rows}
    assert all((Path(row["path"]) / ".env.ports").exists() for row in rows)
    assert not [path for path in worktrees(first.directory) if "spare-" in path and name != "fill"]
    if before in (with_work, with_trash, with_commit):
        if second.json("restore")["kept"]:
            second("restore", "a")
        places = [first.directory, *(first.directory / "trees" / adw_id for adw_id in "ab")]
        found = [place / "new" for place in places if (place / "new").exists()]
        assert {path.read_text() for path in found} == {"of days\n"}
    second("create", "a")
    second("create", "c")
    assert in_order(second)

"""What each command loads before it does anything: that is what its start costs.

The sets are exact, so that nothing creeps in. Where a command needs more, it is added here, after a
look at `python -X importtime`; `nox -s bench` says what it costs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import PACKAGE
from tests.support.command_line import Adw


def _names(text: str) -> set[str]:
    return set(text.split())


BASE = _names(
    "_version cli.command_table cli.main cli.output cli.plain errors system.environment "
    "system.faults system.named_tuple system.text"
)
OPENS = BASE - {"_version"} | _names(
    "adw_id pool.document pool.doubts pool.env_header pool.holders pool.identity pool.lease "
    "pool.lease_record pool.ledger pool.other_ledgers pool.place pool.pool pool.receipts "
    "pool.registry pool.state_directory pool.unlisted pool.verdict project repo.find repo.git "
    "repo.refs repo.repository settings.check settings.load settings.model settings.places "
    "settings.rules system.atomic system.locks system.memo system.paths system.ports "
    "system.records system.sharing"
)
"""The modules that find the repository, its settings and its place in the pool."""
HEALS = OPENS | _names(
    "integrations.hook_file integrations.stamp worktrees.create_lock worktrees.heal"
)
"""And look whether all is in order."""
SHOWS_ENV = HEALS | _names("system.shipped worktrees.files.env_file worktrees.files.variables")
FURNISHES = SHOWS_ENV | _names(
    "repo.branches repo.exclude_file repo.worktrees system.child_output system.mounts "
    "system.progress worktrees.files.exclude worktrees.files.furnish worktrees.results"
)
CREATES = FURNISHES | _names(
    "pool.wanted_slot repo.in_use repo.remotes repo.sparse settings.approvals "
    "worktrees.create worktrees.create_plan worktrees.last_used worktrees.user_hooks"
)
REMOVES = SHOWS_ENV | _names(
    "cli.whereabouts repo.branches repo.index repo.integrated repo.nested repo.status "
    "repo.unfinished repo.work repo.worktrees settings.approvals system.background "
    "system.child_output system.deleting system.mounts system.parallel system.progress "
    "system.servers worktrees.files.own_files worktrees.remove worktrees.remove_checks "
    "worktrees.remove_several worktrees.remove_steps worktrees.remove_target "
    "worktrees.results worktrees.trash worktrees.user_hooks"
)

LOADED = {
    "--version": BASE,
    "--help": BASE - {"_version"} | _names("cli.parser"),
    "help exit-codes": BASE - {"_version"}
    | _names(
        "adw_id cli.commands.help cli.topics pool.env_header pool.lease settings.check "
        "settings.load settings.model settings.places settings.rules system.atomic "
        "system.exec_command system.paths system.sharing system.shipped "
        "worktrees.files.env_file"
    ),
    "path a": HEALS | _names("cli.commands.path worktrees.lookup"),
    "env a": SHOWS_ENV | _names("cli.commands.env worktrees.lookup"),
    "run a -- true": SHOWS_ENV | _names("cli.commands.run system.exec_command worktrees.lookup"),
    "status": HEALS | _names("cli.commands.status pool.status"),
    "list": HEALS
    | _names("cli.commands.list system.child_output worktrees.listing worktrees.results"),
    "reserve r": HEALS
    | _names(
        "cli.commands.reserve pool.wanted_slot repo.exclude_file worktrees.files.exclude "
        "worktrees.results"
    ),
    "release r": HEALS | _names("cli.commands.release worktrees.lookup worktrees.results"),
    "create b": CREATES | _names("cli.commands.create worktrees.nested_tests"),
    "create a": CREATES | _names("cli.commands.create worktrees.create_again"),
    "remove b": REMOVES | _names("cli.commands.remove"),
    "rename b c": FURNISHES
    | _names(
        "cli.commands.rename cli.whereabouts repo.in_use repo.index repo.integrated "
        "repo.nested repo.remotes repo.status repo.unfinished repo.work settings.approvals "
        "system.parallel worktrees.create_plan worktrees.files.own_files worktrees.lookup "
        "worktrees.remove_checks worktrees.rename worktrees.rename_steps"
    ),
    "complete -- rem": BASE - {"_version"} | _names("cli.completion"),
    "complete -- remove a": REMOVES | _names("cli.commands.remove cli.completion cli.parser"),
    "complete -- create x --from m": OPENS | _names("cli.completion system.child_output"),
    "complete -- create x --slot 1": OPENS | _names("cli.completion"),
    "complete -- env a --format j": SHOWS_ENV
    | _names("cli.commands.env cli.completion cli.parser worktrees.lookup"),
    "complete -- restore a": FURNISHES
    | _names(
        "cli.commands.restore cli.completion cli.parser system.background system.deleting "
        "worktrees.remove_steps worktrees.restore worktrees.trash worktrees.without_tree"
    ),
    "finish b": REMOVES
    | _names(
        "cli.commands.finish cli.commands.remove repo.in_use worktrees.finish.advance "
        "worktrees.finish.finish worktrees.finish.merge worktrees.finish.result "
        "worktrees.finish.target worktrees.lookup"
    ),
    "restore": FURNISHES
    | _names(
        "cli.commands.restore system.background system.deleting worktrees.remove_steps "
        "worktrees.restore worktrees.trash worktrees.without_tree"
    ),
    "reconcile --background": HEALS | _names("cli.commands.reconcile worktrees.reconcile_pass"),
    "reconcile": FURNISHES
    | _names(
        "cli.commands.reconcile pool.claims repo.index repo.integrated repo.nested "
        "repo.sparse repo.status repo.unfinished repo.work settings.approvals "
        "system.background system.deleting system.parallel worktrees.adopt_together "
        "worktrees.linked worktrees.lookup worktrees.prepare worktrees.reconcile "
        "worktrees.reconcile_pass worktrees.reconcile_plan worktrees.reconcile_steps "
        "worktrees.remove_steps worktrees.spare_files worktrees.spares worktrees.take_in "
        "worktrees.trash worktrees.user_hooks worktrees.without_tree"
    ),
    "hooks status": OPENS
    | _names(
        "cli.commands.hooks integrations.agent_files integrations.git_hooks "
        "integrations.hook_file integrations.service integrations.service_file "
        "integrations.stamp repo.exclude_file system.child_output system.shipped"
    ),
    "spares status": OPENS
    | _names(
        "cli.commands.spares repo.sparse repo.worktrees settings.approvals system.background "
        "system.child_output system.deleting system.mounts system.progress worktrees.prepare "
        "worktrees.spare_files worktrees.spares worktrees.trash worktrees.user_hooks"
    ),
    "trust --yes": OPENS
    | _names(
        "cli.commands.trust settings.approvals system.shipped worktrees.files.env_file "
        "worktrees.files.variables"
    ),
    "doctor": SHOWS_ENV
    | _names(
        "cli.commands.doctor integrations.git_hooks pool.claims pool.status repo.branches "
        "repo.exclude_file repo.git_errors repo.index repo.integrated repo.nested repo.sparse "
        "repo.status repo.unfinished repo.work repo.worktrees settings.approvals "
        "system.background system.child_output system.deleting system.mounts system.parallel "
        "system.progress worktrees.adopt_together worktrees.doctor worktrees.files.exclude "
        "worktrees.files.furnish worktrees.linked worktrees.prepare worktrees.reconcile "
        "worktrees.reconcile_plan worktrees.reconcile_preview worktrees.reconcile_steps "
        "worktrees.remove_steps worktrees.spare_files worktrees.spares worktrees.take_in "
        "worktrees.trash worktrees.user_hooks worktrees.without_tree"
    ),
}
"""Our own modules, by command, in a repository in which there is nothing to mend."""

RUNS_GIT = _names("list create remove rename finish reconcile hooks doctor spares")
SLOW = _names(
    "argparse asyncio dataclasses decimal email filelock gettext git hashlib http inspect logging "
    "platformdirs psutil pydantic random rich secrets shutil socket ssl subprocess tempfile "
    "tomllib typing unittest"
)
"""Libraries that take a quarter of a bare Python's start, or more."""


def _loaded(adw: Adw, command: str) -> set[str]:
    """Run a command and return the names of all modules that were loaded for it."""
    ran = subprocess.run(
        [sys.executable, "-v", "-m", "adw_worktree", *command.split()],
        cwd=adw.directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"(?m)^import '([\w.]+)'", ran.stderr))


@pytest.mark.parametrize("command", LOADED)
def test_a_command_loads_what_it_needs_and_no_more(adw: Adw, command: str) -> None:
    adw("create", "a")
    if "b" in command.split()[1:] and not command.startswith("create"):
        adw("create", "b")
    if command == "release r":
        adw("reserve", "r")
    names = _loaded(adw, command)
    own = {name.removeprefix("adw_worktree.") for name in names if "adw_worktree." in name}
    own = {name for name in own if not PACKAGE.joinpath(*name.split(".")).is_dir()}
    assert own == LOADED[command]
    allowed = set()
    runs_git = RUNS_GIT & {command.partition(" ")[0]} and command != "reconcile --background"
    if runs_git or command in ("complete -- remove a", "complete -- create x --from m"):
        allowed |= {"subprocess"}
    if command in (
        "--help",
        "complete -- remove a",
        "complete -- env a --format j",
        "complete -- restore a",
    ):
        allowed |= {"argparse", "gettext"}  # to show what there is, or to find it
    if command == "--help" and sys.version_info >= (3, 14):
        allowed |= {"dataclasses", "inspect"}  # of argparse's colours
    assert names & SLOW == allowed


def test_a_filling_takes_its_lock_with_filelock_and_a_drop_by_itself(adw: Adw) -> None:
    """The one runs long; the other is over before filelock would be loaded."""
    door = {"filelock", "adw_worktree.system.long_locks"}
    assert door <= _loaded(adw, "spares fill --wait")
    assert not door & _loaded(adw, "spares drop")


@pytest.mark.parametrize("command", ["list", "status", "reconcile", "path a0", "doctor"])
def test_a_look_at_many_worktrees_starts_no_more_of_git_than_at_one(
    adw: Adw, tmp_path: Path, command: str
) -> None:
    """One `git worktree list` tells of all; the rest is read from small files."""
    started = []
    for number in range(6):
        adw("create", f"a{number}")
        if number in (0, 5):
            trace = tmp_path / f"trace-{number}"
            trace.mkdir()
            adw(*command.split(), GIT_TRACE2_EVENT=str(trace))
            started.append(len(list(trace.iterdir())))
    assert started[0] == started[1]

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

from tests.support.command_line import Adw


def _names(text: str) -> set[str]:
    return set(text.split())


BASE = _names("_version cli errors faults gitrepo locks model output parsing presence")
OPENS = BASE - {"_version"} | _names(
    "atomic commands discovery envfile holdings ledger memory neighbours places pool ports project "
    "receipts registry resources schema settings settings_check settings_rules statedir verdict"
)
"""What finds the repository, its settings and its place in the pool."""
HEALS = OPENS | _names("healing creators hookfile stamp")
"""And looks whether all is in order."""
SHOWS = HEALS | {"overview"}
REMOVES = HEALS | _names("retire trash background worktrees")
CREATES = HEALS | _names("creation exclude furnish userhooks worktrees")
HELPS = _names(
    "atomic become commands commands.help envfile places resources settings settings_check "
    "settings_rules topics"
)
ALL = REMOVES | CREATES | _names("actions leftovers spares workstate")

LOADED = {
    "--version": BASE,
    "--help": BASE - {"_version"},
    "help exit-codes": BASE - {"_version"} | HELPS,
    "path a": SHOWS | {"commands.path"},
    "env a": SHOWS | {"commands.env"},
    "run a -- true": SHOWS | {"commands.run", "become"},
    "status": SHOWS | {"commands.status"},
    "list": SHOWS | {"commands.list"},
    "reserve r": HEALS | {"commands.reserve", "exclude"},
    "release r": SHOWS | {"commands.release"},
    "create b": CREATES | {"commands.create", "create", "visits"},
    "create a": CREATES | {"commands.create", "create", "visits"},
    "remove b": REMOVES | {"commands.remove", "remove", "consent", "userhooks", "workstate"},
    "rename b c": HEALS
    | _names("commands.rename consent creation exclude furnish overview rename renaming userhooks")
    | _names("workstate worktrees"),
    "complete -- rem": BASE - {"_version"} | {"completion"},
    "complete -- remove a": REMOVES
    | _names("commands.remove completion consent remove userhooks workstate"),
    "complete -- create x --from m": OPENS - {"commands"} | {"completion"},
    "finish b": SHOWS
    | REMOVES
    | _names(
        "commands.finish commands.remove consent finish landing merging remove target userhooks "
        "workstate"
    ),
    "restore": REMOVES | {"commands.restore", "restore", "exclude", "furnish"},
    "reconcile --background": HEALS | {"commands.reconcile"},
    "reconcile": ALL | {"commands.reconcile", "commands.list", "reconcile", "overview"},
    "hooks status": OPENS
    | _names("commands.hooks agentfiles githooks hookfile stamp background unitfile units"),
    "spares status": OPENS | _names("commands.spares spares background trash userhooks worktrees"),
    "trust --yes": OPENS | {"commands.trust", "userhooks"},
    "doctor": ALL | {"commands.doctor", "doctor", "gitwords", "reconcile", "githooks", "overview"},
}
"""Our own modules, by command, in a repository in which there is nothing to mend."""

RUNS_GIT = _names("list create remove rename finish reconcile hooks doctor trust spares")
SLOW = _names(
    "asyncio dataclasses decimal email git hashlib http inspect logging platformdirs "
    "psutil pydantic random rich secrets shutil socket ssl subprocess tempfile tomllib unittest"
)
"""Libraries that take a quarter of a bare Python's start, or more."""


@pytest.mark.parametrize("command", LOADED)
def test_a_command_loads_what_it_needs_and_no_more(adw: Adw, command: str) -> None:
    adw("create", "a")
    if "b" in command.split()[1:] and not command.startswith("create"):
        adw("create", "b")
    if command == "release r":
        adw("reserve", "r")
    ran = subprocess.run(
        [sys.executable, "-v", "-m", "adw_worktree", *command.split()],
        cwd=adw.directory,
        capture_output=True,
        text=True,
        check=True,
    )
    names = set(re.findall(r"(?m)^import '([\w.]+)'", ran.stderr))
    own = {name.removeprefix("adw_worktree.") for name in names if "adw_worktree." in name}
    assert own == LOADED[command]
    allowed = set()
    runs_git = RUNS_GIT & {command.partition(" ")[0]} and command != "reconcile --background"
    if runs_git or command in ("complete -- remove a", "complete -- create x --from m"):
        allowed |= {"subprocess"}
    if command in (
        "create b",
        "reserve r",
        "status",
        "doctor",
        "remove b",
        "rename b c",
        "finish b",
    ):
        allowed |= {"socket"}  # to ask whether a port is free
    if command == "--help" and sys.version_info >= (3, 14):
        allowed |= {"dataclasses", "inspect"}  # of argparse's colours
    assert names & SLOW == allowed


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

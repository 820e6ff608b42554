"""`adw-worktree hooks`."""

from __future__ import annotations

import os
import sys

from adw_worktree.cli.output import Outcome, table
from adw_worktree.errors import SettingsError, UsageError
from adw_worktree.integrations.git_hooks import HookState, install, status, uninstall
from adw_worktree.integrations.stamp import observe, remove_stamp, write_stamp
from adw_worktree.project import Project, open_project, project_around
from adw_worktree.settings.places import state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree hooks install
  adw-worktree hooks status
  adw-worktree hooks install --claude       # Claude Code makes its worktrees with us
  adw-worktree hooks install --agents-md    # a section on worktrees in AGENTS.md
  adw-worktree hooks install --watch        # one watcher for all repositories, at each login
  adw-worktree hooks install --board        # the board, at each login
  adw-worktree hooks install --worker       # phases of a store that hosts share, at each login
  adw-worktree hooks uninstall              # leaves every file as it was"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=["install", "uninstall", "status"],
        help="put them in place, take them out, or say what is there",
    )
    parser.add_argument(
        "--claude", action="store_true", help="Claude Code's hooks, in .claude/settings.json"
    )
    parser.add_argument("--agents-md", action="store_true", help="the section in AGENTS.md")
    parser.add_argument(
        "--watch", action="store_true", help="the service that runs `adw-worktree watch`"
    )
    parser.add_argument(
        "--board", action="store_true", help="the service that runs `adw-worktree board`"
    )
    parser.add_argument(
        "--worker", action="store_true", help="the service that runs `adw-worktree work`"
    )


Row = dict[str, str | None]


def run(args: Namespace) -> Outcome:
    rows: list[Row] = []
    notes: list[str] = []
    has_service = args.watch or args.board or args.worker
    of_repository = not has_service or args.claude or args.agents_md or args.action == "status"
    if of_repository:
        look = args.action == "status"
        project = project_around(args.directory) if look else open_project(args.directory)
        if project is not None:
            rows, notes = _of_repository(project, args), project.notices
    for name, wanted in (
        ("board", args.board),
        ("work", args.worker),
        ("watch", args.watch),
    ):
        if wanted or args.action == "status":
            rows += _service(name, args.action, notes)
    shown = [[str(one["event"]), str(one["state"]), one["how"] or "-",
              str(one["note"] or one["path"])] for one in rows]  # fmt: skip
    text = table(["EVENT", "STATE", "HOW", "WHERE"], shown)
    return Outcome({"action": args.action, "hooks": rows}, text, notes)


def _of_repository(project: Project, args: Namespace) -> list[Row]:
    """Put in what belongs to the repository, take it out, or tell what is in."""
    rows: list[Row] = []
    only_files = args.claude or args.agents_md
    if not only_files or args.action == "status":
        act = {"install": _install, "uninstall": _uninstall, "status": _status}[args.action]
        rows += [
            {
                "event": one.event,
                "state": one.state,
                "how": one.how,
                "path": one.path,
                "note": one.note,
            }
            for one in act(project)
        ]
    for name, wanted in (("claude", args.claude), ("agents-md", args.agents_md)):
        if wanted or (args.action == "status" and project.repo.main is not None):
            rows.append(_agent_file(project, name, args.action))
    return rows


def _service(name: str, action: str, notes: list[str]) -> list[Row]:
    """Put in the user's service for a command, take it out, or tell whether it is in."""
    from adw_worktree.integrations import service as units
    from adw_worktree.integrations.service_file import BOARD, WATCHER, WORKER

    command = [sys.executable, "-m", __package__.partition(".")[0], name]
    service = {one.name: one for one in (BOARD, WATCHER, WORKER)}[name]
    try:
        unit = units.own_unit(command, state_directory(), os.environ, service=service)
    except SettingsError:
        if action == "status":
            return []  # there is no place for one
        raise
    if action == "install":
        _require_libraries(name)
        found = units.install(unit)
    else:
        found = units.uninstall(unit) if action == "uninstall" else units.state(unit)
    if action == "install" and found.note:
        notes.append(found.note)
    return [
        {
            "event": name,
            "state": found.state,
            "how": found.how if found.state != "absent" else None,
            "path": str(found.path),
            "note": found.note if action == "status" else None,
        }
    ]


def _require_libraries(name: str) -> None:
    """Raise LibraryMissing if the command cannot run for want of a library."""
    if name == "board":
        from adw_worktree.cli.commands.board import require_libraries

        require_libraries()
    elif name == "work":
        from adw_worktree.orchestration.store import libraries, opening

        opening.require_store_url()
        for library in ("psycopg", "procrastinate"):
            libraries.require_library(library)
    else:
        from adw_worktree.system.directory_watch import require_library

        require_library()


def _agent_file(project: Project, name: str, action: str) -> dict[str, str | None]:
    """Put our part into a file that agents read, take it out, or tell whether it is in."""
    from adw_worktree.integrations import agent_files as agentfiles

    repo = project.repo
    if repo.main is None:
        raise UsageError(
            f"{repo.home} is bare, and has no place for --{name}",
            hint="leave it out",
        )
    found = {
        ("claude", "install"): lambda: agentfiles.install_claude(repo, _command()),
        ("claude", "uninstall"): lambda: agentfiles.uninstall_claude(repo),
        ("claude", "status"): lambda: agentfiles.claude_state(repo),
        ("agents-md", "install"): lambda: agentfiles.install_agents(repo),
        ("agents-md", "uninstall"): lambda: agentfiles.uninstall_agents(repo),
        ("agents-md", "status"): lambda: agentfiles.agents_state(repo),
    }[name, action]()
    return {
        "event": name,
        "state": found.state,
        "how": "file" if found.state == "installed" else None,
        "path": str(found.path),
        "note": found.note,
    }


def _command() -> str:
    from adw_worktree.integrations.agent_files import shell_words

    return shell_words([sys.executable, "-m", __package__.partition(".")[0]])


def _install(project: Project) -> list[HookState]:
    observed = observe(project.repo, project.trees)
    command = [sys.executable, "-m", __package__.partition(".")[0]]
    states = install(
        project.repo,
        command=command,
        watched=project.trees,
        lock_timeout=project.settings.lock_timeout,
    )
    write_stamp(project.repo, list(project.pool.leases().values()), observed)
    refused = [one for one in states if one.state == "refused"]
    if refused:
        project.notices.append(
            f"{len(refused)} of {len(states)} hooks are not in place: {refused[0].note}; what "
            "notices removals without them: adw-worktree hooks install --watch"
        )
    return states


def _uninstall(project: Project) -> list[HookState]:
    states = uninstall(project.repo, lock_timeout=project.settings.lock_timeout)
    remove_stamp(project.repo)
    return states


def _status(project: Project) -> list[HookState]:
    return status(project.repo)

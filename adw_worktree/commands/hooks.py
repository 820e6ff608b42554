"""`adw-worktree hooks`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from ..errors import UsageError
from ..githooks import HookState, install, status, uninstall
from ..output import Outcome, table
from ..project import Project, open_project
from ..stamp import observe, remove_stamp, write_stamp

EPILOG = """\
examples:
  adw-worktree hooks install
  adw-worktree hooks status
  adw-worktree hooks install --claude       # Claude Code makes its worktrees with us
  adw-worktree hooks install --agents-md    # a section on worktrees in AGENTS.md
  adw-worktree hooks uninstall              # leaves every file as it was"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=["install", "uninstall", "status"])
    parser.add_argument(
        "--claude", action="store_true", help="Claude Code's hooks, in .claude/settings.json"
    )
    parser.add_argument("--agents-md", action="store_true", help="the section in AGENTS.md")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    rows: list[dict[str, str | None]] = []
    if not (args.claude or args.agents_md) or args.action == "status":
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
    shown = [[str(one["event"]), str(one["state"]), one["how"] or "-",
              str(one["note"] or one["path"])] for one in rows]  # fmt: skip
    text = table(["EVENT", "STATE", "HOW", "WHERE"], shown)
    return Outcome({"action": args.action, "hooks": rows}, text, project.notices)


def _agent_file(project: Project, name: str, action: str) -> dict[str, str | None]:
    """Put our part into a file that agents read, take it out, or tell whether it is in."""
    from .. import agentfiles

    repo = project.repo
    if repo.main is None:
        raise UsageError(f"{repo.home} is bare, and has no place for --{name}")
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
        "note": None,
    }


def _command() -> str:
    from ..agentfiles import shell_words

    return shell_words([sys.executable, "-m", __package__.partition(".")[0]])


def _install(project: Project) -> list[HookState]:
    observed = observe(project.repo, project.trees)
    command = [sys.executable, "-m", __package__.partition(".")[0]]
    states = install(project.repo, command=command, watched=project.trees)
    write_stamp(project.repo, list(project.pool.leases().values()), observed)
    return states


def _uninstall(project: Project) -> list[HookState]:
    states = uninstall(project.repo)
    remove_stamp(project.repo)
    return states


def _status(project: Project) -> list[HookState]:
    return status(project.repo)

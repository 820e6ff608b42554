"""`adw-worktree agents`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path
    from typing import Any

    from adw_worktree.orchestration.agents.agent import Agent
    from adw_worktree.orchestration.agents.check import Checked
    from adw_worktree.project import Project

EPILOG = """\
examples:
  adw-worktree agents                # which there are
  adw-worktree agents check          # whether they can be used; costs nothing
  adw-worktree agents check --live   # and whether they answer; costs a few tokens each

A login in the system's own store of passwords is not seen. The exit code of `check` is 10 if none
of them can be used."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=["check"], help="see whether they can be used")
    parser.add_argument("--live", action="store_true", help="of `check`: send each a small prompt")


def run(args: Namespace) -> Outcome:
    from adw_worktree.errors import UsageError
    from adw_worktree.orchestration.agents.registry import agents_of
    from adw_worktree.project import project_around
    from adw_worktree.settings.load import load_settings

    if args.live and args.action is None:
        raise UsageError("--live is for `agents check`", hint="adw-worktree agents check --live")
    project = project_around(args.directory)
    settings = project.settings if project is not None else load_settings(None)
    agents = [*agents_of(settings).values()]
    if args.action is None:
        return _list(agents)
    return _check(agents, project, live=args.live)


def _list(agents: list[Agent]) -> Outcome:
    from adw_worktree.orchestration.agents.check import program_of

    found = [(one, program_of(one)) for one in agents]
    rows = [[one.name, one.program, one.reads, one.origin, "yes" if path else "no"]
            for one, path in found]  # fmt: skip
    text = table(["AGENT", "PROGRAM", "READS", "FROM", "INSTALLED"], rows)
    return Outcome({"agents": [_row(one, path) for one, path in found]}, text)


def _row(agent: Agent, path: Path | None) -> dict[str, Any]:
    return {
        "name": agent.name,
        "command": [*agent.command],
        "prompt": agent.prompt,
        "reads": agent.reads,
        "origin": agent.origin,
        "path": str(path) if path is not None else None,
    }


def _check(agents: list[Agent], project: Project | None, *, live: bool) -> Outcome:
    from adw_worktree.orchestration.agents.check import check
    from adw_worktree.settings.approvals import further_key, require_trusted

    if project is not None:
        where = (project.state_dir, project.repo.common_dir)
        require_trusted(
            project.settings, *where, [further_key("agents", one.name) for one in agents]
        )
    found = [check(agent, live=live) for agent in agents]
    rows = [[one.agent.name, str(one.path or "-"), one.version or "-", one.login, _said(one, live)]
            for one in found]  # fmt: skip
    text = table(["AGENT", "PROGRAM", "VERSION", "LOGIN", "STATE"], rows)
    data = {"agents": [_checked(one, live) for one in found]}
    notes = [] if any(one.is_usable for one in found) else ["no agent can be used: install one"]
    return Outcome(data, text, notes, 0 if not notes else 10)


def _checked(found: Checked, live: bool) -> dict[str, Any]:
    cost = found.live.record.cost_usd if found.live is not None else None
    return {
        **_row(found.agent, found.path),
        "version": found.version,
        "login": found.login,
        "usable": found.is_usable,
        "state": _said(found, live),
        "cost_usd": cost,
    }


def _said(found: Checked, live: bool) -> str:
    if found.path is None:
        return "not installed"
    if not live:
        return "installed"
    if found.live is None:
        return "cannot be started"
    if found.live.cut is not None:
        return "did not answer in time"
    record = found.live.record
    return "answers" if record.ended == "ok" else (record.error or record.ended)[:120]

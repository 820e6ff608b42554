"""`adw-worktree trust`."""

from __future__ import annotations

from shlex import quote

from adw_worktree.cli.output import Outcome, ask, can_ask, table
from adw_worktree.errors import UsageError
from adw_worktree.project import Project, open_project, project_around
from adw_worktree.settings.approvals import (
    approving,
    commands_digest,
    further_key,
    further_tables,
    is_trusted,
    revoke,
    template_digest,
    trust,
)
from adw_worktree.settings.model import Settings, Table
from adw_worktree.settings.places import state_directory
from adw_worktree.system.text import printable
from adw_worktree.worktrees.files.env_file import further_lines
from adw_worktree.worktrees.files.variables import requested_template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

EPILOG = """\
examples:
  adw-worktree trust              # show the commands, and ask
  adw-worktree trust --yes        # approve them as they stand now
  adw-worktree trust --revoke
  adw-worktree -C / trust         # outside of a repository: which have an approval

Approved is this exact text; a change of it has to be approved again."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="approve without asking")
    parser.add_argument("--revoke", action="store_true", help="take the approval back")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory) if args.yes or args.revoke else None
    project = project or project_around(args.directory)
    if project is None:
        return _approved()
    commands = requested_commands(project.settings)
    digest = commands_digest(project.settings)
    template = requested_template(project)
    lines = further_lines(template)
    digests = [digest] if digest is not None else []
    digests += [template_digest(template)] if lines else []
    where = (project.state_dir, project.repo.common_dir)
    timeout = project.settings.lock_timeout
    if args.revoke:
        revoked = revoke(*where, lock_timeout=timeout)
        text = "the approval was taken back" if revoked else "nothing was approved"
        return Outcome(_data(False, commands, lines), text, project.notices)
    if not digests:
        text = "the repository's settings ask for no commands"
        return Outcome(_data(True, {}, []), text, project.notices)
    asked = "\n".join(part for part in (describe(commands), _variables(lines)) if part)
    unknown = [one for one in digests if not is_trusted(*where, one)]
    if unknown and not args.yes:
        _ask(project, asked, as_json=args.json)
    for one in unknown:
        trust(*where, one, lock_timeout=timeout)
    return Outcome(_data(True, commands, lines), f"approved:\n{asked}", project.notices)


def _approved() -> Outcome:
    """List, outside of any repository, those for which something is approved."""
    data = _data(True, {}, [])
    rows = [[place, f"adw-worktree -C {quote(place)} trust --revoke"] for place in data["approved"]]
    text = table(["APPROVED", "TO TAKE IT BACK"], rows) if rows else "nothing is approved"
    return Outcome(data, text)


def _data(
    trusted: bool, commands: dict[str, list[str | list[str]]], variables: list[str]
) -> dict[str, Any]:
    places = approving(state_directory())
    return {
        "trusted": trusted,
        "commands": commands,
        "variables": variables,
        "approved": [str(one.parent if one.name == ".git" else one) for one in places],
    }


def requested_commands(settings: Settings) -> dict[str, list[str | list[str]]]:
    """Return the commands that files of the repository ask for, by moment or agent."""
    hooks = {
        moment: [one if isinstance(one, str) else list(one) for one in hook.commands]
        for moment, hook in settings.hooks.items()
        if hook.from_repository
    }
    tables = {
        further_key(kind, name): [*map(_words, _asked(table))]
        for kind, group in further_tables(settings).items()
        for name, table in group.items()
        if table.from_repository
    }
    return {**hooks, **tables}


def _asked(table: Table) -> list[object]:
    """Return what a table asks to run: a program, commands, or a prompt and other words."""
    commands = table.values.get("command") or table.values.get("run")
    if commands is None:
        return [f"{key} = {value!r}" for key, value in table.values.items()]
    is_list = isinstance(commands, list) and "run" in table.values
    return [*commands] if is_list and isinstance(commands, list) else [commands]


def _words(command: object) -> str | list[str]:
    """Return a command, which nothing has checked yet."""
    return [str(word) for word in command] if isinstance(command, list) else str(command)


def describe(commands: dict[str, list[str | list[str]]]) -> str:
    """Return the commands as a person should read them before approving."""
    return "\n".join(
        f"  {moment}: {printable(one if isinstance(one, str) else repr(one))}"
        for moment, group in commands.items()
        for one in group
    )


def _variables(lines: list[str]) -> str:
    """Return the lines of the env template that need approval, as a person should read them."""
    return "\n".join(
        f"  {'setting' if line.startswith('postgres.') else 'variable'}: {printable(line)}"
        for line in lines
    )


def _ask(project: Project, asked: str, *, as_json: bool) -> None:
    """Ask on the terminal; raise UsageError without one, or on any answer but yes."""
    if as_json or not can_ask():
        raise UsageError(
            f"the settings of {project.repo.home} ask for:\n{asked}",
            hint="to approve exactly this: adw-worktree trust --yes",
        )
    if not ask(f"{project.repo.home} asks for:\n{asked}", "approve?"):
        raise UsageError(f"you did not say yes: what {project.repo.home} asks for is not approved")

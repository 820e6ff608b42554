"""`adw-worktree trust`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from ..errors import UsageError
from ..model import Settings
from ..output import Outcome, printable
from ..project import Project, open_project
from ..userhooks import commands_digest, is_trusted, revoke, trust

EPILOG = """\
examples:
  adw-worktree trust              # show the commands, and ask
  adw-worktree trust --yes        # approve them as they stand now
  adw-worktree trust --revoke

Approved is this exact text; a change of it has to be approved again."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="approve without asking")
    parser.add_argument("--revoke", action="store_true", help="take the approval back")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    commands = requested_commands(project.settings)
    digest = commands_digest(project.settings)
    where = (project.state_dir, project.repo.common_dir)
    timeout = project.settings.lock_timeout
    if args.revoke:
        revoked = revoke(*where, lock_timeout=timeout)
        text = "the approval was taken back" if revoked else "nothing was approved"
        return Outcome({"trusted": False, "commands": commands}, text, project.notices)
    if digest is None:
        text = "the repository's settings ask for no commands"
        return Outcome({"trusted": True, "commands": {}}, text, project.notices)
    if not is_trusted(*where, digest):
        if not args.yes:
            _ask(project, commands, as_json=args.json)
        trust(*where, digest, lock_timeout=timeout)
    text = f"approved:\n{describe(commands)}"
    return Outcome({"trusted": True, "commands": commands}, text, project.notices)


def requested_commands(settings: Settings) -> dict[str, list[str | list[str]]]:
    """Return the commands that files of the repository ask for, by moment."""
    return {
        moment: [one if isinstance(one, str) else list(one) for one in hook.commands]
        for moment, hook in settings.hooks.items()
        if hook.from_repository
    }


def describe(commands: dict[str, list[str | list[str]]]) -> str:
    """Return the commands as a person should read them before approving."""
    return "\n".join(
        f"  {moment}: {printable(one if isinstance(one, str) else repr(one))}"
        for moment, group in commands.items()
        for one in group
    )


def _ask(project: Project, commands: dict[str, list[str | list[str]]], *, as_json: bool) -> None:
    """Ask on the terminal; raise UsageError without one, or on any answer but yes."""
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"the settings of {project.repo.home} ask to run:\n{describe(commands)}",
            hint="adw-worktree trust --yes approves exactly this",
        )
    print(f"{project.repo.home} asks to run:\n{describe(commands)}", file=sys.stderr)
    print("approve? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not approved", hint="adw-worktree trust asks again")

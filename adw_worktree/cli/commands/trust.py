"""`adw-worktree trust`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome, ask, can_ask
from adw_worktree.errors import UsageError
from adw_worktree.project import Project, open_project
from adw_worktree.settings.approvals import (
    commands_digest,
    is_trusted,
    revoke,
    template_digest,
    trust,
)
from adw_worktree.settings.model import Settings
from adw_worktree.system.text import printable
from adw_worktree.worktrees.files.env_file import further_lines
from adw_worktree.worktrees.files.variables import requested_template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

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
    template = requested_template(project)
    lines = further_lines(template)
    digests = [digest] if digest is not None else []
    digests += [template_digest(template)] if lines else []
    where = (project.state_dir, project.repo.common_dir)
    timeout = project.settings.lock_timeout
    if args.revoke:
        revoked = revoke(*where, lock_timeout=timeout)
        text = "the approval was taken back" if revoked else "nothing was approved"
        return Outcome(
            {"trusted": False, "commands": commands, "variables": lines}, text, project.notices
        )
    if not digests:
        text = "the repository's settings ask for no commands"
        return Outcome({"trusted": True, "commands": {}, "variables": []}, text, project.notices)
    asked = "\n".join(part for part in (describe(commands), _variables(lines)) if part)
    unknown = [one for one in digests if not is_trusted(*where, one)]
    if unknown and not args.yes:
        _ask(project, asked, as_json=args.json)
    for one in unknown:
        trust(*where, one, lock_timeout=timeout)
    data = {"trusted": True, "commands": commands, "variables": lines}
    return Outcome(data, f"approved:\n{asked}", project.notices)


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

"""`adw-worktree env`."""

from __future__ import annotations

import json
from shlex import quote

from adw_worktree.cli.output import Outcome
from adw_worktree.worktrees.files.variables import variables as variables_of
from adw_worktree.worktrees.lookup import find_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  eval "$(adw-worktree env fix-login --format shell)"
  adw-worktree env --format json      # of the worktree you are in"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")
    parser.add_argument(
        "--format",
        choices=["dotenv", "shell", "json"],
        default="dotenv",
        help="for whom: readers of .env files (the default), a shell's eval, or programs",
    )


def run(args: Namespace) -> Outcome:
    project, lease = find_lease(args.directory, args.adw_id)
    variables = variables_of(project, lease)
    data = {"adw_id": lease.adw_id, "variables": variables}
    return Outcome(data, _FORMATS[args.format](variables), project.notices, exact=True)


def _dotenv(variables: dict[str, str]) -> str:
    return "\n".join(f"{name}={quote(value)}" for name, value in variables.items())


def _shell(variables: dict[str, str]) -> str:
    return "\n".join(f"export {name}={quote(value)}" for name, value in variables.items())


def _json(variables: dict[str, str]) -> str:
    return json.dumps(variables, indent=2)


_FORMATS = {"dotenv": _dotenv, "shell": _shell, "json": _json}

"""`adw-worktree remove`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from ..consent import Consent
from ..output import Outcome
from ..ports import Listener
from ..project import open_project
from ..remove import Removed, remove
from ..trash import kept_until

EPILOG = """\
examples:
  adw-worktree remove fix-login
  adw-worktree remove fix-login -d        # and its branch, if its work is elsewhere
  adw-worktree remove fix-login --stop    # and end the servers that run in it
  adw-worktree remove                     # the worktree you are in"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="ADW_ID|PATH", help="default: the current one")
    parser.add_argument(
        "-f", "--force", action="store_true", help="remove it with uncommitted work"
    )
    branch = parser.add_mutually_exclusive_group()
    branch.add_argument(
        "-d",
        "--delete-branch",
        dest="branch",
        action="store_const",
        const="integrated",
        help="delete the branch too, if its work is integrated elsewhere",
    )
    branch.add_argument(
        "-D",
        "--force-delete-branch",
        dest="branch",
        action="store_const",
        const="always",
        help="delete the branch too, and lose commits that are nowhere else",
    )
    parser.add_argument("--unlock", action="store_true", help="remove it although it is locked")
    parser.add_argument("--stop", action="store_true", help="end servers that run inside it")
    parser.add_argument("--no-hooks", action="store_true", help="run no hooks")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    consent = Consent(
        force=args.force,
        delete_branch=args.branch or "never",
        unlock=args.unlock,
        stop=args.stop,
        hooks=not args.no_hooks,
    )
    target = args.target if args.target is not None else args.directory
    if isinstance(target, str) and "/" in target:
        target = args.directory / os.path.expanduser(target)
    gone = remove(project, target, consent, output=2)
    notes = [*project.notices, *gone.notes]
    notes += [f"{_who(one)} still listens on port {one.port}" for one in gone.listening]
    until = _kept_until(gone, project.settings.trash_days)
    if until is not None and gone.kept is not None:
        name = gone.kept.adw_id or gone.kept.name
        notes.append(f"its work is kept until {until[:10]}: adw-worktree restore {name}")
    return Outcome(as_json(gone, until), _text(gone), notes)


def _kept_until(gone: Removed, days: float) -> str | None:
    return kept_until(gone.kept, days).isoformat() if gone.kept else None


def as_json(gone: Removed, until: str | None) -> dict[str, object]:
    """Return the keys that `remove --json` promises; `until` is when what was kept goes."""
    released = gone.released
    return {
        "removed": gone.removed,
        "adw_id": gone.adw_id,
        "path": str(gone.path) if gone.path else None,
        "released": {"slot": released.slot, "ports": dict(released.ports)} if released else None,
        "branch_deleted": gone.branch_deleted,
        "kept_until": until,
        "stopped": [_server(one) for one in gone.stopped],
        "listening": [_server(one) for one in gone.listening],
    }


def _server(one: Listener) -> dict[str, object]:
    return {"port": one.port, "pid": one.pid, "command": one.command}


def _text(gone: Removed) -> str:
    lines = [f"removed {gone.path}" if gone.removed else f"{gone.adw_id} had no worktree any more"]
    if gone.released:
        lines.append(f"released slot {gone.released.slot} of {gone.released.adw_id}")
    if gone.branch_deleted:
        lines.append(f"deleted branch {gone.branch_deleted}")
    lines += [f"ended {_who(one)} on port {one.port}" for one in gone.stopped]
    return "\n".join(lines)


def _who(one: Listener) -> str:
    return f"{one.command} (pid {one.pid})" if one.pid else one.command

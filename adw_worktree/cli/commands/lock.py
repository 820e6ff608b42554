"""`adw-worktree lock`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from adw_worktree.cli.output import Outcome
from adw_worktree.repo.git import git_failure, run_git
from adw_worktree.repo.repository import list_worktrees
from adw_worktree.worktrees.lookup import find_lease, require_path

EPILOG = """\
examples:
  adw-worktree lock fix-login --reason 'the demo runs from here'"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("adw_id", nargs="?", metavar="ADW_ID", help="default: the current one")
    parser.add_argument("--reason", default="", help="shown to whoever wants to remove it")


def run(args: Namespace) -> Outcome:
    reason = ["--reason", args.reason] if args.reason else []
    return set_lock(args, ["lock", *reason], locked=True)


def set_lock(args: Namespace, words: list[str], *, locked: bool) -> Outcome:
    """Have git lock the ADW's worktree, or unlock it, as `words` say; once is enough."""
    project, lease = find_lease(args.directory, args.adw_id)
    path, home = require_path(project, lease), project.repo.home
    command = ["worktree", *words, "--", str(path)]
    done, said = (
        run_git(command, project.repo.checkout, check=False),
        "locked" if locked else "unlocked",
    )
    if done.returncode != 0:
        entry = next((one for one in list_worktrees(home) if one.path == path), None)
        if entry is None or (entry.locked is not None) != locked:
            raise git_failure(["git", *command], home, done.returncode, done.stderr)
        said = f"already {said}{f' ({entry.locked})' if entry.locked else ''}:"
    data = {"adw_id": lease.adw_id, "path": str(path), "locked": locked}
    return Outcome(data, f"{said} {path}", project.notices)

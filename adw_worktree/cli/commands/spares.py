"""`adw-worktree spares`."""

from __future__ import annotations

import sys

from adw_worktree.cli.output import Outcome, table
from adw_worktree.cli.plain import HIDDEN
from adw_worktree.errors import AdwError, UsageError
from adw_worktree.project import Project, open_project
from adw_worktree.settings.approvals import require_trusted
from adw_worktree.system import background
from adw_worktree.worktrees import spares
from adw_worktree.worktrees.spare_files import load_mark, ready
from adw_worktree.worktrees.user_hooks import PREPARE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree spares status
  adw-worktree spares fill           # in the background
  adw-worktree spares fill --wait
  adw-worktree spares drop

How many there are to be is the setting `spares`."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=["status", "fill", "drop"],
        help="say what is ready, make what is missing, or delete all",
    )
    parser.add_argument("--wait", action="store_true", help="fill: come back when they are ready")
    parser.add_argument("--mark", help=HIDDEN)


def run(args: Namespace) -> Outcome:
    if args.wait and args.action != "fill":
        raise UsageError("--wait is for fill", hint="adw-worktree spares fill --wait")
    project = open_project(args.directory)
    if args.action == "drop":
        dropped = spares.drop(project)
        return Outcome({"dropped": dropped}, f"dropped {dropped} spares", project.notices)
    if args.action == "status":
        return _status(project)
    if project.settings.spares:
        common_dir = project.repo.common_dir
        require_trusted(project.settings, project.state_dir, common_dir, [PREPARE])
    if not args.wait:
        started = fill_in_background(project)
        text = (
            "filling in the background" if started else "nothing to fill: the setting spares is 0"
        )
        return Outcome({"started": started}, text, project.notices)
    done = spares.fill(project, mark=args.mark, output=2)
    data = {
        "made": done.made,
        "refreshed": done.refreshed,
        "dropped": done.dropped,
        "ready": done.ready,
    }
    notes = [*project.notices, *([done.note] if done.note else [])]
    return Outcome(data, f"{done.ready} of {project.settings.spares} spares are ready", notes)


def fill_in_background(project: Project) -> bool:
    """Start the filling of spares, and come back at once; False if none are there or to be."""
    if not project.settings.spares and not ready(project.repo):
        return False
    name = __package__.partition(".")[0]
    common = str(project.repo.common_dir)
    fill = ["spares", "fill", "--wait", "--mark", load_mark(project.repo)]
    command = [sys.executable, "-m", name, "-C", common, *fill]
    if not background.start(command, project.repo.common_dir):
        raise AdwError(
            f"no process can be started to fill the spares of {project.repo.home}",
            hint="adw-worktree spares fill --wait",
        )
    return True


def _status(project: Project) -> Outcome:
    found = ready(project.repo)
    wanted = project.settings.spares
    fresh = spares.fresh(project)
    data = {
        "wanted": wanted,
        "ready": len(found),
        "filling": spares.is_filling(project),
        "spares": [
            {"name": spare.name, "commit": spare.commit, "fresh": spare in fresh} for spare in found
        ],
    }
    rows = [
        [spare.name, spare.commit[:12], "fresh" if spare in fresh else "behind base"]
        for spare in found
    ]
    lines = [f"{len(found)} of {wanted} spares are ready"]
    if rows:
        lines.append(table(["SPARE", "COMMIT", "STATE"], rows))
    return Outcome(data, "\n".join(lines), project.notices)

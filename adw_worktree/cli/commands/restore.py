"""`adw-worktree restore`."""

from __future__ import annotations

from adw_worktree.adw_id import check_adw_id
from adw_worktree.cli.output import Outcome, table
from adw_worktree.errors import UsageError
from adw_worktree.project import Project, open_project
from adw_worktree.worktrees import results, trash
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.restore import discard, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree restore                          # what can be brought back
  adw-worktree restore fix-login
  adw-worktree restore fix-login --as fix-again
  adw-worktree restore fix-login --discard      # delete it for good"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", metavar="ADW_ID", help="what was removed; default: list them"
    )
    parser.add_argument("--as", dest="as_id", metavar="ADW_ID", help="give it another name")
    parser.add_argument("--discard", action="store_true", help="delete it from the trash, for good")


def run(args: Namespace) -> Outcome:
    if args.name is None and (args.as_id or args.discard):
        raise UsageError("--as and --discard need an ADW id", hint="adw-worktree restore")
    if args.as_id and args.discard:
        raise UsageError("--as and --discard exclude each other", hint="leave one of them out")
    if args.as_id is not None:
        check_adw_id(args.as_id)
    project = open_project(args.directory)
    heal(project)
    if args.name is None:
        return _listing(project)
    if args.discard:
        entry = discard(project, args.name)
        return Outcome({"discarded": entry.name}, f"deleted {entry.name}", project.notices)
    back = restore(project, args.name, as_id=args.as_id)
    lease = back.lease
    text = f"restored {lease.adw_id} at {lease.path}, slot {lease.slot}"
    text += f"\ndatabase {lease.database}" if lease.database else ""
    return Outcome(results.restored(back), text, [*project.notices, *back.notes])


def _listing(project: Project) -> Outcome:
    days = project.settings.trash_days
    kept = [results.kept(entry, days) for entry in trash.kept_entries(project.repo)]
    heads = ["ADW_ID", "BRANCH", "REMOVED", "KEPT UNTIL", "FROM"]
    rows = [
        [
            str(one["adw_id"] or one["name"]),
            str(one["branch"] or "-"),
            str(one["removed_at"])[:16],
            str(one["kept_until"])[:16],
            str(one["path"]),
        ]
        for one in kept
    ]
    text = table(heads, rows) if rows else "nothing is kept"
    return Outcome({"kept": kept}, text, project.notices)

"""`adw-worktree import-queue`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree import-queue export.json

The file is a JSON list of the rows of the older queue of phases. What was completed, failed or
cancelled stays that; all else is paused until somebody resumes it."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an export of its rows, as JSON")


def run(args: Namespace) -> Outcome:
    from adw_worktree.orchestration.plan.older_queue import load_older_queue
    from adw_worktree.orchestration.prepare import origin_of
    from adw_worktree.orchestration.store.importing import import_features
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.orchestration.store.results import feature_row
    from adw_worktree.project import open_project

    project = open_project(args.directory)
    older = load_older_queue(args.directory / args.file)
    database = open_store(project.state_dir)
    try:
        found = import_features(database, older, origin_of(project, args.file, ""))
        rows = [feature_row(database, one) for one in found]
    finally:
        database.close()
    lines = [f"imported feature {one.id}, {one.slug}" for one in found]
    text = "\n".join(lines) or "there is nothing in it"
    return Outcome({"features": rows}, text, project.notices)

"""`adw-worktree claude-hook`: what Claude Code calls to make and remove a session's worktree.

The protocol (WorktreeCreate, WorktreeRemove): one JSON document on stdin; for `create`, the path as
the last line of stdout, and any other exit code than 0 fails the session's start. Everything else
is narration, and goes to stderr.
"""

from __future__ import annotations

import json
import sys
from binascii import crc32
from pathlib import Path

from adw_worktree.adw_id import check_adw_id, with_id_characters
from adw_worktree.cli.output import Outcome
from adw_worktree.errors import InvalidAdwId, UnknownAdw, UnmergedBranch, UsageError
from adw_worktree.project import Project, open_project
from adw_worktree.system.paths import is_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

EPILOG = """\
examples:
  adw-worktree hooks install --claude
  echo '{"cwd": "/src/app", "name": "fix-login"}' | adw-worktree claude-hook create
  echo '{"worktree_path": "/src/app/trees/fix-login"}' | adw-worktree claude-hook remove"""

_MAX_BYTES = 1 << 20
_HINT = "Claude Code calls this; by hand, see adw-worktree claude-hook --help"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=["create", "remove"], help="what the session's worktree is to be"
    )


def run(args: Namespace) -> Outcome:
    asked = _read()
    return _create(asked, args.directory) if args.action == "create" else _remove(asked, args)


def _create(asked: dict[str, Any], directory: Path) -> Outcome:
    from adw_worktree.worktrees.create import create
    from adw_worktree.worktrees.create_plan import Wish

    name = _text(asked, "name")
    project = open_project(directory / asked.get("cwd", "."))
    # A session, or an agent of one, goes on from the commit that it is at.
    made = create(project, adw_id_of(name), Wish(base="HEAD"), output=2)
    path = str(made.lease.path)
    ports = ", ".join(f"{service} {port}" for service, port in made.lease.ports.items())
    notes = [*project.notices, *made.notes, f"slot {made.lease.slot}: {ports}"]
    return Outcome({"path": path, "adw_id": made.lease.adw_id}, path, notes, exact=True)


def _remove(asked: dict[str, Any], args: Namespace) -> Outcome:
    """Take the worktree away. What nobody committed is kept in the trash, or the worktree stays."""
    path = Path(_text(asked, "worktree_path"))
    if not path.is_absolute():
        raise UsageError(f"worktree_path is {str(path)!r}, not an absolute path", hint=_HINT)
    project = open_project(_standing(path, args.directory / asked.get("cwd", ".")))
    try:
        notes = _take_away(project, path)
    except UnknownAdw:  # by whatever means: it is what was wanted
        notes = [f"{path} is gone already"]
    return Outcome({"path": str(path)}, "", [*project.notices, *notes])


def _take_away(project: Project, path: Path) -> list[str]:
    from adw_worktree.worktrees.remove import remove
    from adw_worktree.worktrees.remove_checks import Consent

    # Without a trash, what is uncommitted would be lost: then it is refused, and stays.
    consent = Consent(force=project.settings.trash_days > 0, stop=True, delete_branch="integrated")
    try:
        gone = remove(project, path, consent, output=2)
    except UnmergedBranch:
        gone = remove(project, path, consent._replace(delete_branch="never"), output=2)
    notes = list(gone.notes)
    if gone.kept is not None:
        name = gone.kept.adw_id or gone.kept.name
        notes.append(f"its uncommitted work is kept: adw-worktree restore {name}")
    return notes


def _standing(path: Path, otherwise: Path) -> Path:
    """Return a directory of the worktree's repository that is there."""
    if is_dir(path):
        return path
    return otherwise if is_dir(otherwise) else next(one for one in path.parents if is_dir(one))


def adw_id_of(name: str) -> str:
    """Return the ADW id for a session called `name`: that, or one that is derived from it alone."""
    try:
        return check_adw_id(name)
    except InvalidAdwId:
        stem = with_id_characters(name)[:50].strip("._-") or "session"
        return check_adw_id(f"{stem}-{crc32(name.encode(errors='surrogatepass')):08x}")


def _read() -> dict[str, Any]:
    try:
        asked = json.loads(sys.stdin.buffer.read(_MAX_BYTES))
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"stdin is no JSON: {exc}", hint=_HINT) from exc
    if not isinstance(asked, dict) or not isinstance(asked.get("cwd", ""), str):
        raise UsageError("stdin is no JSON object as Claude Code sends it", hint=_HINT)
    return asked


def _text(asked: dict[str, Any], key: str) -> str:
    value = asked.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise UsageError(f"the JSON on stdin has no {key!r}", hint=_HINT)
    return value

"""The record of where a repository's main worktree and its ledger are.

What holds here: one common git directory has one ledger. Settings, `core.bare` and the directory
that a command runs in differ from call to call, and other tools and branches change them; so the
record, written with the first lease, decides. Paths inside the main worktree or the common git
directory are relative: the record moves with the repository, and of a copy it never leads back to
the original.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from adw_worktree.adw_id import can_name
from adw_worktree.errors import LedgerError, LedgerTooNew, remedy
from adw_worktree.pool import registry
from adw_worktree.repo.find import main_around
from adw_worktree.repo.repository import Repository, leads_to
from adw_worktree.settings.places import in_git_directory
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir
from adw_worktree.system.records import read_file
from adw_worktree.system.sharing import make_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OURS = "adw-worktree"
_DAMAGE = (ValueError, KeyError, TypeError, RecursionError)


class Record(NamedTuple):
    """What the file says."""

    main: Path | None
    """None for a bare repository."""
    leads_back: bool
    """Whether the `.git` of `main` led here, not the setting `core.worktree` alone there."""
    ledger: str
    in_main: bool
    """Whether `ledger` starts at the main worktree, not at the common git directory."""
    inode: int
    """st_ino of the common git directory: a copy has another."""


class Place(NamedTuple):
    """Where a repository's main worktree and its ledger are."""

    common_dir: Path
    main: Path | None
    ledger: Path | None = None
    """None where no ledger is known yet: then the settings say where it goes."""
    recorded: bool = False
    damage: str = ""
    """What is wrong with the record, if it cannot be used."""

    def ledger_now(self) -> Path | None:
        """Return where the ledger is recorded to be by now; None if it is not. Raises LedgerError.

        Final inside the ledger's lock.
        """
        try:
            record = load_record(self.common_dir)
        except _Damaged:
            return None
        place = None if record is None else _located(record, self.common_dir, self.main)
        return None if place is None else place.ledger

    def record(self, ledger: Path) -> None:
        """Write down that the ledger is at `ledger`; inside its lock. Raises LedgerError.

        A ledger that is recorded already stays where it is.
        """
        file = record_file(self.common_dir)
        try:
            present = load_record(self.common_dir)
        except _Damaged:
            present = None
        place = None if present is None else _located(present, self.common_dir, self.main)
        if present is not None and place is not None:
            if present.main == self.main:
                return
            ledger = place.ledger or ledger
        try:
            make_directories(file.parent)
            if present is None and os.path.lexists(file):
                _set_aside(file)
            write_atomically(file, _encoded(self.common_dir, self.main, ledger), shared=True)
            reached("place.recorded")
        except OSError as exc:
            raise LedgerError(
                f"where the ledger is cannot be recorded in {file}: {exc.strerror}",
                hint=remedy(exc, file.parent),
            ) from exc


class _Damaged(Exception):
    """The record is not one; the text says what is wrong."""


def record_file(common_dir: Path) -> Path:
    """Return the file that the record is in."""
    return common_dir / _OURS / "place.json"


def find_place(repo: Repository, state_dir: Path) -> Place:
    """Return where the main worktree and the ledger of `repo` are.

    The record says it. Without one, an earlier version made the ledger: it is where the registry
    knows it, in the main worktree that it was made in. Raises LedgerError, LedgerTooNew.
    """
    damage, place = "", None
    try:
        record = load_record(repo.common_dir)
    except _Damaged as exc:
        record, damage = None, str(exc)
    if record is not None:
        place = _located(record, repo.common_dir, repo.main)
    return place or _known(repo, state_dir)._replace(damage=damage)


def load_record(common_dir: Path) -> Record | None:
    """Return what the record says; None if there is none.

    Raises LedgerError if it cannot be read, LedgerTooNew for a later version's, _Damaged.
    """
    file = record_file(common_dir)
    try:
        return _parsed(read_file(file), common_dir)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise LedgerError(
            f"the record {file} of where the ledger is cannot be read: {exc.strerror}",
            hint=remedy(exc, file),
        ) from exc
    except LedgerTooNew as exc:
        raise LedgerTooNew(
            f"the record {file} was written by a later adw-worktree", hint="upgrade adw-worktree"
        ) from exc
    except _DAMAGE as exc:
        raise _Damaged(str(exc) or type(exc).__name__) from exc


def _parsed(data: bytes, common_dir: Path) -> Record:
    """Return what the bytes say. Raises LedgerTooNew, or what is in _DAMAGE."""
    document: dict[str, Any] = json.loads(data)
    version = document["schema_version"]
    if type(version) is not int or version < 1:
        raise ValueError(f"its schema version is {version!r}")
    if version > 1:
        raise LedgerTooNew(f"its schema version is {version}", hint="upgrade adw-worktree")
    main, inode = document["main"], document["inode"]
    if main is not None and not _is_path(main):
        raise ValueError(f"its main worktree is {main!a}")
    if type(inode) is not int:
        raise ValueError(f"its inode is {inode!r}")
    in_main = document["ledger_in"] == "main"
    if not in_main and document["ledger_in"] != "git":
        raise ValueError(f"its ledger is in {document['ledger_in']!a}")
    ledger = document["ledger"]
    if not _is_path(ledger) or not _leads_inside(ledger, in_main):
        raise ValueError(f"its ledger is {ledger!a}")
    leads_back = document["main_leads_back"]
    if type(leads_back) is not bool:
        raise ValueError(f"its main_leads_back is {leads_back!r}")
    path = None if main is None else Path(os.path.normpath(common_dir / main))
    return Record(path, leads_back, ledger, in_main, inode)


def _is_path(text: object) -> bool:
    return isinstance(text, str) and text != "" and can_name(text)


def _leads_inside(ledger: str, in_main: bool) -> bool:
    """Whether the ledger lies in the main worktree's files, or in our own directory of git's."""
    parts = Path(ledger).parts
    if os.path.isabs(ledger) or ".." in parts:
        return False
    return not in_git_directory(parts) if in_main else parts[0] == _OURS and len(parts) > 1


def _encoded(common_dir: Path, main: Path | None, ledger: Path) -> bytes:
    in_git = ledger.is_relative_to(common_dir) or main is None
    near = main is not None and main.is_relative_to(common_dir.parent)
    document = {
        "schema_version": 1,
        "main": os.path.relpath(main, common_dir) if main and near else main and str(main),
        "main_leads_back": main is not None and leads_to(main, common_dir),
        "ledger": os.path.relpath(ledger, common_dir if in_git else main),
        "ledger_in": "git" if in_git else "main",
        "inode": common_dir.stat().st_ino,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _located(record: Record, common_dir: Path, seen: Path | None) -> Place | None:
    """Return what `record` stands for now; None if it is not this repository's any more.

    `seen` is the main worktree as git has it just now, None if it knows none. Raises LedgerError if
    the ledger lies in a main worktree that is out of sight: there must be no second one.
    """
    main = record.main if record.main == seen or _holds(record, common_dir) else seen
    base = main if record.in_main else common_dir
    if base is not None:
        return Place(common_dir, main, base / record.ledger, recorded=True)
    if record.main is None or common_dir.is_relative_to(record.main):
        return None  # it became a bare repository, and its main worktree is no more
    if common_dir.stat().st_ino != record.inode:
        return None  # a copy, without the main worktree
    file = quote(str(record_file(common_dir)))
    raise LedgerError(
        f"the ledger of {common_dir} is in its main worktree {record.main}, which is not there, "
        "or leads elsewhere",
        hint=f"bring it back, or go into it where it is now; if it is gone for good: rm {file}",
    )


def _holds(record: Record, common_dir: Path) -> bool:
    """Whether the recorded main worktree is still that of the repository at `common_dir`.

    One that `core.worktree` alone tied to it says nothing of that; it is the original's only.
    """
    if record.main is None or leads_to(record.main, common_dir):
        return record.main is not None
    same = common_dir.stat().st_ino == record.inode
    return same and not record.leads_back and is_dir(record.main)


def _known(repo: Repository, state_dir: Path) -> Place:
    """Return where the registry knows the ledger of a repository that has no record."""
    common_dir = repo.common_dir
    ledger = registry.known_ledger(state_dir, common_dir)
    if ledger is None:
        return Place(common_dir, repo.main)
    if ledger.is_relative_to(common_dir):
        return Place(common_dir, repo.main, ledger)
    main = main_around(common_dir, ledger.parent)
    return Place(common_dir, main or repo.main, None if main is None else ledger)


def _set_aside(file: Path) -> None:
    """Rename a damaged record. Raises OSError."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    file.rename(file.with_name(f"{file.name}.corrupt-{now}"))
    reached("place.set-aside")

"""Watching every repository of the registry, and looking at one as soon as a worktree may be gone.

What holds here: the watcher decides only when to look. The look is the cheap pass that every
command makes first (`healing.heal`), so that nothing is freed which the next command would keep. A
look that fails ends nothing. A repository that is being deleted gets no new file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from adw_worktree.errors import (
    AdwError,
    AlreadyWatching,
    FileUnusable,
    LockTimeout,
    SettingsError,
)
from adw_worktree.pool import registry
from adw_worktree.pool import state_directory as statedir
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.other_ledgers import forget_lost
from adw_worktree.project import project_of, without_rebuilding
from adw_worktree.repo.find import repository_at
from adw_worktree.settings.load import load_settings
from adw_worktree.system.directory_watch import Changes, DirectoryWatch, unwatchable
from adw_worktree.system.long_locks import try_lock
from adw_worktree.system.paths import is_file
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.watch_list import Watchlist, make_watchlist, touched

_RETRY_SECONDS = 1.0
_MOST_ROUNDS = 10
"""How often directories may come and go under our hands before we wait for the next change."""


class Watching(NamedTuple):
    """These repositories are watched from now on, and what was gone in them is freed."""

    repositories: tuple[Path, ...]


class Released(NamedTuple):
    """A slot is free again."""

    lease: Lease
    repository: Path
    reason: str


class Trouble(NamedTuple):
    """Something cannot be watched or looked at; it is tried again, and said once."""

    repository: Path | None
    error: AdwError


Event = Watching | Released | Trouble


def lock_file(state_dir: Path) -> Path:
    """Return the file that the user's watcher has locked; it holds the watcher's process id."""
    # Those who share a state directory cannot look into each other's repositories.
    return state_dir / f"watch-{os.geteuid()}.lock"


def watch(state_dir: Path) -> Iterator[Event]:
    """Free slots as soon as their worktrees are gone; yield what happens, for ever.

    Raises AlreadyWatching if another process does, LibraryMissing, and FileUnusable or LedgerError
    if there is nothing to begin with.
    """
    statedir.prepare_state_directory(state_dir)
    with _only_one(state_dir):
        watcher = _Watcher(state_dir, DirectoryWatch())
        changes = Changes(lost=True)
        while True:
            yield from watcher.answer(changes)
            changes = watcher.wait()


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Be the user's one watcher of this state directory. Raises AlreadyWatching."""
    path = lock_file(state_dir)
    lock = try_lock(path)
    if lock is None:
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):  # it begins just now, or the disk was full when it did
            by, instead = "another process", f"fuser {quote(str(path))} (says which)"
        else:
            by, instead = f"process {pid}", f"kill {pid}"
        raise AlreadyWatching(
            f"{state_dir} is watched already, by {by}",
            hint=f"nothing needs to be done; to start another in its place: {instead}",
        )
    try:
        with suppress(OSError):  # a full disk: then nobody is told whom to look for
            path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()


class _Watcher:
    """What is watched now, and what could not be done yet."""

    def __init__(self, state_dir: Path, directories: DirectoryWatch) -> None:
        self._state_dir = state_dir
        self._directories = directories
        self._watched: dict[Path, tuple[int, int]] = {}
        """Device and inode of each, since another may take its place."""
        self._list = Watchlist({}, {}, [], [])
        self._shown: tuple[Path, ...] | None = None
        self._failed: dict[Path, int] = {}
        """How many looks at a repository failed, one after the other."""
        self._seen: set[Path] = set()
        """Repositories that were there. If one is not, we hear whether it was deleted or moved."""
        self._deleted: set[Path] = set()
        """Those of them that were."""
        self._again = False
        """Whether to look again although nothing changes."""
        self._said: dict[object, str] = {}

    def wait(self) -> Changes:
        return self._directories.wait(_RETRY_SECONDS if self._again else None)

    def answer(self, changes: Changes) -> Iterator[Event]:
        """Watch what there is now, then look at all that may have changed."""
        self._again = False
        before = {} if changes.lost else dict(self._watched)
        for directory in changes.ended & self._watched.keys():
            self._drop(directory)
        yield from self._follow()
        yield from self._forget(changes)
        begun = [place for place in self._watched if self._watched[place] != before.get(place)]
        due = touched(self._list, changes.deleted) | self._failed.keys()
        due.update(*(self._list.places.get(place, ()) for place in (*begun, *changes.ended)))
        for common_dir in sorted(due & self._list.repositories.keys()):
            yield from self._look_at(common_dir)
        shown = tuple(sorted(self._list.repositories))
        if shown != self._shown:
            self._shown = shown
            yield Watching(tuple(_home(common_dir) for common_dir in shown))

    # ---- what is watched -----------------------------------------------------------------

    def _follow(self) -> Iterator[Event]:
        """Watch what the registry asks for, until nothing appears while we do."""
        for _ in range(_MOST_ROUNDS):
            self._list = make_watchlist(self._state_dir)
            trouble = [self._say(str(one), None, one) for one in self._list.damaged]
            before = dict(self._watched)
            trouble.append(self._watch_what_is_listed())
            yield from (one for one in trouble if one is not None)
            if self._watched == before:
                break
        self._seen |= self._list.repositories.keys()
        known = {*self._list.repositories, *(one.common_dir for one in self._list.lost)}
        self._failed = {place: times for place, times in self._failed.items() if place in known}

    def _watch_what_is_listed(self) -> Trouble | None:
        """Begin and end watches; return what keeps us from some of them."""
        telling = self._telling_of_lost()
        for directory, known in list(self._watched.items()):
            if directory in telling and _identity(directory) in (known, None):
                continue  # whether its repository was deleted or moved is still to be heard
            if directory not in self._list.places or known != _identity(directory):
                self._drop(directory)
        failure = None
        for directory in self._list.places.keys() - self._watched.keys():
            identity = _identity(directory)
            if identity is None:
                continue  # it vanished meanwhile; the next round finds what is there
            try:
                files = directory == Path(os.path.realpath(registry.ledgers(self._state_dir)))
                self._directories.watch(directory, files=files)
            except FileNotFoundError:
                continue
            except OSError as exc:
                failure = exc
            else:
                self._watched[directory] = identity
        if failure is None:
            self._said.pop("limit", None)
            return None
        return self._say("limit", None, unwatchable(failure))

    def _telling_of_lost(self) -> set[Path]:
        """Return the directories that tell what became of repositories that were there before."""
        unknown = self._seen - self._deleted
        return {
            Path(os.path.realpath(entry.common_dir.parent))
            for entry in self._list.lost
            if entry.common_dir in unknown
        }

    def _drop(self, directory: Path) -> None:
        self._directories.unwatch(directory)
        del self._watched[directory]

    # ---- looking -------------------------------------------------------------------------

    def _look_at(self, common_dir: Path) -> Iterator[Event]:
        """Make the cheap pass in one repository."""
        try:
            released, notices = _look(self._list.repositories[common_dir])
        except (AdwError, OSError) as exc:
            trouble = self._could_not(common_dir, exc)
        else:
            self._failed.pop(common_dir, None)
            yield from released
            trouble = None
            if notices:
                trouble = self._say(common_dir, _home(common_dir), AdwError("; ".join(notices)))
            else:
                self._said.pop(common_dir, None)
        if trouble is not None:
            yield trouble

    def _forget(self, changes: Changes) -> Iterator[Event]:
        """Take repositories that were deleted off the registry; one that was moved stays.

        Of those that were gone before us there is no telling: they go, as with every command.
        """
        self._deleted |= changes.deleted & self._seen
        self._deleted |= {path for path in self._seen if path.parent in changes.deleted}
        self._deleted -= self._list.repositories.keys()
        for entry in self._list.lost:
            place = entry.common_dir
            if place in self._seen and place not in self._deleted and not changes.lost:
                continue
            try:
                released = _forget(self._state_dir, entry)
            except (AdwError, OSError) as exc:
                trouble = self._could_not(place, exc)
                if trouble is not None:
                    yield trouble
                continue
            self._failed.pop(place, None)
            self._seen.discard(place)
            self._deleted.discard(place)
            yield from released

    def _could_not(self, common_dir: Path, exc: AdwError | OSError) -> Trouble | None:
        """Have it tried again; say so unless this was the first time.

        The first is often a repository that is being deleted. Of a lock that is let go nobody
        tells; all else is tried again when something changes.
        """
        times = self._failed[common_dir] = self._failed.get(common_dir, 0) + 1
        self._again = self._again or times == 1 or isinstance(exc, LockTimeout)
        if times == 1:
            return None
        if isinstance(exc, OSError):
            exc = FileUnusable.because(f"{exc.filename or common_dir} cannot be used", exc)
        return self._say(common_dir, _home(common_dir), exc)

    def _say(self, key: object, repository: Path | None, error: AdwError) -> Trouble | None:
        """Return what is to be said, or None if that is what was said last."""
        if self._said.get(key) == error.message:
            return None
        self._said[key] = error.message
        return Trouble(repository, error)


def _look(entry: registry.Entry) -> tuple[list[Released], list[str]]:
    """Make the cheap pass; return what it freed, and its notices."""
    if not is_file(entry.ledger):
        return [], []  # the repository is being deleted, or the next command brings it back
    project = project_of(repository_at(entry.common_dir))
    if project.pool.ledger.path != entry.ledger:
        raise SettingsError(
            f"the ledger is {entry.ledger} for the commands that made it, and "
            f"{project.pool.ledger.path} for the watcher",
            hint="start the watcher with the same ADW_* variables: adw-worktree hooks install "
            "--watch",
        )
    healed = heal(without_rebuilding(project))
    found = [(lease, finding.reason) for lease, finding in healed.released]
    found += [(lease, "its removal was interrupted") for lease in healed.removed]
    found += [(lease, "its creation was interrupted") for lease in healed.undone]
    released = [Released(lease, project.repo.home, reason) for lease, reason in found]
    return released, project.notices


def _forget(state_dir: Path, entry: registry.Entry) -> list[Released]:
    with statedir.machine_lock(state_dir, load_settings(None).lock_timeout):
        if registry.locate(entry) is not None:
            return []
        forget_lost(state_dir, entry)
    home = _home(entry.common_dir)
    return [Released(one, home, "its repository is gone") for one in entry.leases.values()]


def _home(common_dir: Path) -> Path:
    """Return the directory that people know a repository by."""
    return common_dir.parent if common_dir.name == ".git" else common_dir


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        found = directory.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

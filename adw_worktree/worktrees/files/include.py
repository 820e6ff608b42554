"""What git does not carry, brought into a new worktree: `.worktreeinclude`, `include` and `link`.

What holds here: it comes from the main worktree, and git ignores it there; nothing that is there
already is written over, nothing is written or read through a symbolic link, and what is ours (env
files, the ledger, other worktrees) is left out.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from shlex import quote

from adw_worktree.errors import FileUnusable
from adw_worktree.project import Project
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.repository import worktrees_of
from adw_worktree.settings.places import INCLUDE_FILE
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir, is_file, is_symlink
from adw_worktree.system.progress import progress
from adw_worktree.worktrees.files.exclude import exclude_names
from adw_worktree.worktrees.files.sqlite_copy import copy_database, is_companion, is_database

# linux/fs.h: share the blocks of a file, until one of the two is written to.
_FICLONE = 0x40049409
_CHUNK = 1 << 20
_MEGABYTE = 1_000_000


class Brought(NamedTuple):
    """What was brought into a worktree."""

    copied: int = 0
    linked: int = 0
    notes: Sequence[str] = ()


def bring(project: Project, worktree: Path, *, output: int | None = None) -> Brought:
    """Copy and link what the settings and `.worktreeinclude` name into `worktree`.

    `output` is a file descriptor; if it is a terminal, it shows how far this got. Raises GitFailed,
    or FileUnusable if a file cannot be copied.
    """
    main = project.repo.main
    if main is None or main == worktree:
        return Brought()
    linked, copied = _named(project, main)
    if not linked and not copied:
        return Brought()
    exclude_names(project, linked)  # a pattern such as `models/` ignores no link of that name
    with progress(output) as tell:
        job = _Job(project, main, worktree, tell)
        for name in linked:
            job.link(name)
        for name in copied:
            job.copy(name)
    return Brought(job.copied, job.linked, job.notes)


def lacking(project: Project, worktree: Path) -> list[str]:
    """Return notes on what `bring` would copy or link into `worktree` and is not there.

    Of a directory, whether that itself is there. Raises GitFailed.
    """
    main = project.repo.main
    if main is None or main == worktree:
        return []
    linked, copied = _named(project, main)
    job = _Job(project, main, worktree, None)
    notes = []
    for names, setting, command in ((linked, "link", "ln -s"), (copied, "include", "cp -a")):
        absent = [name for name in names if job.lacks(name)]
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            source, target = (quote(str(place / absent[0])) for place in (main, worktree))
            notes.append(
                f"{absent[0]}{more} did not come along: {setting} is heeded when a worktree is "
                f"made; {command} {source} {target}"
            )
    return notes


def _named(project: Project, main: Path) -> tuple[list[str], list[str]]:
    """Return what is to be linked and what is to be copied."""
    listed = main / INCLUDE_FILE
    there = listed if is_file(listed) else None
    linked = _matching(project.repo.checkout, project.settings.link, None)
    copied = _matching(project.repo.checkout, project.settings.include, there)
    return linked, [name for name in copied if name not in linked]


def _matching(main: Checkout, patterns: Sequence[str], listed: Path | None) -> list[str]:
    """Return the ignored files, and directories as a whole, that match; relative to it."""
    wanted = [f"--exclude={pattern}" for pattern in patterns]
    wanted += [f"--exclude-from={listed}"] if listed is not None else []
    if not wanted:
        return []
    found = run_git(["ls-files", "-z", "--others", "--ignored", "--directory", *wanted], main)
    # Exit status 1: none of them is ignored.
    ignored = run_git(["check-ignore", "-z", "--stdin"], main, stdin=found.stdout, check=False)
    return [name.rstrip("/") for name in ignored.stdout.split("\0") if name.rstrip("/")]


class _Job:
    """One worktree being furnished."""

    def __init__(
        self, project: Project, main: Path, worktree: Path, tell: Callable[[str], None] | None
    ) -> None:
        self.main, self.worktree, self.tell = main, worktree, tell
        self.copied = self.linked = 0
        self.notes: list[str] = []
        self._env_file = project.settings.env_file
        self._ledger = project.pool.ledger.path
        self._trees = {entry.path for entry in worktrees_of(project.repo)} - {main}

    def link(self, name: str) -> None:
        """Let `name` in the worktree lead to that in the main worktree."""
        source, target = self.main / name, self.worktree / name
        if self._is_left_out(source) or not self._has_place(target):
            return
        try:
            target.symlink_to(source)
            reached("include.linked")
            self.linked += 1
        except FileExistsError:
            self.notes.append(f"{target} is there already, and no link to {source}")

    def lacks(self, name: str) -> bool:
        """Whether the worktree has nothing of that name, and should."""
        return not self._is_left_out(self.main / name) and not os.path.lexists(self.worktree / name)

    def copy(self, name: str) -> None:
        """Copy a file, or a directory with all that is in it. Raises FileUnusable."""
        source, target = self.main / name, self.worktree / name
        try:
            if self._has_place(target):
                for file, place in self._files(source, target):
                    self._copy_file(file, place)
        except OSError as exc:
            raise FileUnusable.because(f"{source} cannot be copied to {target}", exc) from exc

    def _files(self, source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
        """Yield each file to copy and where to, and make the directories on the way."""
        if self._is_left_out(source):
            return
        if not is_dir(source) or is_symlink(source):
            yield source, target
            return
        if not _make_directory(target, source):
            self.notes.append(f"{target} is there already, and no directory")
            return
        for entry in sorted(os.listdir(source)):
            yield from self._files(source / entry, target / entry)

    def _copy_file(self, source: Path, target: Path) -> None:
        found = source.lstat()
        if stat.S_ISLNK(found.st_mode):
            self._copy_link(source, target)
        elif stat.S_ISREG(found.st_mode) and self._copied(source, target):
            self.copied += 1
            self._tell(source, f"{self.copied} files")

    def _tell(self, source: Path, done: str) -> None:
        if self.tell is not None:
            self.tell(f"copying {source.relative_to(self.main).parts[0]}: {done}")

    def _copied(self, source: Path, target: Path) -> bool:
        if is_database(source):
            return copy_database(source, target)

        def told(done: int, of_all: int) -> None:
            self._tell(source, f"{done // _MEGABYTE} of {of_all // _MEGABYTE} MB")

        return not is_companion(source) and clone(source, target, told)

    def _copy_link(self, source: Path, target: Path) -> None:
        """Copy a symbolic link, if what it leads to lies in the main worktree, or anywhere
        absolute that is a person's own choice."""
        leads_to = os.readlink(source)
        real = source.parent.joinpath(leads_to).resolve()
        if not os.path.isabs(leads_to) and not real.is_relative_to(self.main.resolve()):
            self.notes.append(f"{source} leads out of the repository, and was not copied")
            return
        try:
            os.symlink(leads_to, target)
            self.copied += 1
        except FileExistsError:
            return

    def _is_left_out(self, source: Path) -> bool:
        ours = source.name == self._env_file or source in self._trees
        of_ledger = source.parent == self._ledger.parent and source.name.startswith(
            self._ledger.name
        )
        # Another worktree, perhaps of another repository: a copy would pass for it.
        return ours or of_ledger or source.name == ".git" or is_file(source / ".git")

    def _has_place(self, target: Path) -> bool:
        """Whether the directories above `target` are there, or can be; never through a link."""
        for parent in reversed(target.relative_to(self.worktree).parents):
            place = self.worktree / parent
            if not _make_directory(place, self.main / parent):
                self.notes.append(f"{target} has no place: {place} is no directory")
                return False
        return True


def _make_directory(place: Path, like: Path) -> bool:
    """Make a directory with the permissions of `like`; whether there is one now, and no link."""
    try:
        place.mkdir(stat.S_IMODE(like.stat().st_mode) | stat.S_IRWXU)
    except FileExistsError:
        return is_dir(place) and not is_symlink(place)
    reached("include.directory")
    return True


def clone(source: Path, target: Path, told: Callable[[int, int], None] | None = None) -> bool:
    """Copy a regular file with its permissions and times; False if something is in its place.

    Where the file system can (btrfs, XFS, ZFS), the two share their blocks until one is changed;
    else `told` gets how many bytes are copied so far, and of how many. Raises OSError.
    """
    with open(source, "rb", opener=_unlinked) as read:
        found = os.fstat(read.fileno())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            descriptor = os.open(target, flags, stat.S_IMODE(found.st_mode))
        except FileExistsError:
            return False
        with open(descriptor, "wb") as written:
            try:
                fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
            except OSError:  # another file system, or one that cannot
                while chunk := read.read(_CHUNK):
                    written.write(chunk)
                    if told is not None:
                        told(written.tell(), found.st_size)
                written.flush()
            os.fchmod(written.fileno(), stat.S_IMODE(found.st_mode))
            os.utime(written.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
    reached("include.copied")
    return True


def _unlinked(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)

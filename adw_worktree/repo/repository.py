"""A repository, its worktrees, and git's entries of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir
from adw_worktree.system.records import read_small


def admin_directories(admin_root: Path) -> Iterator[Path]:
    """Yield git's admin directories of the linked worktrees, by name."""
    try:
        with os.scandir(admin_root) as found:
            names = sorted(item.name for item in found if item.is_dir(follow_symlinks=True))
    except FileNotFoundError:
        return
    for name in names:
        yield admin_root / name


_GITDIR = "gitdir: "
_LIST_ATTEMPTS = 5
_LIST_PAUSE_SECONDS = 0.02

SPARE = "spare-"
"""How the names of spares begin, and of git's entries of them."""


class WorktreeEntry(NamedTuple):
    """One worktree as `git worktree list --porcelain -z` tells it."""

    path: Path
    head: str | None = None
    branch: str | None = None
    """Short name; None when detached or bare."""
    bare: bool = False
    locked: str | None = None
    """The reason, empty if none was given; None when not locked."""
    prunable: bool = False


class Repository(NamedTuple):
    """Where a repository's parts lie."""

    common_dir: Path
    """The directory all its worktrees share, resolved."""
    main: Path | None
    """The main worktree; None for a bare repository."""
    worktree: Path | None
    """The worktree the search began in; None outside of any."""

    @property
    def home(self) -> Path:
        """Where commands for the repository as a whole run."""
        return self.main or self.common_dir

    @property
    def checkout(self) -> Checkout:
        """The main worktree; or the git directory alone, for what is of the whole repository."""
        return Checkout(self.common_dir, self.main)

    @property
    def tool_dir(self) -> Path:
        """Our own directory inside the common git directory: locks, stamp, bare ledger."""
        return self.common_dir / "adw-worktree"

    @property
    def spares_dir(self) -> Path:
        """Where worktrees lie that are made ahead of time."""
        return self.tool_dir / "spares"

    def is_spare(self, worktree: Path) -> bool:
        """Whether a worktree that git lists waits to be handed out."""
        return os.path.dirname(worktree) == f"{self.common_dir}/adw-worktree/spares"

    @property
    def admin_root(self) -> Path:
        """Where git keeps the admin directory of each linked worktree."""
        return self.common_dir / "worktrees"


def list_worktrees(directory: Path) -> list[WorktreeEntry]:
    """Return the repository's worktrees, the main one first.

    Asked again if git stumbles over an entry that is being made or removed meanwhile
    (`failed to read .git/worktrees/X/commondir`).
    """
    command = ["worktree", "list", "--porcelain", "-z"]
    for _ in range(_LIST_ATTEMPTS - 1):
        answer = run_git(command, directory, check=False)
        if answer.returncode == 0:
            return parse_worktrees(answer.stdout)
        time.sleep(_LIST_PAUSE_SECONDS)
    return parse_worktrees(run_git(command, directory).stdout)


def parse_worktrees(text: str) -> list[WorktreeEntry]:
    """Return the entries of `git worktree list --porcelain -z` output.

    Unknown attributes are passed over, so that a later git can say more.
    """
    entries = []
    for block in text.split("\0\0"):
        fields: dict[str, str] = {}
        for line in block.strip("\0").split("\0"):
            name, _, value = line.partition(" ")
            fields[name] = value
        if "worktree" not in fields:
            continue
        branch = fields.get("branch")
        entries.append(
            WorktreeEntry(
                path=Path(fields["worktree"]),
                head=fields.get("HEAD"),
                branch=branch.removeprefix("refs/heads/") if branch else None,
                bare="bare" in fields,
                locked=fields.get("locked"),
                prunable="prunable" in fields,
            )
        )
    return entries


def admin_directory(worktree: Path) -> Path | None:
    """Return git's admin directory of the linked worktree at `worktree`, read from its `.git` file.

    None if it is no linked worktree. Costs no process.
    """
    admin = _git_file(worktree)
    return admin if admin is not None and admin.parent.name == "worktrees" else None


def _git_file(worktree: Path) -> Path | None:
    """Return what the `.git` file of `worktree` names; None if it has none."""
    text = _line_of(f"{worktree}/.git")
    if text is None or not text.startswith(_GITDIR):
        return None
    path = Path(text.removeprefix(_GITDIR))
    return Path(os.path.normpath(path if path.is_absolute() else worktree / path))


def leads_to(directory: Path, common_dir: Path) -> bool:
    """Whether the `.git` of `directory` is `common_dir`, or a link or file that leads there."""
    link = directory / ".git"
    if link == common_dir:
        return True
    try:
        return (link if is_dir(link) else _git_file(directory) or link).samefile(common_dir)
    except OSError:
        return False


def worktrees_of(repo: Repository) -> list[WorktreeEntry]:
    """Return the repository's worktrees, the main one first and where it is.

    Git takes the git directory itself for it if that is kept elsewhere.
    """
    main, *linked = list_worktrees(repo.home)
    return [main._replace(path=repo.main or main.path), *linked]


def has_relative_way(admin: Path) -> bool:
    """Whether git names the worktree of `admin` by a relative path, as since 2.48 it can
    (worktree.useRelativePaths)."""
    try:
        return not (admin / "gitdir").read_bytes().startswith(b"/")
    except FileNotFoundError:
        return False


def name_admin(worktree: Path, admin: Path, *, relative: bool = False) -> None:
    """Have the `.git` file of `worktree` lead to `admin`. Raises OSError."""
    named = os.path.relpath(admin, worktree) if relative else admin
    write_atomically(worktree / ".git", b"gitdir: " + os.fsencode(named) + b"\n")


def name_worktree(admin: Path, worktree: Path, *, relative: bool = False) -> None:
    """Have git's admin directory `admin` lead to `worktree`. Raises OSError."""
    link = worktree / ".git"
    named = os.path.relpath(link, admin) if relative else link
    write_atomically(admin / "gitdir", os.fsencode(named) + b"\n", shared=True)


def worktree_of_admin(admin: Path) -> Path | None:
    """Return the worktree that git's admin directory `admin` names, whether it exists or not."""
    text = _line_of(f"{admin}/gitdir")
    if not text:  # git empties the file before it writes, and the disk may be full
        return None
    named = Path(text)
    if not named.name:
        return None  # git was killed before it wrote the name
    # Relative since git 2.48 with worktree.useRelativePaths.
    path = named if named.is_absolute() else Path(os.path.normpath(admin / named))
    return path.parent


def name_each_other(worktree: str, admin: str) -> bool:
    """Whether the worktree's `.git` file and git's admin directory name each other, to the letter.

    Both paths are absolute. False proves nothing: a path can be written in other ways, too.
    """
    link = f"{worktree}/.git"
    forth, back = _line_of(f"{admin}/gitdir"), _line_of(link)
    if not forth or back is None or not back.startswith(_GITDIR):
        return False
    back = back.removeprefix(_GITDIR)
    forth = forth if forth.startswith("/") else os.path.normpath(f"{admin}/{forth}")
    back = back if back.startswith("/") else os.path.normpath(f"{worktree}/{back}")
    return (forth, back) == (link, admin)


def _line_of(file: str) -> str | None:
    """Return what a file of git's with a path in it says; None if it cannot be read."""
    try:
        data = read_small(file)
    except OSError:
        return None
    return os.fsdecode(data).rstrip("\r\n")

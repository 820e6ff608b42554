"""The objects that only a removed worktree names: what `git gc` would delete before it comes back.

They are those of its index, its HEAD's log, an operation in progress and its own refs. All are made
reachable from one commit, which a ref of the trash names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.repo.refs import WORKTREE_REFS, has_reftable
from adw_worktree.repo.repository import Repository
from adw_worktree.system.paths import exists, is_file

_STATE = ("logs", "rebase-apply", "rebase-merge", "refs", "sequencer")
"""Directories of git's admin directory in which files name objects."""
_NAME = rb"(?<![0-9a-f])(?:[0-9a-f]{40}|[0-9a-f]{64})(?![0-9a-f])"
_LIMIT_BYTES = 4_000_000
_PERSON = "adw-worktree <adw-worktree@localhost> 0 +0000"


def holding_commit(repo: Repository, admin: Path, head: str | None) -> str | None:
    """Return a commit from which git reaches all that the worktree of `admin` names.

    That is `head` itself, the commit that it is at, if nothing more has to be held. Raises
    GitFailed.
    """
    parents = [head] if head is not None else []
    parents += sorted(_unreachable(repo, admin) - {head})
    tree, of_head = _tree_of_index(admin), _tree_of(repo, head)
    if len(parents) < 2 and tree in (None, of_head):
        return head
    if tree is None:
        tree = of_head or run_git(["mktree"], repo.checkout, stdin="").stdout.strip()
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {_PERSON}", f"committer {_PERSON}", "", "what a removed worktree named", ""]
    command = ["hash-object", "-t", "commit", "-w", "--stdin"]
    return run_git(command, repo.checkout, stdin="\n".join(lines)).stdout.strip()


def _tree_of(repo: Repository, commit: str | None) -> str | None:
    if commit is None:
        return None
    return run_git(["rev-parse", f"{commit}^{{tree}}"], repo.home).stdout.strip()


# ---- commits -----------------------------------------------------------------------------------


def _unreachable(repo: Repository, admin: Path) -> set[str]:
    """Return the commits that the worktree names, and no ref of the repository reaches."""
    names = {*_names_in_files(admin), *_names_in_refs(admin)}
    if not names:
        return set()
    # Not from the HEADs of other worktrees: this one's is among them.
    command = ["rev-list", "--single-worktree", "--ignore-missing", "--stdin", "--not", "--all"]
    listed = run_git(command, repo.checkout, stdin="".join(f"{name}\n" for name in sorted(names)))
    return names & set(listed.stdout.split())


def _names_in_files(admin: Path) -> set[str]:
    """Return what may be the name of an object in a file of git's state, a commit or not."""
    found: set[str] = set()
    for file in _state_files(admin):
        if file.stat().st_size < _LIMIT_BYTES:
            found |= {name.decode() for name in re.findall(_NAME, file.read_bytes())}
    return found


def _state_files(admin: Path) -> Iterator[Path]:
    for file in admin.iterdir():
        if file.name != "index" and not file.name.endswith(".lock") and is_file(file):
            yield file
    for kind in _STATE:
        for folder, _, names in os.walk(admin / kind):
            yield from (Path(folder, name) for name in names)


def _names_in_refs(admin: Path) -> set[str]:
    """Return what refs name that are no files, or that name a tag."""
    checkout, reftable = Checkout(admin), has_reftable(admin)
    if not reftable and not exists(admin / "refs"):
        return set()
    own = ["--include-root-refs"] if reftable else list(WORKTREE_REFS)
    listing = ["for-each-ref", "--format=%(objectname) %(*objectname)", *own]
    found = set(run_git(listing, checkout).stdout.split())
    if reftable:
        log = run_git(["log", "--walk-reflogs", "--format=%H", "HEAD", "--"], checkout, check=False)
        found |= set(log.stdout.split())
    return found


# ---- the index ---------------------------------------------------------------------------------


def _tree_of_index(admin: Path) -> str | None:
    """Return a tree with all that the index names; None if there is no index."""
    checkout = Checkout(admin)
    if not exists(admin / "index"):
        return None
    made = run_git(["write-tree"], checkout, check=False)
    if made.returncode == 0:
        return made.stdout.strip()
    # In a conflict a name has several contents; here each goes by that of its object.
    staged = run_git(["ls-files", "--stage", "-z"], checkout).stdout.split("\0")
    names = {line.split(" ")[1] for line in staged if line and not line.startswith("160000")}
    asked = "".join(f"{name}\n" for name in sorted(names))
    command = ["cat-file", "--batch-check=%(objecttype) %(objectname)"]
    there = run_git(command, checkout, stdin=asked).stdout.split("\n")
    blobs = [line.removeprefix("blob ") for line in there if line.startswith("blob ")]
    entries = "".join(f"100644 blob {name}\t{name}\n" for name in blobs)
    return run_git(["mktree"], checkout, stdin=entries).stdout.strip()

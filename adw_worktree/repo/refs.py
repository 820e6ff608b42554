"""What branches, refs and HEADs name."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from adw_worktree.adw_id import check_adw_id
from adw_worktree.errors import InvalidAdwId
from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir
from adw_worktree.system.records import read_small

_REFTABLE_STUB = "ref: refs/heads/.invalid"
"""What the file HEAD says where refs are in a reftable; who reads it as a branch is wrong."""
WORKTREE_REFS = ("refs/bisect", "refs/rewritten", "refs/worktree")
"""Refs that each worktree has for itself (git-worktree(1), "Refs")."""
_OBJECT = r"([0-9a-f]{40,64}) (?:commit|tree|blob|tag)"


def head_branch(admin: Path, common_dir: Path | None = None) -> str | None:
    """Return the branch that the HEAD in git directory `admin` is on; None if detached.

    `common_dir` is the repository's, for an admin directory that lies where git cannot find it.
    """
    try:
        head = os.fsdecode((admin / "HEAD").read_bytes())
    except OSError:
        return None
    # What git strips: a branch's name may end in a no-break space.
    head = head.rstrip(" \t\r\n")
    if head == _REFTABLE_STUB:
        shared = {"GIT_COMMON_DIR": str(common_dir)} if common_dir is not None else None
        command = ["symbolic-ref", "--quiet", "HEAD"]
        told = run_git(command, Checkout(admin), check=False, variables=shared)
        head = f"ref: {told.stdout.removesuffix(chr(10))}"
    prefix = "ref: refs/heads/"
    return head.removeprefix(prefix) if head.startswith(prefix) else None


def has_reftable(git_directory: Path) -> bool:
    """Whether the refs of a git directory are no files of their own (git >= 2.45)."""
    return is_dir(git_directory / "reftable")


def refs_of_worktree(admin: Path) -> dict[str, str]:
    """Return the refs that only the worktree of git directory `admin` has, with their objects.

    They go with it. Refs like HEAD or ORIG_HEAD are not among them.
    """
    if has_reftable(admin):
        command = ["for-each-ref", "--format=%(objectname) %(refname)", *WORKTREE_REFS]
        told = run_git(command, Checkout(admin)).stdout
        pairs = [line.split(" ", 1) for line in told.split("\n") if line]
        return {name: named for named, name in pairs}
    found = {}
    for kind in WORKTREE_REFS:
        for folder, _, names in os.walk(admin / kind):
            for name in names:
                file = Path(folder, name)
                found[str(file.relative_to(admin))] = _first_line(file)
    return {name: named for name, named in sorted(found.items()) if not name.endswith(".lock")}


def root_refs(admin: Path) -> set[str]:
    """Return the names of refs like HEAD, ORIG_HEAD or CHERRY_PICK_HEAD in a reftable."""
    command = ["for-each-ref", "--include-root-refs", "--format=%(refname)"]
    told = run_git(command, Checkout(admin)).stdout
    return {name for name in told.split("\n") if name and "/" not in name}


def _first_line(file: Path) -> str:
    try:
        return file.read_text(errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return ""


def resolve_commit(directory: Path | Checkout, ref: str) -> str | None:
    """Return the commit that `ref` names, or None if it names none."""
    answer = run_git(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"],
        directory,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


def resolve_objects(directory: Path, names: Sequence[str]) -> list[str | None]:
    """Return what each of `names` (`REV^{commit}`, `REV:path`) names, None if nothing; at once."""
    asked = "".join(f"info {'' if chr(10) in name else name}\n" for name in names)
    # `create` asks this first: a git that is too old does not know it, and nothing is made.
    command = ["cat-file", "--batch-command=%(objectname) %(objecttype)"]
    told = run_git(command, directory, stdin=asked).stdout
    found = [re.fullmatch(_OBJECT, line) for line in told.split("\n")[: len(names)]]
    return [line[1] if line else None for line in found]


def base_names(name: str) -> list[str]:
    """Return the names for git of what a person calls a base, in the order in which they count.

    A branch, here or on a remote, comes before a tag of the same name, which git would take.
    """
    if name == "HEAD":
        return [name]
    return [f"refs/heads/{name}", f"refs/remotes/{name}", name]


def resolve_base(directory: Path, name: str) -> str | None:
    """Return the commit that a person calls `name`, or None if there is none."""
    found = resolve_objects(directory, [f"{one}^{{commit}}" for one in base_names(name)])
    return next((commit for commit in found if commit is not None), None)


def named_ref(directory: Path, name: str) -> str | None:
    """Return the full name of the ref that a person calls `name`; None if it is none."""
    exact = [ref for ref in base_names(name) if ref.startswith("refs/")]
    if exact:
        listed = run_git(["for-each-ref", "--format=%(refname)", "--", *exact], directory).stdout
        found = [ref for ref in exact if ref in listed.split("\n")]
        if found:
            return found[0]
    command = ["rev-parse", "--symbolic-full-name", "--end-of-options", name]
    told = run_git(command, directory, check=False).stdout.removesuffix("\n")
    return told.rpartition("\n")[2] or None


def loose_commit(common_dir: Path, branch: str) -> str | None:
    """Return the commit of a branch whose ref is a file of its own, without starting git.

    None where git has to be asked: there is none, refs are packed or in tables, or it is a link.
    """
    if has_reftable(common_dir):
        return None
    try:
        data = read_small(f"{common_dir}/refs/heads/{branch}").strip()
    except OSError:
        return None
    is_name = len(data) in (40, 64) and not data.strip(b"0123456789abcdef")
    return data.decode() if is_name else None


def branch_commit(directory: Path, branch: str) -> str | None:
    """Return the commit of the local branch, or None if there is no such branch."""
    return resolve_commit(directory, f"refs/heads/{branch}")


class Upstream(NamedTuple):
    """The branch that another one tracks, and how many commits each has alone."""

    name: str
    ahead: int
    behind: int


def upstream_distance(common_dir: Path, branch: str) -> Upstream | None:
    """Return how far the local branch is from its upstream; None if it has none, or that is gone.

    Costs no process if the repository's own settings have no upstream of it.
    """
    try:
        config = (common_dir / "config").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    if f'[branch "{branch}"]' not in config:
        return None
    wanted = "--format=%(upstream:short)%00%(upstream:track,nobracket)"
    told = run_git(["for-each-ref", wanted, f"refs/heads/{branch}"], common_dir, check=False)
    name, _, track = told.stdout.removesuffix("\n").partition("\0")
    if not name or track == "gone":
        return None
    ahead, behind = (re.search(rf"{word} ([0-9]+)", track) for word in ("ahead", "behind"))
    return Upstream(name, int(ahead[1]) if ahead else 0, int(behind[1]) if behind else 0)


def is_ancestor(directory: Path, commit: str, of: str) -> bool:
    """Whether `of` has all commits that `commit` has."""
    command = ["merge-base", "--is-ancestor", commit, of]
    return run_git(command, directory, check=False).returncode == 0


def is_branch_name(directory: Path, name: str) -> bool:
    """Whether git would take `name` for a branch (git-check-ref-format(1))."""
    if name.startswith("-") or "\0" in name or name == "HEAD":
        return False
    with suppress(InvalidAdwId):
        return bool(check_adw_id(name))  # held to more than git asks
    answer = run_git(["check-ref-format", f"refs/heads/{name}"], directory, check=False)
    return answer.returncode == 0

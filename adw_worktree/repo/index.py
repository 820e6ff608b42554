"""An index, and the files that it keeps `git status` from looking at.

What holds here: nothing is changed; a file that was marked is compared as git would compare it,
with the filters that hold for it, in an index of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from adw_worktree.repo.git import Checkout, run_git
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.text import named


class Marked(NamedTuple):
    """A file that `git status` does not look at, since somebody said so."""

    path: str
    mark: str
    """skip-worktree or assume-unchanged."""
    record: str
    """Its mode, object and stage."""


class Index(NamedTuple):
    """What an index has that is not a plain file."""

    gitlinks: tuple[str, ...] = ()
    """The paths of submodules, and of other repositories that were added."""
    marked: tuple[Marked, ...] = ()


def load_index(checkout: Checkout) -> Index:
    """Return what is special in the index of a checkout. Raises GitFailed."""
    options = ["-c", "core.fsmonitor=false"]
    listed = run_git([*options, "ls-files", "--stage", "-v", "-z"], checkout).stdout.split("\0")
    gitlinks: dict[str, None] = {}
    marked = []
    for line in listed:
        if not line or (line[0] in "HM" and line[2:8] != "160000"):
            continue  # nearly all
        record, _, path = line[2:].partition("\t")
        if record.startswith("160000"):
            gitlinks[path] = None
        elif line[0] == "S" or line[0].islower():
            mark = "skip-worktree" if line[0] in "Ss" else "assume-unchanged"
            marked.append(Marked(path, mark, record))
    return Index(tuple(gitlinks), tuple(marked))


def changed_unseen(checkout: Checkout, marked: Iterable[Marked]) -> list[Marked]:
    """Return those of the marked files that are there and not as the index has them.

    In a sparse checkout nearly all are not there, and that is no work. Raises GitFailed.
    """
    present = _present(checkout.directory, marked)
    if not present:
        return []
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="adw-worktree-") as directory:
        variables = {"GIT_INDEX_FILE": os.path.join(directory, "index")}
        records = "".join(f"{one.record}\t{one.path}\0" for one in present)
        options = ["-c", "core.fsmonitor=false", "-c", "core.splitIndex=false"]
        for command in (["-z", "--index-info"], ["-q", "--refresh"]):
            run_git(
                [*options, "update-index", *command],
                checkout,
                stdin=records if "-z" in command else None,
                check="-z" in command,
                variables=variables,
            )
        differing = [*options, "diff-files", "--name-only", "-z", "--ignore-submodules=none"]
        names = set(run_git(differing, checkout, variables=variables).stdout.split("\0"))
    return [one for one in present if one.path in names]


def unseen_in_words(files: Iterable[Marked], path: str = "") -> list[str]:
    """Return which files a person has changed; `path` is where their repository is."""
    by_mark: dict[str, list[str]] = {}
    for file in files:
        name = f"{path}/{file.path}" if path else file.path
        by_mark.setdefault(file.mark, []).append(name)
    return [f"changes in {named(names)} ({mark})" for mark, names in by_mark.items()]


def _present(worktree: Path, marked: Iterable[Marked]) -> list[Marked]:
    """Return the files that are there, without a look at each file of a directory that is not."""
    there: dict[str, bool] = {"": True}

    def is_there(name: str) -> bool:
        if name not in there:
            above = name.rpartition("/")[0]
            there[name] = is_there(above) and os.path.lexists(worktree / name)
        return there[name]

    return [one for one in marked if is_there(one.path)]

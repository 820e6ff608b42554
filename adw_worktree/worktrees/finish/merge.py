"""What a branch and its target become together: made by git, in a worktree of nobody's.

What holds here: until there is one whole commit nothing has happened; no branch has moved, and no
checkout of a person's was touched. Git itself makes the commits, so that its settings, merge
drivers, signatures and hooks hold as in a merge by hand.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from adw_worktree.errors import Diverged, GitFailed, MergeConflict
from adw_worktree.project import Project
from adw_worktree.repo.git import NO_HOOKS, Checkout, GitResult, git_failure, run_git
from adw_worktree.repo.integrated import is_contained
from adw_worktree.repo.refs import is_ancestor, resolve_commit
from adw_worktree.repo.repository import Repository
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.text import named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, NoReturn

    Way = Literal["fast-forward", "merge", "squash", "rebase"]

_FALSE = ("false", "no", "off", "0")
_REFUSED = "Not committing merge; use 'git commit' to complete the merge."
"""What git says after a hook that refused. There is nothing for a person to complete."""
_OPTIONS = ("-c", "rerere.enabled=false",  # what it records here is missed where it is resolved
            "-c", "rebase.updateRefs=false",
            # Nothing in the background: it would work in what goes at once.
            "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
            "-c", "maintenance.auto=false")  # fmt: skip


class Sides(NamedTuple):
    """What is to be brought together: two branches, and the commits they are at."""

    branch: str
    commit: str
    into: str
    target: str


class Manner(NamedTuple):
    """How they are."""

    way: Way | None = None
    """None: as `git merge` would, by a fast-forward if it can be."""
    message: str | None = None
    """Of the commit that a merge or squash makes; None: the one that git prepares."""
    hooks: bool = True
    """Whether git's own hooks run that judge a commit."""


class WayOn(NamedTuple):
    """The hints for where a person has to help."""

    conflict: str
    diverged: str
    failure: str


class Merged(NamedTuple):
    """What became of both sides."""

    sides: Sides
    way: Way | None
    """None: the target has all of the branch already."""
    commit: str
    """Where the target is to be."""


def merge_aside(project: Project, sides: Sides, manner: Manner, way_on: WayOn) -> Merged:
    """Return the commit that both sides make.

    Raises MergeConflict, Diverged, GitFailed, with everything as it was.
    """
    repo = project.repo
    if _is_there(repo, sides):
        return Merged(sides, None, sides.target)
    ahead = is_ancestor(repo.home, sides.target, sides.commit)
    policy = _config(repo, "merge.ff")
    options = _merge_options(repo, sides.into) if manner.way is None else []
    if not ahead and manner.way in (None, "squash") and "only" in (policy, *_only(options)):
        raise Diverged(
            f"{sides.into} has commits that {sides.branch} lacks, and git is set to merge by "
            "fast-forward only",
            hint=way_on.diverged,
        )
    if ahead and not options and _stays(repo, sides, manner, policy):
        return Merged(sides, "fast-forward", sides.commit)
    commit = _combined(project, sides, manner, options, way_on)
    if commit == sides.target:
        return Merged(sides, None, commit)
    way: Way = "fast-forward" if commit == sides.commit else manner.way or "merge"
    return Merged(sides, way, commit)


def _is_there(repo: Repository, sides: Sides) -> bool:
    """Whether the target has the branch, or its changes, from a squash or rebase before.

    A branch of empty commits changes nothing, and is there only if its commits are.
    """
    if is_ancestor(repo.home, sides.commit, sides.target):
        return True
    net = ["diff", "--quiet", f"{sides.target}...{sides.commit}"]
    changes = run_git(net, repo.checkout, check=False).returncode != 0
    return changes and is_contained(repo, sides.commit, sides.target)


def _combined(
    project: Project, sides: Sides, manner: Manner, options: Sequence[str], way_on: WayOn
) -> str:
    """Return the commit that git makes of both sides."""
    from adw_worktree.worktrees.finish.scratch import scratch_worktree

    rebasing = manner.way == "rebase"
    with scratch_worktree(project, sides.commit if rebasing else sides.target) as scratch:
        for command in _commands(project.repo, sides, manner, options):
            reached("merge.before")
            words = [*_OPTIONS, *(() if manner.hooks else NO_HOOKS), *command]
            done = run_git(words, scratch, check=False, timeout=None)
            reached("merge.after")
            if done.returncode != 0:
                _raise_failure(sides, scratch, way_on, ["git", *words], done)
            if command[0] != "commit" and _has_nothing_to_commit(scratch, manner):
                return sides.target
        commit = resolve_commit(scratch, "HEAD")
    if commit is None:
        raise GitFailed(f"git left no commit of {sides.branch} and {sides.into}", hint="repeat it")
    return commit


def _commands(
    repo: Repository, sides: Sides, manner: Manner, options: Sequence[str]
) -> list[list[str]]:
    """Return the git commands that make the commit, in the scratch worktree."""
    if manner.way == "rebase":
        return [["rebase", sides.target]]
    if manner.way == "squash":
        # `--ff`, since with merge.ff = false git takes the one for a contradiction of the other.
        return [["merge", "--ff", "--squash", sides.commit],
                ["commit", "--quiet", *_squash_message(repo, sides, manner)]]  # fmt: skip
    message = manner.message or _merge_message(repo, sides)
    always = ["--no-ff"] if manner.way == "merge" else []
    fixed = ["--commit", "--no-squash", "--no-edit", "--no-stat", "--no-log", "-m", message]
    return [["merge", *options, *always, *fixed, sides.commit]]


def _has_nothing_to_commit(scratch: Checkout, manner: Manner) -> bool:
    """Whether a squash changes nothing, as that of a branch that was squashed before does."""
    if manner.way != "squash":
        return False
    return run_git(["diff", "--cached", "--quiet"], scratch, check=False).returncode == 0


# ---- what git is told --------------------------------------------------------------------------


def _config(repo: Repository, key: str) -> str:
    """Return what git's configuration says, empty if nothing."""
    told = run_git(["config", "--get", key], repo.checkout, check=False).stdout
    return told.removesuffix("\n").lower() if key == "merge.ff" else told.removesuffix("\n")


def _merge_options(repo: Repository, into: str) -> list[str]:
    """Return the options that the person's git adds to every merge into that branch."""
    text = _config(repo, f"branch.{into}.mergeOptions")
    try:
        return shlex.split(text)
    except ValueError as exc:
        setting = f"branch.{into}.mergeOptions"
        raise GitFailed(
            f"git's setting {setting} is {text!r}: {exc}",
            hint=f"mend it, or git config --unset {shlex.quote(setting)}",
        ) from exc


def _only(options: Sequence[str]) -> list[str]:
    return ["only"] if "--ff-only" in options else []


def _stays(repo: Repository, sides: Sides, manner: Manner, policy: str) -> bool:
    """Whether a branch that has all of its target needs no commit made of it."""
    if manner.way is None:
        return policy not in _FALSE
    if manner.way == "squash":
        return manner.message is None and len(_commits(repo, sides)) == 1
    return manner.way == "rebase" and not _commits(repo, sides, "--merges")


def _commits(repo: Repository, sides: Sides, *which: str) -> list[str]:
    """Return up to two of the commits that the target lacks."""
    command = ["rev-list", "--max-count=2", *which, f"{sides.target}..{sides.commit}"]
    return run_git(command, repo.home).stdout.split()


def _merge_message(repo: Repository, sides: Sides) -> str:
    """Return the message that `git merge BRANCH` on the target would prepare."""
    heads = f"{sides.commit}\t\tbranch '{sides.branch}' of .\n"
    command = ["fmt-merge-msg", f"--into-name={sides.into}"]
    return run_git(command, repo.home, stdin=heads).stdout


def _squash_message(repo: Repository, sides: Sides, manner: Manner) -> list[str]:
    """Return what tells `git commit` the message: the only commit's own, with its author, or all
    that git lists."""
    if manner.message is not None:
        return ["-m", manner.message]
    commits = _commits(repo, sides)
    return ["-C", commits[0]] if len(commits) == 1 else ["--no-edit"]


# ---- what git cannot do ------------------------------------------------------------------------


def _raise_failure(
    sides: Sides, scratch: Checkout, way_on: WayOn, argv: Sequence[str], done: GitResult
) -> NoReturn:
    """Raise what kept git from making the commit."""
    listed = run_git(["diff", "--name-only", "--diff-filter=U", "-z"], scratch).stdout
    files = [name for name in listed.split("\0") if name]
    if files:
        raise MergeConflict(
            f"{sides.branch} conflicts with {sides.into} in {named(files)}; nothing was changed",
            hint=way_on.conflict,
        )
    stderr = done.stderr.replace(_REFUSED, "a hook of git's refused the commit")
    failure = git_failure(argv, scratch.directory, done.returncode, stderr)
    reason, _, _ = failure.message.partition("\n")  # the note has all of it
    failure.message = (
        f"{sides.branch} was not merged into {sides.into}, and nothing was changed: {reason}"
    )
    failure.hint = way_on.failure
    said = f"{done.stdout}{stderr}".strip()
    if said:
        failure.add_note(said)
    raise failure

"""The plan of a `create`: every check that can be made before anything is changed."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from adw_worktree.errors import (
    BranchUnusable,
    GitFailed,
    PathOccupied,
    SettingsError,
    UsageError,
)
from adw_worktree.project import Project, require_inside
from adw_worktree.repo.git import run_git
from adw_worktree.repo.in_use import use_of
from adw_worktree.repo.refs import (
    base_names,
    head_branch,
    is_branch_name,
    resolve_commit,
    resolve_objects,
)
from adw_worktree.repo.remotes import may_have_branches, preferred_remote, remote_ref, remotes
from adw_worktree.repo.repository import admin_directory, worktree_of_admin
from adw_worktree.settings import places
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import exists


class Wish(NamedTuple):
    """What the caller asks of a new worktree."""

    branch: str | None = None
    """None: the setting `branch_name`, by default the ADW id."""
    base: str | None = None
    """Branch, tag or commit to start from; None: the setting `base`, as seen from the main
    worktree."""
    pr: int | None = None
    """Number of a pull or merge request to start from, fetched from the remote."""
    detach: bool = False
    path: Path | None = None
    slot: int | None = None
    hooks: bool = True
    """Whether the user's hooks and git's `post-checkout` run."""
    keep: bool = False
    """Whether a worktree whose post-create hook failed stays."""


class Plan(NamedTuple):
    """A wish after every check that needs no change."""

    path: Path
    commit: str
    branch: str | None
    new_branch: bool
    base: str
    """As git is asked for it, in `asked_in`."""
    asked_in: Path
    started_from: str | None
    """As a person calls it; None if the branch was there."""
    made_parents: list[Path]
    hooks: bool
    keep: bool


def plan_creation(project: Project, adw_id: str, wish: Wish, token: str) -> Plan:
    """Return what to make. Raises the error of whatever makes it impossible."""
    if wish.detach and wish.branch is not None:
        raise UsageError("--detach and --branch exclude each other", hint="leave one of them out")
    if wish.pr is not None and wish.base is not None:
        raise UsageError("--pr and --from exclude each other", hint="leave one of them out")
    branch = None if wish.detach else wish.branch or places.branch_name(project.settings, adw_id)
    other = "choose another place with --path"
    path = free_path(project, adw_id, branch, wish.path, other)
    base, commit, new_branch = _start(project, branch, wish, token)
    missing = [parent for parent in path.parents if not exists(parent)]
    asked_in = _asked_in(project, wish)
    started_from = None
    if new_branch or branch is None:
        started_from = _base_name(project, base, commit, asked_in)
    return Plan(
        path,
        commit,
        branch,
        new_branch,
        base,
        asked_in,
        started_from,
        missing,
        wish.hooks,
        wish.keep,
    )


def _asked_in(project: Project, wish: Wish) -> Path:
    """Return the worktree whose HEAD a base may name: with `--from`, the one that its caller is in;
    else the main one, wherever the caller happens to be."""
    here = project.repo.worktree if wish.base is not None else None
    return here or project.repo.home


def _base_name(project: Project, base: str, commit: str, asked_in: Path) -> str:
    """Return what a person calls `base`: the branch that HEAD is on, or what was asked for."""
    if base in ("HEAD", "@"):
        return head_branch(admin_directory(asked_in) or project.repo.common_dir) or commit[:12]
    for prefix in ("refs/heads/", "refs/remotes/"):
        if base.startswith(prefix):
            return base.removeprefix(prefix)
    return base


def _start(project: Project, branch: str | None, wish: Wish, token: str) -> tuple[str, str, bool]:
    """Return base, commit, and whether the branch is to be made."""
    home = _asked_in(project, wish)
    if branch is not None and not is_branch_name(home, branch):
        raise BranchUnusable(
            f"{branch!r} is no name that git takes for a branch",
            hint="choose another with --branch",
        )
    base = wish.base or project.settings.base
    named = base_names(base)
    is_named = wish.base is not None or wish.pr is not None
    of_remotes = {} if is_named or branch is None else _remote_refs(project, branch)
    present, *found = _look_up(project, home, [f"refs/heads/{branch or ''}", *named, *of_remotes])
    bases, pushed = found[: len(named)], zip(of_remotes.items(), found[len(named) :], strict=True)
    if branch is not None:
        _check_branch_free(project, branch)
    if branch is not None and present is not None:
        if is_named:
            raise BranchUnusable(
                f"branch {branch} exists; --from and --pr are for a new one",
                hint="leave them out to check it out, or choose another with --branch",
            )
        return branch, _usable(project, present, branch), False
    if wish.pr is not None:
        fetched = _fetch_request(project, wish.pr, token)
        start = _look_up(project, home, [fetched])[0]
        base = f"#{wish.pr}"
        return base, _usable(project, start or Start(fetched), base), branch is not None
    there = next((one for one in bases if one is not None), None)
    on_remotes = {remote: (ref, one) for (ref, remote), one in pushed if one is not None}
    if on_remotes:  # somebody has pushed it: that is the branch that is meant
        base, there = _pushed(project, str(branch), on_remotes)
    if there is None or base.startswith("-"):
        raise _no_commit(project, wish.base, home)
    return base, _usable(project, there, base), branch is not None


def _no_commit(project: Project, asked: str | None, home: Path) -> BranchUnusable:
    """Return the error of a base that is none: the one asked for, or that of the settings."""
    base = project.settings.base
    if asked is not None:
        return BranchUnusable(
            f"{asked} names no commit in {home}", hint="choose another with --from"
        )
    if base != "HEAD":
        return BranchUnusable(
            f"the setting base is {base}, which names no commit in {home}",
            hint="fetch it, change the setting, or choose another with --from",
        )
    bare = project.repo.main is None
    first = "push a first commit" if bare else "git commit --allow-empty -m 'first commit'"
    return BranchUnusable(
        f"HEAD of {home} names no commit", hint=f"{first}, or choose a base with --from"
    )


class Start(NamedTuple):
    """A commit to start from."""

    commit: str
    has_env_file: bool = False
    """Whether it tracks what we would write."""


def _look_up(project: Project, home: Path, revisions: list[str]) -> list[Start | None]:
    """Return the commit that each revision names, or None, asking git once."""
    env_file = project.settings.env_file
    asked = [f"{name}{what}" for name in revisions for what in ("^{commit}", f":{env_file}")]
    told = resolve_objects(home, asked)
    pairs = zip(told[::2], told[1::2], strict=True)
    return [Start(commit, file is not None) if commit else None for commit, file in pairs]


def _remote_refs(project: Project, branch: str) -> dict[str, str]:
    """Return the refs that a branch of that name has where it was pushed, and their remotes."""
    if not may_have_branches(project.repo):
        return {}
    return {remote_ref(name, branch): name for name in remotes(project.repo)}


def _pushed(
    project: Project, branch: str, on_remotes: dict[str, tuple[str, Start]]
) -> tuple[str, Start]:
    """Return the ref and commit of a branch that was pushed, from the remote that is preferred.

    Raises BranchUnusable if more than one has it, and none is: any of them could be meant.
    """
    if len(on_remotes) == 1:
        return next(iter(on_remotes.values()))
    preferred = preferred_remote(project.repo, project.settings.remote)
    if preferred in on_remotes:
        return on_remotes[preferred]
    first, *others = sorted(on_remotes)
    raise BranchUnusable(
        f"branch {branch} is on more than one remote: {', '.join([first, *others])}",
        hint=f"choose with --from {quote(f'{first}/{branch}')}, or for good with the setting "
        "remote or git's checkout.defaultRemote",
    )


def _check_branch_free(project: Project, branch: str) -> None:
    use = use_of(project.repo, branch)
    if use is None:
        return
    main = "the main worktree " if use.worktree == project.repo.main else ""
    other = "choose another branch with --branch"
    if not use.checked_out:
        from adw_worktree.repo.unfinished import unfinished

        what = unfinished(use.git_directory) or "something"
        raise BranchUnusable(
            f"branch {branch} is in use: {what} of it is in progress in {main}{use.worktree}",
            hint=f"finish or abort that, or {other}",
        )
    if main:
        raise BranchUnusable(f"branch {branch} is checked out in {main}{use.worktree}", hint=other)
    leases = project.pool.leases().values()
    names = [one.adw_id for one in leases if one.path == str(use.worktree)]
    adopted = not names and exists(use.worktree)
    raise BranchUnusable(
        f"branch {branch} already has a worktree at {use.worktree}",
        hint=f"adw-worktree {'adopt' if adopted else 'remove'} "
        f"{quote(names[0] if names else str(use.worktree))}, or {other}",
    )


def free_path(
    project: Project, adw_id: str, branch: str | None, wanted: Path | None, other: str
) -> Path:
    """Return where a worktree of `adw_id` goes: `wanted`, or what the settings say.

    `other` is how a person has another place. Raises PathOccupied, UsageError, SettingsError.
    """
    path = wanted or project.worktree_path(adw_id, branch or adw_id)
    if wanted is None:
        require_inside(project.repo, path, "the worktree")
    path = path.parent.resolve() / path.name
    if path.is_relative_to(project.repo.common_dir):
        raise UsageError(f"the path {path} lies inside git's own directory", hint=other)
    if any(character in str(path) for character in "\n\r\0"):
        raise UsageError(f"the path {str(path)!r} has a line break in it", hint=other)
    _require_no_worktree(project, path, other)
    places.require_vacant(path, other)
    return path


def _require_no_worktree(project: Project, path: Path, other: str) -> None:
    """Raise PathOccupied if a worktree without a lease is at `path`: that can be taken in."""
    admin = admin_directory(path)
    if admin is None or admin.parent != project.repo.admin_root or worktree_of_admin(admin) != path:
        return
    if all(one.admin_id != admin.name for one in project.pool.leases().values()):
        raise PathOccupied(
            f"{path} is a worktree already",
            hint=f"adw-worktree adopt {quote(str(path))}, or {other}",
        )


def _usable(project: Project, start: Start, base: str) -> str:
    """Return the commit; refuse one that tracks the env file: ours would dirty the worktree."""
    if start.has_env_file:
        name = project.settings.env_file
        raise SettingsError(
            f"{name} is tracked in {base} ({start.commit[:12]}), and would be overwritten",
            hint=f"git rm --cached {quote(name)} && git commit -m {quote(f'Untrack {name}')} "
            f"(on {base}), or choose another name with the setting env_file",
        )
    return start.commit


def _fetch_request(project: Project, number: int, token: str) -> str:
    """Fetch the head of a pull or merge request and return its commit.

    Into a ref of our own, since parallel fetches share FETCH_HEAD; `drop_fetched` deletes it.
    """
    remote = _remote(project)
    ref = f"refs/adw-worktree/{token}"
    failure = None
    for source in (f"refs/pull/{number}/head", f"refs/merge-requests/{number}/head"):
        command = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options"]
        reached("fetch.before")
        done = run_git([*command, remote, f"+{source}:{ref}"], project.repo.checkout,
                       check=False, timeout=None)  # fmt: skip
        reached("fetch.after")
        commit = resolve_commit(project.repo.home, ref) if done.returncode == 0 else None
        if commit is not None:
            return commit
        failure = failure or done.stderr.strip()
    raise GitFailed(
        f"request {number} cannot be fetched from {remote}: {failure}",
        hint="check its number, and the remote with the setting remote",
    )


def _remote(project: Project) -> str:
    names, wanted = remotes(project.repo), project.settings.remote
    # A name, as the setting says: an address could be one at which git runs a program.
    if wanted is not None and wanted not in names:
        raise GitFailed(
            f"{project.repo.home} has no remote called {wanted!r}",
            hint=f"git remote add {quote(wanted)} URL, or choose another with the setting remote",
        )
    if not names:
        raise GitFailed(
            f"{project.repo.home} has no remote to fetch from", hint="git remote add origin URL"
        )
    preferred = preferred_remote(project.repo, wanted)
    return preferred if preferred in names else names[0]


def drop_fetched(project: Project, token: str) -> bool:
    """Delete what `_fetch_request` fetched; return whether it is gone."""
    ref = f"refs/adw-worktree/{token}"
    if resolve_commit(project.repo.home, ref) is None:
        return True
    reached("fetched-drop.before")
    done = run_git(["update-ref", "-d", ref], project.repo.checkout, check=False, shielded=True)
    reached("fetched-drop.after")
    return done.returncode == 0

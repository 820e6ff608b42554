"""What is wrong with a project, and the command that mends each thing. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shlex import quote

from adw_worktree.errors import AdwError
from adw_worktree.integrations.git_hooks import status
from adw_worktree.pool.holders import Holding, clashes, exhausted
from adw_worktree.pool.lease import Lease
from adw_worktree.pool.other_ledgers import lives
from adw_worktree.pool.status import WINDING_DOWN, PoolState, machine_state, pool_state, status_of
from adw_worktree.project import Project, machine_pool, unheeded_ledger
from adw_worktree.repo.find import is_bare
from adw_worktree.repo.git import git_version
from adw_worktree.repo.git_errors import too_old
from adw_worktree.settings.approvals import commands_digest, is_trusted
from adw_worktree.settings.model import Settings
from adw_worktree.system.mounts import mounts_in
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.files.exclude import is_shown
from adw_worktree.worktrees.files.variables import unapproved_lines
from adw_worktree.worktrees.reconcile import reconcile


class Problem(NamedTuple):
    """Something wrong."""

    code: str
    message: str
    fix: str
    """The command, or what else a person does."""


def examine(project: Project) -> list[Problem]:
    """Return what is wrong; an examination that itself fails is a problem, too."""
    problems: list[Problem] = []
    looks = (_git, _place, _leases, _shared, _pool, _hooks, _trust, _ignored, _trash)
    for look in looks:
        problems += _problems(partial(look, project))
    return list(dict.fromkeys(problems))  # several looks stumble over one thing


def examine_machine(directory: Path) -> list[Problem]:
    """Return what is wrong with git and with the pool, seen from outside of any repository."""

    def look_at_pool() -> Iterator[Problem]:
        pool = machine_pool()
        yield from _pool_as_seen(machine_state(pool), pool.settings)

    problems = [*_problems(partial(_git_in, directory)), *_problems(look_at_pool)]
    return list(dict.fromkeys(problems))


def _problems(look: Callable[[], Iterator[Problem]]) -> list[Problem]:
    found: list[Problem] = []
    try:
        found.extend(look())
    except AdwError as exc:
        found.append(Problem(exc.code, exc.message, exc.hint or "see the message"))
    except OSError as exc:
        message = f"{exc.filename} cannot be looked into: {exc.strerror}"
        found.append(Problem("file-unusable", message, f"make {exc.filename} readable"))
    return found


def _git(project: Project) -> Iterator[Problem]:
    return _git_in(project.repo.home)


def _git_in(directory: Path) -> Iterator[Problem]:
    old = too_old(git_version(directory))
    if old is not None:
        yield Problem("git-too-old", old, "install git 2.36 or later and put it on PATH")


def _place(project: Project) -> Iterator[Problem]:
    main = project.repo.main
    if main is not None and is_bare(project.repo.common_dir):
        yield Problem(
            "main-worktree-hidden",
            f"git takes the repository for bare, and has no main worktree at {main} (core.bare)",
            f"git -C {quote(str(main))} config core.bare false",
        )
    asked = unheeded_ledger(project)
    if asked is not None:
        yield Problem("ledger-elsewhere", asked.message, asked.hint or "see the message")


def _shared(project: Project) -> Iterator[Problem]:
    """Name those who share a slot or a port, here and in other repositories."""
    pool = project.pool
    leases = pool.leases()
    own = [*leases.values(), *pool.unlisted(leases)]
    holdings = [Holding(one, pool.ledger.path, pool.common_dir) for one in own]
    holdings = [one for one in holdings if lives(one)] + pool.elsewhere(living=True)
    for one, other in clashes(holdings):
        yield Problem(
            "slot-shared",
            f"{_named(one)} and {_named(other)} share {_shared_thing(one.lease, other.lease)}",
            _way_apart(project, one, other),
        )


def _way_apart(project: Project, one: Holding, other: Holding) -> str:
    """Return the command after which two do not share anything any more."""
    if other.common_dir == project.repo.common_dir:
        return "adw-worktree reconcile"  # one of them is not in the ledger
    reserved = [each for each in (one, other) if not each.lease.has_worktree]
    if not reserved:
        return "adw-worktree reconcile --all"
    # Whoever reserved it reads its ports from nowhere but what `reserve` printed.
    later = max(reserved, key=lambda each: each.lease.allocated_at)
    there = f"adw-worktree -C {quote(later.repository)}"
    adw_id = later.lease.adw_id
    return f"{there} release {adw_id} && {there} reserve {adw_id}"


def _named(holding: Holding) -> str:
    return f"{holding.lease.adw_id} in {holding.repository}"


def _shared_thing(one: Lease, other: Lease) -> str:
    if one.slot == other.slot:
        return f"slot {one.slot}"
    ports = sorted(set(one.ports.values()) & set(other.ports.values()))
    return f"port {ports[0]}"


def _leases(project: Project) -> Iterator[Problem]:
    done = reconcile(project, dry_run=True)
    for action in [*done.released, *done.repaired, *done.adopted]:
        if action.kind == "reassign":
            continue  # `_shared` names both
        message = f"{action.adw_id}: {action.kind}: {action.reason}"
        yield Problem(f"needs-{action.kind}", message, "adw-worktree reconcile")
    for _, exc in done.failed:
        yield Problem(exc.code, exc.message, exc.hint or "adw-worktree reconcile")
    for action in done.kept:
        lost = action.seen is None and action.lease is not None and action.lease.has_worktree
        if lost and action.lease is not None and action.lease.state == "active":
            from adw_worktree.worktrees.remove_checks import way_out

            yield Problem(
                "worktree-unknown",
                f"{action.adw_id} keeps slot {action.slot}: {action.reason}",
                way_out(project, action.lease, project.pool.finding(action.lease)),
            )


def _pool(project: Project) -> Iterator[Problem]:
    return _pool_as_seen(pool_state(project.pool), project.settings)


def _pool_as_seen(state: PoolState, settings: Settings) -> Iterator[Problem]:
    status_now = status_of(state)
    if status_now["available"] == 0:
        full = exhausted(settings, [*state.own, *state.others], {})
        fix = full.hint or "adw-worktree status"
        yield Problem("pool-exhausted", f"none of the {state.total} slots is free", fix)
    for one in status_now["blocked"]:
        if one["command"] == WINDING_DOWN:
            continue  # over before anybody could do something
        held = f"slot {one['slot']} is out of use: port {one['port']} is held by {one['command']}"
        if one["pid"] is None:
            yield Problem("slot-blocked", held, f"as root: ss -ltnp 'sport = :{one['port']}'")
        else:
            yield Problem(
                "slot-blocked", f"{held} (pid {one['pid']})", f"if it is yours: kill {one['pid']}"
            )


def _hooks(project: Project) -> Iterator[Problem]:
    states = status(project.repo)
    if all(one.state in ("absent", "foreign", "left") for one in states):
        return  # hooks are a convenience: not to have them is no problem
    for one in states:
        if one.state in ("refused", "left"):
            continue  # said when they were installed; nothing here can mend it
        if one.state == "damaged":
            message = f"{one.path} needs a person: {one.note}"
            fix = f"mend {one.path} by hand, then: adw-worktree hooks install"
            yield Problem("hook-damaged", message, fix)
        elif one.state != "installed":
            message = f"the {one.event} hook is {one.state}{f': {one.note}' if one.note else ''}"
            yield Problem("hook-missing", message, "adw-worktree hooks install")


def _trust(project: Project) -> Iterator[Problem]:
    digest = commands_digest(project.settings)
    if digest and not is_trusted(project.state_dir, project.repo.common_dir, digest):
        message = "the repository's settings ask for commands that nobody approved"
        yield Problem("hooks-untrusted", message, "adw-worktree trust")
    if unapproved_lines(project):
        message = "the repository's settings ask for variables or databases that nobody approved"
        yield Problem("template-untrusted", message, "adw-worktree trust")


def _ignored(project: Project) -> Iterator[Problem]:
    main, env_file = project.repo.main, project.settings.env_file
    if main is not None and is_shown(project.repo.checkout, env_file):
        message = f"git shows {env_file}: a line of {main / '.gitignore'} takes it back in"
        yield Problem("env-file-shown", message, f"put /{env_file} at the end of that file")


def _trash(project: Project) -> Iterator[Problem]:
    for path in trash.stuck(project.repo):
        message = f"what was removed cannot be deleted, and lies in {path}"
        inside = mounts_in(path)
        if inside:  # deleting by hand would empty it
            fix = f"umount {quote(str(inside[0]))}, then adw-worktree reconcile"
            yield Problem("trash-stuck", f"{message}: {inside[0]} is mounted in it", fix)
            continue
        yield Problem("trash-stuck", message, f"as their owner: rm -rf {quote(str(path))}")

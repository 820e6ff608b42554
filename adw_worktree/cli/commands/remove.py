"""`adw-worktree remove`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from adw_worktree.adw_id import LAST
from adw_worktree.cli.output import Outcome, as_error, ask, can_ask
from adw_worktree.errors import AdwError, UsageError
from adw_worktree.project import Project, open_project
from adw_worktree.system.ports import Listener
from adw_worktree.system.progress import progress
from adw_worktree.worktrees.heal import heal
from adw_worktree.worktrees.remove import Removed, foresee, merged, remove
from adw_worktree.worktrees.remove_checks import Consent
from adw_worktree.worktrees.trash import kept_until

EPILOG = """\
examples:
  adw-worktree remove fix-login
  adw-worktree remove fix-login -d        # and its branch, if its work is elsewhere
  adw-worktree remove fix-login --stop    # and end the servers that run in it
  adw-worktree remove                     # the worktree you are in
  adw-worktree remove -                   # the one you were in last
  adw-worktree remove a b c               # shows what would go, and asks
  adw-worktree remove --merged -d --yes   # in scripts"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs="*", metavar="ADW_ID|PATH", help="default: the current one"
    )
    parser.add_argument(
        "--merged", action="store_true", help="those whose branches are integrated elsewhere"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="several: do not ask")
    parser.add_argument(
        "-f", "--force", action="store_true", help="remove it with uncommitted work"
    )
    branch = parser.add_mutually_exclusive_group()
    branch.add_argument(
        "-d",
        "--delete-branch",
        dest="branch",
        action="store_const",
        const="integrated",
        help="delete the branch too, if its work is integrated elsewhere",
    )
    branch.add_argument(
        "-D",
        "--force-delete-branch",
        dest="branch",
        action="store_const",
        const="always",
        help="delete the branch too, with commits that are nowhere else",
    )
    parser.add_argument("--unlock", action="store_true", help="remove it although it is locked")
    parser.add_argument("--stop", action="store_true", help="end servers that run inside it")
    parser.add_argument("--no-hooks", action="store_true", help="run no hooks")


def run(args: Namespace) -> Outcome:
    project = open_project(args.directory)
    consent = Consent(
        force=args.force,
        delete_branch=args.branch or "never",
        unlock=args.unlock,
        stop=args.stop,
        hooks=not args.no_hooks,
    )
    if args.merged or len(args.targets) > 1:
        return _remove_several(project, args, consent)
    named = _named(project, args.targets)
    target = _meant(named[0], args.directory) if named else args.directory
    gone = remove(project, target, consent, output=2)
    until = until_of(gone, project.settings.trash_days)
    return Outcome(as_json(gone, until), as_text(gone), [*project.notices, *notes_of(gone, until)])


def _named(project: Project, targets: list[str]) -> list[str]:
    """Return what was named, each once, with the last worktree's id in place of `-`."""
    if LAST in targets:
        from adw_worktree.worktrees.last_used import last_visited

        last = last_visited(project, project.pool.leases()).adw_id
        targets = [last if target == LAST else target for target in targets]
    return list(dict.fromkeys(targets))


def _meant(target: str, directory: Path) -> str | Path:
    return directory / os.path.expanduser(target) if "/" in target else target


def _remove_several(project: Project, args: Namespace, consent: Consent) -> Outcome:
    """Show what would go and what would not, ask, and remove; one that fails stops no other."""
    healed = heal(project)
    if args.merged and args.targets:
        raise UsageError(
            f"--merged says which, and goes without {' '.join(args.targets)}",
            hint="adw-worktree remove --merged",
        )
    named = merged(project, output=2) if args.merged else _named(project, args.targets)
    targets = [_meant(name, args.directory) for name in named]
    prospects = foresee(project, targets, consent, healed=healed, output=2)
    going = [
        (name, one.target)
        for name, one in zip(named, prospects, strict=True)
        if one.refusal is None
    ]
    failures = {
        name: one.refusal
        for name, one in zip(named, prospects, strict=True)
        if one.refusal is not None
    }
    if going and not args.yes:
        _confirm([name for name, _ in going], failures, asked=not args.json and can_ask())
    removals, lines, notes = [], [], list(project.notices)
    for gone in _removed(project, going, consent, failures):
        until = until_of(gone, project.settings.trash_days)
        removals.append(as_json(gone, until))
        lines.append(as_text(gone))
        notes += notes_of(gone, until)
    for target, exc in failures.items():
        hint = f"; {exc.hint}" if exc.hint else ""
        notes.append(f"{target} was not removed: {exc.message}{hint}")
    refused = [{"target": target, "error": as_error(exc)} for target, exc in failures.items()]
    data = {
        "ok": not refused,
        "error": refused[0]["error"] if refused else None,
        "removals": removals,
        "refused": refused,
    }
    code = next((exc.exit_code for exc in failures.values()), 0)
    nothing = "nothing was removed" if failures else "nothing to remove"
    return Outcome(data, "\n".join(lines) or nothing, notes, code)


def _removed(
    project: Project,
    going: Sequence[tuple[str, str | Path]],
    consent: Consent,
    failures: dict[str, AdwError],
) -> Iterator[Removed]:
    """Remove each and yield what became of it; put those that fail into `failures`."""
    # Hooks say themselves what they do, on the same terminal.
    quiet = consent.hooks and {"pre-remove", "post-remove"} & project.settings.hooks.keys()
    with progress(None if quiet else 2) as tell:
        for number, (name, target) in enumerate(going, 1):
            if tell is not None:
                tell(f"removing {name}, {number} of {len(going)}")
            try:
                yield remove(project, target, consent, output=2)
            except AdwError as exc:
                failures[name] = exc


def _confirm(going: list[str], failures: dict[str, AdwError], *, asked: bool) -> None:
    """Raise UsageError unless a person says yes."""
    plan = [f"to be removed: {', '.join(going)}"]
    plan += [f"not to be: {target}: {exc.message}" for target, exc in failures.items()]
    if not asked:
        raise UsageError("\n".join(plan), hint="repeat it with --yes, and nobody is asked")
    if not ask("\n".join(plan), "remove them?"):
        raise UsageError("you did not say yes, and nothing was removed")


def notes_of(gone: Removed, until: str | None) -> list[str]:
    """Return what else a person should know; `until` is when what was kept goes."""
    notes = list(gone.notes)
    notes += [f"{_who(one)} still listens on port {one.port}" for one in gone.listening]
    if until is not None and gone.kept is not None:
        name = gone.kept.adw_id or f"{gone.kept.name} --as ADW_ID"
        notes.append(f"its work is kept until {until[:10]}: adw-worktree restore {name}")
    return notes


def until_of(gone: Removed, days: float) -> str | None:
    """Return until when what was removed can be restored, if it can."""
    return kept_until(gone.kept, days).isoformat() if gone.kept else None


def as_json(gone: Removed, until: str | None) -> dict[str, object]:
    """Return the keys that `remove --json` promises; `until` is when what was kept goes."""
    released = gone.released
    return {
        "removed": gone.removed,
        "adw_id": gone.adw_id,
        "path": str(gone.path) if gone.path else None,
        "released": {"slot": released.slot, "ports": dict(released.ports)} if released else None,
        "branch_deleted": gone.branch_deleted,
        "database_dropped": gone.database_dropped,
        "kept_until": until,
        "stopped": [_server(one) for one in gone.stopped],
        "listening": [_server(one) for one in gone.listening],
    }


def _server(one: Listener) -> dict[str, object]:
    return {"port": one.port, "pid": one.pid, "command": one.command}


def as_text(gone: Removed) -> str:
    """Return what a person is told of a removal."""
    stays = f"; what is at {gone.path} stays" if gone.path else ""
    none = f"{gone.adw_id} had no worktree any more{stays}"
    lines = [f"removed {gone.path}" if gone.removed else none]
    if gone.released:
        lines.append(f"released slot {gone.released.slot} of {gone.released.adw_id}")
    if gone.branch_deleted:
        lines.append(f"deleted branch {gone.branch_deleted}")
    if gone.database_dropped:
        lines.append(f"dropped database {gone.database_dropped}")
    lines += [f"ended {_who(one)} on port {one.port}" for one in gone.stopped]
    return "\n".join(lines)


def _who(one: Listener) -> str:
    return f"{one.command} (pid {one.pid})" if one.pid else one.command

"""`adw-worktree work`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path

EPILOG = """\
examples:
  adw-worktree work --until-idle                  # in CI: come back when nothing is left to do
  adw-worktree work                               # as a service
  adw-worktree work --name anna --label gpu       # one of the hosts that share a store
  adw-worktree work --name ben --repo ~/shop      # with a repository that it has not seen yet

On one machine nobody needs it: `feature start`, and whatever changes a phase, starts a coordinator
that ends by itself. Where one lives already, this one waits until that has nothing left to do.

Where hosts share a store (the setting `store`), each that is to work runs it. SIGTERM stops it
gently: no phase is started any more, and what runs goes on, or with --hand-back is ended and left
to other hosts."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--until-idle", action="store_true", help="end when nothing runs and nothing can start"
    )
    parser.add_argument("--name", metavar="HOST", help="what this host is called from now on")
    parser.add_argument(
        "--label", metavar="WORD", action="append", default=[], help="what phases may need of it"
    )
    parser.add_argument(
        "--repo", metavar="DIR", action="append", default=[], help="a repository to serve, too"
    )
    parser.add_argument(
        "--hand-back", action="store_true", help="at SIGTERM, leave what runs to other hosts"
    )
    parser.add_argument("--quiet", action="store_true", help="come back at once if one lives")


def run(args: Namespace) -> Outcome:
    from adw_worktree.orchestration.running.coordinating import Manner
    from adw_worktree.orchestration.running.foreground import work
    from adw_worktree.settings.places import state_directory

    if not args.quiet:
        _join(state_directory(), args)
    manner = Manner(args.until_idle, not args.quiet, not args.quiet, args.hand_back)
    work(state_directory(), manner)
    return Outcome({}, "" if args.quiet else "nothing is left to do")


def _join(state_dir: Path, args: Namespace) -> None:
    """Keep what this host is called and offers to those that share its store, if any do.

    The repository that it is called in is served, too. Raises UsageError, Refused if the host has
    another name while something runs, NotARepository.
    """
    from contextlib import closing

    from adw_worktree.errors import Refused, UsageError
    from adw_worktree.orchestration.store.hosts import rename_adder, running_on
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.orchestration.store.this_host import (
        keep_this_host,
        require_host_name,
        this_host,
    )
    from adw_worktree.project import open_project, project_around
    from adw_worktree.settings.rules import check_label

    host = this_host(state_dir)
    with closing(open_store(state_dir)) as database:
        if not database.is_shared:
            if not (args.name or args.label or args.repo or args.hand_back):
                return
            raise UsageError(
                "a name, labels, repositories and --hand-back are for hosts that share a store",
                hint="name that with the setting store; adw-worktree help settings",
            )
        name = require_host_name(args.name or host.name)
        if name != host.name and running_on(database, host.name):
            raise Refused(
                f"this host works as {host.name}, and something runs on it",
                hint=f"adw-worktree work --name {host.name}",
            )
        rename_adder(database, host.name, name)
    for label in args.label:
        try:
            check_label(label)
        except ValueError as exc:
            hint = "adw-worktree work --name anna --label gpu"
            raise UsageError(f"--label {label[:80]!r} {exc}", hint=hint) from exc
    around = project_around(args.directory)
    found = [open_project(args.directory / one) for one in args.repo]
    places = [str(one.repo.home) for one in [*found, *([around] if around else [])]]
    repositories = tuple(dict.fromkeys([*host.repositories, *places]))
    labels = tuple(args.label) or host.labels
    keep_this_host(state_dir, host._replace(name=name, labels=labels, repositories=repositories))

"""`adw-worktree work`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree work --until-idle   # in CI: come back when nothing is left to do
  adw-worktree work                # as a service

Nobody needs it otherwise: `feature start`, and whatever changes a phase, starts a coordinator that
ends by itself. Where one lives already, this one waits until that has nothing left to do."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--until-idle", action="store_true", help="end when nothing runs and nothing can start"
    )
    parser.add_argument("--quiet", action="store_true", help="come back at once if one lives")


def run(args: Namespace) -> Outcome:
    from adw_worktree.orchestration.running.foreground import work
    from adw_worktree.settings.places import state_directory

    work(state_directory(), until_idle=args.until_idle, patient=not args.quiet)
    return Outcome({}, "" if args.quiet else "nothing is left to do")

"""`adw-worktree worker`."""

from __future__ import annotations

from adw_worktree.cli.output import Outcome, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree worker                # the hosts that share the store, and what each runs
  adw-worktree worker drain anna     # start nothing more on anna; what runs there goes on
  adw-worktree worker resume anna    # start phases there again
  adw-worktree worker forget anna    # take out a host that will not come back

A host that should end what it runs as well: `work --hand-back`, and SIGTERM."""


def add_arguments(parser: ArgumentParser) -> None:
    actions = ["list", "drain", "resume", "forget"]
    parser.add_argument("action", nargs="?", choices=actions, default="list", help="what to do")
    parser.add_argument("host", nargs="?", metavar="HOST", help="of `drain`, `resume`, `forget`")


def run(args: Namespace) -> Outcome:
    from contextlib import closing

    from adw_worktree.errors import UsageError
    from adw_worktree.orchestration.store import hosts
    from adw_worktree.orchestration.store.opening import open_store
    from adw_worktree.orchestration.store.shown_hosts import host_rows
    from adw_worktree.settings.places import state_directory

    if (args.action == "list") != (args.host is None):
        raise UsageError(
            "name one host" if args.host is None else "`list` takes no host",
            hint="adw-worktree worker list, or adw-worktree worker drain HOST",
        )
    with closing(open_store(state_directory())) as database:
        name, text = args.host, ""
        if args.action == "drain":
            hosts.set_drained(database, name, drained=True)
            text = f"{name} starts nothing more"
        elif args.action == "resume":
            hosts.set_drained(database, name, drained=False)
            text = f"{name} starts phases again"
        elif args.action == "forget":
            hosts.forget(database, name)
            text = f"{name} is forgotten"
        rows = host_rows(database)
    return Outcome({"hosts": rows}, text or _listed(rows))


def _listed(rows: list[dict[str, object]]) -> str:
    if not rows:
        return "no host has worked on this store yet: adw-worktree work"
    heads = ["HOST", "STATUS", "RUNS", "SLOTS", "LABELS", "LAST HEARD OF"]
    lines = [
        [
            str(row["name"]),
            str(row["status"]),
            ", ".join(row["phases"]) or "-",  # type: ignore[arg-type]
            "-" if row["slots"] is None else f"{row['slots_leased']} of {row['slots']}",
            ", ".join(row["labels"]) or "-",  # type: ignore[arg-type]
            str(row["heard_at"])[:19].replace("T", " "),
        ]
        for row in rows
    ]
    return table(heads, lines)

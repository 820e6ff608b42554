"""`adw-worktree board`."""

from __future__ import annotations

import gc

from adw_worktree.cli.output import Outcome, print_event
from adw_worktree.errors import LibraryMissing, UsageError
from adw_worktree.settings.places import state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
examples:
  adw-worktree board                # prints the link that opens it, and serves it until Ctrl-C
  adw-worktree board --open         # and opens it in the browser
  adw-worktree board --read-only    # shows everything, changes nothing
  adw-worktree board token          # what programs send: Authorization: Bearer TOKEN
  adw-worktree board hook-secret    # what reports of workflows are signed with

A link is good for one browser, for ten minutes. While a board runs, the command prints a new link
to it. Who can read your files can use the board, and so run programs as you; nobody else can."""

_LIBRARIES = {
    "fastapi": "fastapi",
    "prometheus-client": "prometheus_client",
    "PyJWT": "jwt",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
}
"""Those of the extra `board`, each with its module."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=["token", "hook-secret"], help="print it")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument(
        "--port", type=int, metavar="N", help="default: 9400; 0 takes any that is free"
    )
    parser.add_argument(
        "--log-json", action="store_true", help="log each request and event as a line of JSON"
    )
    parser.add_argument("--read-only", action="store_true", help="change nothing")


def run(args: Namespace) -> Outcome:
    if args.port is not None and not 0 <= args.port <= 65535:
        raise UsageError("--port takes a number from 0 to 65535", hint="9400 is the default")
    require_libraries()
    if args.action is not None:
        from adw_worktree.board.access.keys import load_keys

        keys = load_keys(state_directory())
        if args.action == "token":
            return Outcome({"token": keys.program_token}, keys.program_token, exact=True)
        return Outcome({"secret": keys.hook_secret}, keys.hook_secret, exact=True)
    return _serve(args)


def require_libraries() -> None:
    """Raise LibraryMissing if one is not installed that the board needs."""
    from importlib.util import find_spec

    missing = [name for name, module in _LIBRARIES.items() if find_spec(module) is None]
    if missing:
        from adw_worktree.system.install_hint import install_command

        raise LibraryMissing(
            f"the board needs {', '.join(missing)}, which the extra `board` brings along",
            hint=install_command(*missing),
        )


def _serve(args: Namespace) -> Outcome:
    from adw_worktree.board.serve import Wanted, serve
    from adw_worktree.project import project_around

    project = project_around(args.directory)
    home = None if project is None else project.repo.home
    gc.enable()  # switched off for commands that are over soon

    def announce(link: str, *, is_new: bool) -> None:
        if is_new:
            print_event({"ok": True, "link": link} if args.json else f"the board: {link}")
        if args.open:
            import webbrowser

            webbrowser.open(link)

    link = serve(
        state_directory(), Wanted(args.port, args.read_only, home, args.log_json), announce
    )
    if link is None:
        return Outcome({})
    announce(link, is_new=False)
    return Outcome({"link": link}, f"a board runs; a new link to it: {link}", exact=True)

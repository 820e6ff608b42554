"""`adw-worktree board`."""

from __future__ import annotations

import gc

from adw_worktree.cli.output import Outcome, print_event
from adw_worktree.errors import LibraryMissing, UsageError
from adw_worktree.settings.places import state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from adw_worktree.board.wanted import Tls
    from adw_worktree.orchestration.store.database import Database
    from adw_worktree.orchestration.store.users import User

EPILOG = """\
examples:
  adw-worktree board                # prints the link that opens it, and serves it until Ctrl-C
  adw-worktree board --open         # and opens it in the browser
  adw-worktree board --read-only    # shows everything, changes nothing
  adw-worktree board token          # what programs send: Authorization: Bearer TOKEN
  adw-worktree board hook-secret    # what reports of workflows are signed with
  adw-worktree board --users        # people log in; the first one becomes its admin
  adw-worktree board invite         # prints a link with which somebody else can register
  adw-worktree board invite --for ada@example.com    # who has forgotten the password
  adw-worktree board --users --address https://board.example.com    # behind a proxy with TLS

A link is good for one browser, for ten minutes. While a board runs, the command prints a new link
to it. Who can read your files can use the board, and so run programs as you; nobody else can,
unless you invite them to a board with users."""

_LIBRARIES = {
    "argon2-cffi": "argon2",
    "fastapi": "fastapi",
    "limits": "limits",
    "prometheus-client": "prometheus_client",
    "PyJWT": "jwt",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
}
"""Those of the extra `board`, each with its module."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=["token", "hook-secret", "invite"], help="print it"
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument(
        "--port", type=int, metavar="N", help="default: 9400; 0 takes any that is free"
    )
    parser.add_argument(
        "--log-json", action="store_true", help="log each request and event as a line of JSON"
    )
    parser.add_argument("--read-only", action="store_true", help="change nothing")
    parser.add_argument("--users", action="store_true", help="have people log in")
    parser.add_argument(
        "--role", choices=["admin", "member", "viewer"], help="of who is invited; default: member"
    )
    parser.add_argument(
        "--for",
        dest="address_of",
        metavar="ADDRESS",
        help="have the invitation set another password of this user",
    )
    parser.add_argument(
        "--open-registration", action="store_true", help="let everybody register who reaches it"
    )
    parser.add_argument("--host", metavar="ADDRESS", help="what it listens on; default: 127.0.0.1")
    parser.add_argument(
        "--address", metavar="URL", help="where browsers reach it, through a proxy or by a name"
    )
    parser.add_argument(
        "--proxy", metavar="ADDRESS", help="a proxy that is believed; default: 127.0.0.1"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="a certificate, with its chain")
    parser.add_argument("--tls-key", metavar="FILE", help="its key")


def run(args: Namespace) -> Outcome:
    if args.port is not None and not 0 <= args.port <= 65535:
        raise UsageError("--port takes a number from 0 to 65535", hint="9400 is the default")
    if (args.role or args.address_of) and args.action != "invite":
        raise UsageError("--role and --for are for invitations", hint="adw-worktree board invite")
    if args.role and args.address_of:
        raise UsageError("a user keeps their role", hint="leave out --role")
    require_libraries()
    if args.action == "invite":
        return _invite(args)
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


def _invite(args: Namespace) -> Outcome:
    from contextlib import closing

    from adw_worktree.board.access.accounts import invitation
    from adw_worktree.board.access.places import invitation_link
    from adw_worktree.board.serve import board_that_runs
    from adw_worktree.orchestration.store.opening import open_store

    running = board_that_runs(state_directory())
    if not running.users:
        raise UsageError("the board has no users", hint="adw-worktree board --users")
    with closing(open_store(state_directory())) as database:
        user = None if args.address_of is None else _user(database, args.address_of)
        made = invitation(database, args.role or "member", user)
    link = invitation_link(running.address, made.text)
    return Outcome({"link": link, "expires_at": made.expires_at}, link, exact=True)


def _user(database: Database, address: str) -> User:
    """Return the user of an address. Raises UsageError if there is none."""
    from adw_worktree.orchestration.store.users import user_by_address

    user = user_by_address(database, address)
    if user is None:
        raise UsageError(f"nobody of the address {address} has registered",
                         hint="adw-worktree board invite")  # fmt: skip
    return user


def _tls(args: Namespace) -> Tls | None:
    from pathlib import Path

    from adw_worktree.board.wanted import Tls

    if (args.tls_cert is None) != (args.tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together", hint="give both")
    return None if args.tls_cert is None else Tls(Path(args.tls_cert), Path(args.tls_key))


def _serve(args: Namespace) -> Outcome:
    from adw_worktree.board.serve import serve
    from adw_worktree.board.wanted import LOOPBACK, Wanted
    from adw_worktree.project import project_around

    project = project_around(args.directory)
    home = None if project is None else project.repo.home
    gc.enable()  # switched off for commands that are over soon

    def announce(link: str, port: int | None = None) -> None:
        if port is not None:
            event = {"ok": True, "link": link, "port": port}
            print_event(event if args.json else f"the board: {link}")
        if args.open:
            import webbrowser

            webbrowser.open(link)

    wanted = Wanted(
        port=args.port,
        read_only=args.read_only,
        home=home,
        log_json=args.log_json,
        users=args.users,
        is_open=args.open_registration,
        host=args.host or LOOPBACK,
        address=args.address,
        proxies=args.proxy or LOOPBACK,
        tls=_tls(args),
    )
    link = serve(state_directory(), wanted, announce)
    if link is None:
        return Outcome({})
    announce(link)
    return Outcome({"link": link}, f"a board runs; a new link to it: {link}", exact=True)

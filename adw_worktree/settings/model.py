"""The plain data of the tool: settings, services, leases, verdicts. No input or output.

What holds here: a slot's number is the truth and its ports are derived from it once, when it is
leased; a lease is immutable and a change makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adw_worktree.system.named_tuple import NamedTuple

DEFAULT_SERVICES: Mapping[str, int] = MappingProxyType({"backend": 9100, "frontend": 9200})
DEFAULT_SLOTS = 100
DEFAULT_ENV_FILE = ".env.ports"


VARIABLE = r"(?!export)[A-Za-z_][A-Za-z0-9_]*"
"""A name in an env file. Older versions of docker compose take `export` off the front of any."""


class HookCommands(NamedTuple):
    """The user's commands for one moment, and who asked for them."""

    commands: tuple[str | tuple[str, ...], ...] = ()
    """Each a line for `sh -c`, or an argument list that is run as it is."""
    from_repository: bool = False
    """Whether a file of the repository asked for them, so that they need approval."""


class EnvValue(NamedTuple):
    """A further variable of the env file, and who asked for it."""

    text: str
    """With placeholders, as in a template of the env file."""
    from_repository: bool = False
    """Whether a file of the repository asked for it, so that it needs approval."""


class Postgres(NamedTuple):
    """How an ADW gets a database of its own."""

    url: str = "postgresql:///"
    """The server, as programs are told of it; what it leaves out is libpq's to know."""
    template: str = "template1"
    """The database that others are made from."""
    database: str = "{repo}_{slot}"
    """Template of a database's name."""
    variable: str = "DATABASE_URL"
    """What the url is called in the env file."""
    asked: tuple[str, ...] = ()
    """What of it a file of the repository asks for, `postgres.url=…`, so that it needs approval."""


class Table(NamedTuple):
    """A table of the settings that only those who use it look into, and who asked for it."""

    values: Mapping[str, object]
    from_repository: bool = False


class Settings(NamedTuple):
    """All settings, with their defaults; `settings.py` reads them."""

    worktree_path: str | None = None
    """Template of a worktree's path, relative to the main worktree; without it,
    `trees/{adw_id}`."""
    ledger: str | None = None
    """The ledger, relative to the main worktree; without it,
    `agents/port_allocations.json`."""
    branch_name: str = "{adw_id}"
    """Template of a new worktree's branch."""
    base: str = "HEAD"
    """What a new branch starts from; `HEAD` is that of the main worktree."""
    remote: str | None = None
    """Where `--pr` fetches from, and whose branch a new worktree starts from if more than one has
    it; without it, git's `checkout.defaultRemote`, `origin`, or else the first by name."""
    env_file: str = DEFAULT_ENV_FILE
    """Name of the generated file in each worktree."""
    template: str | None = None
    """A template of the repository's own for that file, relative to the main worktree."""
    values: Mapping[str, EnvValue] = MappingProxyType({})
    """Further variables of that file, by name."""
    write: tuple[str, ...] = ()
    """Programs to write a file for: `direnv`, or `vite:web` for one in the directory `web`."""
    container_ports: Mapping[str, int] = MappingProxyType({})
    """The port that each service listens on in its container, for docker compose."""
    services: Mapping[str, int] = DEFAULT_SERVICES
    """Port base of each service; `backend` and `frontend` are always there."""
    slots: int = DEFAULT_SLOTS
    """How many slots the pool has."""
    adopt: bool = False
    """Whether a worktree made by plain git gets a slot."""
    spares: int = 0
    """How many worktrees are kept ready for `create`."""
    include: tuple[str, ...] = ()
    """Patterns of ignored files that are copied into a new worktree, beside `.worktreeinclude`."""
    link: tuple[str, ...] = ()
    """Patterns of ignored files that a new worktree has links to."""
    submodules: bool = True
    """Whether submodules that the main worktree has checked out are checked out in a new one."""
    lock_timeout: float = 10.0
    """Seconds to wait for a lock."""
    trash_days: float = 7.0
    """Days for which a worktree removed with work in it can be restored; 0: not at all."""
    hooks: Mapping[str, HookCommands] = MappingProxyType({})
    """Commands to run around `create`, `finish` and `remove`."""
    postgres: Postgres | None = None
    """How each ADW gets a database; without it, none."""
    max_running: int | None = None
    """How many phases run at once, of all features; without it, `3`."""
    max_running_here: int | None = None
    """How many of them run on this machine; without it, as many as `max_running`."""
    store: str | None = None
    """The PostgreSQL server that has the features and phases of many hosts; without it, a file on
    this machine has those of this one."""
    store_listen: str | None = None
    """The same server, reached past a pool of connections that hands each transaction another one;
    without it, `store`."""
    lease: float = 300.0
    """Seconds for which a host may be away from `store` before its phases run elsewhere."""
    labels: tuple[str, ...] = ()
    """What this host has that phases may need, such as `gpu`."""
    logs: str = "host"
    """Where the logs of phases are: on the `host` that ran them, or also in the `store`."""
    notify_url: str | None = None
    """Where each event of a feature is posted; without it, nowhere."""
    notify_secret: str | None = None
    """What these requests are signed with; without it, they are not signed."""
    agents: Mapping[str, Table] = MappingProxyType({})
    """Programs that take a prompt and work, by name, beside those that are built in."""
    stages: Mapping[str, Table] = MappingProxyType({})
    """Steps of workflows, by name: commands, or the prompt of an agent."""
    workflows: Mapping[str, Table] = MappingProxyType({})
    """Lists of stages that a phase goes through, by name, beside `build` and `sdlc`."""
    land: str = "leave"
    """What becomes of a feature that is completed: `leave`, `merge` into its base, or `pr`, a pull
    request."""
    checklist: str = "warn"
    """What a finding of a phase's checklist does: `warn` tells it, `block` keeps the phase from
    being merged."""
    issues: str = "file"
    """Where the issue of a phase is: in a `file` of the state directory, or also on `github`."""
    github_url: str | None = None
    """Where the API of GitHub is; without it, `https://api.github.com`, or that of the remote's
    own host."""

"""The plain data of the tool: settings, services, leases, verdicts. No input or output.

What holds here: a slot's number is the truth and its ports are derived from it once, when it is
leased; a lease is immutable and a change makes a new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from .errors import InvalidAdwId

DEFAULT_SERVICES: Mapping[str, int] = MappingProxyType({"backend": 9100, "frontend": 9200})
DEFAULT_SLOTS = 100
DEFAULT_ENV_FILE = ".env.ports"
SCHEMA_VERSION = 1

LAST = "-"
"""What stands for the worktree that one was in last; no ADW id can be that."""

State = Literal["pending", "active"]
Verdict = Literal["alive", "gone", "unknown"]

VARIABLE = r"(?!export)[A-Za-z_][A-Za-z0-9_]*"
"""A name in an env file. Older versions of docker compose take `export` off the front of any."""
_ADW_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def check_adw_id(adw_id: str) -> str:
    """Return `adw_id` if it can name an ADW.

    It becomes a directory, a branch and a line of a file, so it is held to what all three take:
    1 to 64 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit, without `..`, not ending in `.`
    or `.lock` (git-check-ref-format(1)).

    Raises InvalidAdwId, naming the rule that is broken.
    """
    shown = ascii(adw_id if len(adw_id) <= 80 else adw_id[:77] + "...")
    hint = "use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"
    if not re.fullmatch(_ADW_ID, adw_id):
        raise InvalidAdwId(f"{shown} is not a valid ADW id", hint=hint)
    if ".." in adw_id or adw_id.endswith((".", ".lock")):
        raise InvalidAdwId(
            f"{shown} is not a valid ADW id",
            hint="a branch cannot have '..' in its name, nor end in '.' or '.lock'",
        )
    return adw_id


def with_id_characters(name: str) -> str:
    """Return `name` with `-` for what no ADW id can have in it."""
    return re.sub(r"[^A-Za-z0-9._-]+|\.\.+", "-", name)


def can_name(text: str) -> bool:
    """Whether a file or a ref can be called `text`.

    JSON may hold a NUL, and halves of characters that stand for no byte (PEP 383).
    """
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


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
    """What a new branch starts from."""
    remote: str | None = None
    """Where `--pr` fetches from, and whose branch a new worktree starts from if it was pushed;
    without it, `origin`, or else the first by name."""
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


class Lease(NamedTuple):
    """One ADW id holding one slot. Immutable: `_replace` makes the next state."""

    adw_id: str
    slot: int
    ports: Mapping[str, int]
    """Port of each service, fixed when the slot was leased."""
    allocated_at: datetime
    """Always with an offset (UTC)."""
    state: State
    token: str
    """32 random hex digits; the worktree's receipt carries the same."""
    path: str | None = None
    """The worktree's absolute path when it was last seen; None for a lease without a worktree."""
    branch: str | None = None
    admin_id: str | None = None
    """Name of git's admin directory, `<common git dir>/worktrees/<admin_id>`."""
    device: int | None = None
    """st_dev of the worktree's directory, and
    `inode` its st_ino: how a moved directory is told from a deleted one."""
    inode: int | None = None
    home_device: int | None = None
    """st_dev of the common git directory at the same time. Device numbers change with a reboot;
    whether the two were one file system does not."""
    new_branch_at: str | None = None
    """The commit at which `create` made the branch; undoing deletes the branch only if it is
    still there. None if the branch was there before."""
    reserved: bool | None = None
    """Of a pending lease: whether the slot was reserved before, so that undoing keeps it."""
    database: str | None = None
    """Name of the database that was made for it; the name in the settings may change."""

    @property
    def backend(self) -> int:
        return self.ports["backend"]

    @property
    def frontend(self) -> int:
        return self.ports["frontend"]

    @property
    def has_worktree(self) -> bool:
        """Whether the lease belongs to a worktree, made or in the making."""
        return self.path is not None


def port_variable(service: str) -> str:
    """Return the environment variable of a service's port: `admin-ui` gives `ADMIN_UI_PORT`."""
    return service.upper().replace("-", "_") + "_PORT"


def ports_of(slot: int, services: Mapping[str, int]) -> dict[str, int]:
    """Return the port of each service for `slot`: its base + slot."""
    return {name: base + slot for name, base in services.items()}

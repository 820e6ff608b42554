"""A lease: one ADW id holding one slot, and the ports that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    State = Literal["pending", "active"]
    Verdict = Literal["alive", "gone", "unknown"]

SCHEMA_VERSION = 1


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


def clash(one: Lease, other: Lease) -> bool:
    """Whether two leases share a slot or a port."""
    shared_port = set(one.ports.values()) & set(other.ports.values())
    return one.token != other.token and (one.slot == other.slot or bool(shared_port))

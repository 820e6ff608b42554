"""One repository's ledger: the file of its leases, its lock, and its rebuilding.

What holds here: the file is read inside the lock every time and replaced atomically; damaged bytes
are set aside, never overwritten; nothing outlives a call in memory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from adw_worktree.errors import LedgerError, LedgerTooNew, UnknownAdw, remedy
from adw_worktree.pool import registry
from adw_worktree.pool.document import DocumentDamaged, decode_leases, encode_leases
from adw_worktree.pool.env_header import load_header, vouches_for
from adw_worktree.pool.lease import Lease, ports_of
from adw_worktree.pool.place import Place
from adw_worktree.pool.receipts import has_receipt, load_receipt, write_receipt
from adw_worktree.repo.refs import head_branch
from adw_worktree.repo.repository import admin_directories, worktree_of_admin
from adw_worktree.settings.model import DEFAULT_ENV_FILE, Settings
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.faults import reached
from adw_worktree.system.locks import held
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir, is_symlink
from adw_worktree.system.sharing import make_directories

Leases = dict[str, Lease]


class Ledger(NamedTuple):
    """A ledger file, the lock beside it, and where its leases are found again if it is lost."""

    path: Path
    lock_path: Path
    lock_timeout: float
    notices: list[str]
    """Gets what a person should be told: that the ledger was damaged, or upgraded."""
    recover: Callable[[Path], Leases] = lambda path: {}
    """Return the leases that can be found without the file, which is lost from that path."""
    attach: Callable[[Leases], Leases] = lambda leases: leases
    """Return leases of the older shape with the worktrees that they belong to."""
    place: Place | None = None
    """Keeps the record of where the ledger is; None for one that has no record."""

    @contextmanager
    def locked(self) -> Iterator[Ledger]:
        """Hold the lock of this ledger, taken after the machine's, never before.

        Yields the ledger to work on: another process may have made the first one elsewhere.
        """
        with held(self.lock_path, self.lock_timeout, f"the ledger {self.path}"):
            path = None if self.place is None else self.place.ledger_now()
            yield self if path in (None, self.path) else self._replace(path=path)

    def peek(self) -> Leases | None:
        """Return the leases without the lock, or None if the file is not what we write.

        For reports, and for a first look that is repeated inside the lock.
        """
        try:
            data = self._read()
            leases, older = ({}, True) if data is None else self._decoded(data)
            return None if older else leases
        except DocumentDamaged:
            return None

    def load(self) -> Leases:
        """Return the leases; call it inside the lock.

        A missing ledger is rebuilt, a damaged one set aside and rebuilt, one in the older shape
        upgraded. Raises LedgerTooNew for a later version's, LedgerError if it cannot be read.
        """
        data = self._read()
        if data is None:
            leases = self.recover(self.path)
            if leases:
                with suppress(LedgerError):  # where nothing can be written, looking still works
                    self.commit(leases)
            return leases
        try:
            leases, older = self._decoded(data)
        except DocumentDamaged as exc:
            leases = self.recover(self.path)  # first: if that cannot be now, nothing has changed
            aside = self._set_aside(".corrupt-")
            self.notices.append(
                f"the ledger {self.path} was damaged ({exc}); it is kept as {aside.name}; "
                f"leases rebuilt from the worktrees: {len(leases)}"
            )
            self.commit(leases)
            return leases
        if older:
            leases = self._upgraded(leases)
            self.notices.append(f"the ledger {self.path} was upgraded from the older shape")
            self.commit(leases)
        return leases

    def _upgraded(self, older: Leases) -> Leases:
        """Return the leases of a file in the older shape, and those that it has forgotten.

        An older version may have written over a ledger of ours; an empty object says nothing.
        """
        leases = self.recover(self.path)
        for lease in self.attach(older).values():
            _add(leases, lease)
        return leases

    def commit(self, leases: Mapping[str, Lease]) -> None:
        """Replace the file; call it inside the lock. Raises LedgerError, the old file whole.

        Without leases, a missing directory stays missing: a repository that is just being deleted
        would not become empty.
        """
        if not leases and not is_dir(self.path.parent):
            return
        if self.place is not None:
            self.place.record(self.path)
        try:
            if not is_dir(self.path.parent):
                make_directories(self.path.parent, like=self.lock_path.parent)
                reached("ledger.directory")
            write_atomically(self.path, encode_leases(leases.values()), shared=True)
        except OSError as exc:
            raise LedgerError(
                f"the ledger {self.path} cannot be written: {exc.strerror}",
                hint=remedy(exc, self.path.parent),
            ) from exc

    def _decoded(self, data: bytes) -> tuple[Leases, bool]:
        """Return what `decode_leases` does; its LedgerTooNew names the file."""
        try:
            return decode_leases(data)
        except LedgerTooNew as exc:
            raise LedgerTooNew(
                f"the ledger {self.path} cannot be used: {exc.message}", hint=exc.hint
            ) from exc

    def _read(self) -> bytes | None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            if is_symlink(self.path):
                raise self._out_of_place("it is a symbolic link") from exc
            raise LedgerError(
                f"the ledger {self.path} cannot be read: {exc.strerror}",
                hint=remedy(exc, self.path.parent),
            ) from exc
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._out_of_place("it is no regular file")
        with open(descriptor, "rb") as file:
            return file.read()

    def _out_of_place(self, reason: str) -> LedgerError:
        name = quote(str(self.path))
        return LedgerError(
            f"the ledger {self.path} cannot be read: {reason}",
            hint=f"mv {name} {name}.damaged (it is rebuilt from the worktrees then)",
        )

    def _set_aside(self, infix: str) -> Path:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self.path.with_name(f"{self.path.name}{infix}{now}")
        while os.path.lexists(aside):  # the clock was set back, or stands
            aside = aside.with_name(f"{aside.name}-{os.urandom(2).hex()}")
        try:
            self.path.rename(aside)
            reached("ledger.set-aside")
        except OSError as exc:
            raise LedgerError(
                f"the damaged ledger {self.path} cannot be set aside: {exc.strerror}",
                hint=remedy(exc, self.path.parent),
            ) from exc
        return aside


def recover_leases(
    common_dir: Path, settings: Settings, state_dir: Path, ledger_path: Path
) -> Leases:
    """Return the leases that can be found without the ledger.

    In this order of trust: the receipts in git's admin directories, the headers of the worktrees'
    env files, the registry's copy (for leases that never had a worktree, or whose receipts cannot
    be read). Last come worktrees whose directories are not where git has them: their slots may have
    been handed out since. Raises LedgerError if the registry's copy is there and cannot be read.
    """
    known = registry.remembered(state_dir, ledger_path, common_dir)
    of_admin = {lease.admin_id: lease for lease in known if lease.has_worktree}
    there: list[Lease] = []
    missing: list[Lease] = []
    for admin in admin_directories(common_dir / "worktrees"):
        lease = load_receipt(admin) or lease_of_env_file(admin, settings)
        if lease is None and has_receipt(admin):
            lease = of_admin.get(admin.name)
        if lease is not None:
            worktree = worktree_of_admin(admin)
            found = there if worktree is not None and is_dir(worktree) else missing
            found.append(lease._replace(admin_id=admin.name))
    reserved = [lease for lease in known if not lease.has_worktree]
    there.sort(key=lambda lease: (not names_slot(lease, settings), lease.allocated_at))
    leases: Leases = {}
    for lease in [*there, *reserved, *missing]:
        _add(leases, lease)
    return leases


def lease_of_env_file(admin: Path, settings: Settings) -> Lease | None:
    """Return the lease that the env file in the worktree of `admin` tells of, or None.

    A header that names another worktree is a copy and tells nothing.
    """
    worktree = worktree_of_admin(admin)
    if worktree is None:
        return None
    names = (settings.env_file, DEFAULT_ENV_FILE)  # a setting may come and go with the branch
    headers = [header for name in names if (header := load_header(worktree / name)) is not None]
    header = next((header for header in headers if header.worktree == admin.name), None)
    if header is None:
        return None
    lease = Lease(
        adw_id=header.adw_id,
        slot=header.slot,
        ports=ports_of(header.slot, settings.services),
        allocated_at=datetime.now(UTC),
        state="active",
        token=header.token,
    )
    return tied(lease, worktree, admin)


def names_slot(lease: Lease, settings: Settings) -> bool:
    """Whether the worktree's env file says what `lease` says: who of two claimants is right."""
    return lease.path is not None and vouches_for(Path(lease.path), lease, settings.env_file)


def tied(lease: Lease, worktree: Path, admin: Path) -> Lease:
    """Return `lease` bound to the worktree that is there now. Raises OSError if it is not."""
    found = worktree.stat()
    return lease._replace(
        path=str(worktree),
        admin_id=admin.name,
        branch=head_branch(admin),
        device=found.st_dev,
        inode=found.st_ino,
        home_device=admin.stat().st_dev,
    )


def attach_worktrees(common_dir: Path, leases: Leases) -> Leases:
    """Return leases of the older shape tied to the worktrees whose directories bear their ids."""
    attached = dict(leases)
    for admin in admin_directories(common_dir / "worktrees"):
        worktree = worktree_of_admin(admin)
        if worktree is None or worktree.name not in leases or load_receipt(admin) is not None:
            continue
        try:
            lease = tied(leases[worktree.name], worktree, admin)
            write_receipt(admin, lease)
        except OSError:
            continue  # it stays a lease without a worktree, which nothing frees by itself
        attached[lease.adw_id] = lease
    return attached


def _add(leases: Leases, lease: Lease) -> None:
    """Add `lease` unless its ADW id or slot is spoken for; reconciliation tells those apart."""
    if lease.adw_id not in leases and lease.slot not in slots_of(leases.values()):
        leases[lease.adw_id] = lease


def slots_of(leases: Iterable[Lease]) -> set[int]:
    """Return the slots that `leases` hold."""
    return {lease.slot for lease in leases}


def standing(leases: Leases, lease: Lease) -> Lease | None:
    """Return that very lease as it stands now, perhaps renamed; None if it stands no more."""
    present = leases.get(lease.adw_id)
    if present is not None and present.token == lease.token:
        return present
    return next((one for one in leases.values() if one.token == lease.token), None)


def require_standing(leases: Leases, lease: Lease) -> Lease:
    """Return that very lease as it stands now. Raises UnknownAdw if it stands no more."""
    present = standing(leases, lease)
    if present is None:
        raise UnknownAdw(
            f"the lease of {lease.adw_id} was released meanwhile", hint="adw-worktree reconcile"
        )
    return present


def replace_standing(leases: Leases, changed: Iterable[Lease]) -> UnknownAdw | None:
    """Replace leases by those of the same tokens in `changed`, keeping ids, slots and ports.

    Returns the error for one that stands no more.
    """
    lost: UnknownAdw | None = None
    for lease in changed:
        try:
            adw_id, slot, ports, *_ = require_standing(leases, lease)
        except UnknownAdw as exc:
            lost = exc
        else:
            leases[adw_id] = lease._replace(adw_id=adw_id, slot=slot, ports=ports)
    return lost

"""This host's part in a store: its lease, the tokens that wake it, and what it takes over.

What holds here: in a store that hosts share, nothing runs on a host whose lease is over. The lease
is renewed three times as often as it has to be; what ran on hosts whose leases are over is given to
others; and what was given to others meanwhile is ended here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from adw_worktree._version import __version__
from adw_worktree.errors import AdwError, Refused
from adw_worktree.orchestration.running.reporting import pass_on
from adw_worktree.orchestration.runs.far_logs import bring_logs
from adw_worktree.orchestration.runs.host_lease import forget_lease, note_lease, uptime
from adw_worktree.orchestration.runs.run_directory import run_directory
from adw_worktree.orchestration.store import hosts, logs
from adw_worktree.orchestration.store.attempts import awaits_slot, expire, slot_freed
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.records import attempts
from adw_worktree.orchestration.store.this_host import ThisHost, keep_this_host, this_host
from adw_worktree.orchestration.store.times import seconds_until
from adw_worktree.pool.registry import readable_entries
from adw_worktree.pool.wakeups import coordinator_bell
from adw_worktree.project import open_project
from adw_worktree.repo.known_by import known_by
from adw_worktree.settings.load import load_settings
from adw_worktree.settings.model import Settings
from adw_worktree.system.bells import ring
from adw_worktree.system.paths import is_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adw_worktree.orchestration.running.tokens import Tokens

_RENEWALS = 3
"""In a lease."""


class Membership:
    """This host among those that work on a store."""

    def __init__(self, state_dir: Path, database: Database, *, serves: bool) -> None:
        """Begin to work; `serves` says whether to start phases, or only to end what runs.

        Raises Refused if another machine has this host's name, StoreError, SettingsError.
        """
        self._state_dir, self._database = state_dir, database
        self._settings = load_settings(None)
        self._host = keep_this_host(state_dir, this_host(state_dir))
        self._tokens: Tokens | None = None
        serves = serves or not database.is_shared
        offer = _offer(state_dir, self._host, self._settings, whole=serves and database.is_shared)
        if database.is_shared:
            self._tokens = _tokens(self._settings, self.name, state_dir, serves=serves)
        try:
            self._renewed = uptime()
            hosts.register(database, offer, serves=serves)
            self._note_lease(self._renewed)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What this host is called."""
        return self._host.name

    def due_in(self) -> float | None:
        """Return the seconds until there is something to keep up; None if there never is."""
        if not self._database.is_shared:
            return None
        left = self._renewed + self._settings.lease / _RENEWALS - uptime()
        at = hosts.next_expiry(self._database, self.name)
        if at is not None:
            left = min(left, seconds_until(at, self._database.now()))
        return max(left, 0.0)

    def keep_up(self) -> None:
        """Renew the lease when it is time, and take over what nobody living sees to.

        Raises Refused if another machine has this host's name by now, StoreError.
        """
        if self._database.is_shared:
            if uptime() >= self._renewed + self._settings.lease / _RENEWALS:
                self._renew()
            expire(self._database)
        hosts.adopt_features(self._database, self.name)

    def pass_on_reports(self) -> None:
        """Leave what attempts have reported on other hosts for their runners here, once."""
        if not self._database.is_shared:
            return
        for one in hosts.running_on(self._database, self.name):
            run = run_directory(self._state_dir, one.token)
            if one.report is not None and is_dir(run.path):
                pass_on(self._database, run, one)

    def bring_wanted_logs(self) -> None:
        """Put those logs of attempts here into the store that somebody elsewhere wants."""
        if self._database.is_shared:
            for token in logs.wanted_of(self._database, self.name):
                self._bring_logs(token)

    def keep_logs(self, token: str, entries: Sequence[dict[str, Any]] = ()) -> None:
        """Put the logs of an attempt into the store if they are to be kept there.

        They are with the end of each stage, of which `entries` of the journal tell, and with the
        attempt's.
        """
        ended = not entries or any(one["kind"] == "stage.ended" for one in entries)
        if self._database.is_shared and self._settings.logs == "store" and ended:
            self._bring_logs(token)

    def _bring_logs(self, token: str) -> None:
        [attempt] = attempts(self._database, "token = ?", [token])
        with suppress(OSError):  # they are not in the way of the phase
            is_over = attempt.ended_at is not None
            bring_logs(self._database, self._state_dir, token, is_over=is_over)

    def fenced(self, tokens: Iterable[str]) -> set[str]:
        """Return those of the attempts that are over by the store, though they ran here."""
        if not self._database.is_shared:
            return set()
        return {*tokens} - {one.token for one in hosts.running_on(self._database, self.name)}

    def stop_serving(self) -> None:
        """Start nothing here any more, where others may; else the next one goes on.

        Raises StoreError.
        """
        if self._database.is_shared:
            hosts.stop_serving(self._database, self.name)

    def close(self) -> None:
        """Take no more tokens."""
        if self._tokens is not None:
            self._tokens.close()

    def _renew(self) -> None:
        asked_at = uptime()
        slots = _slots(self._state_dir, self._settings)
        if not hosts.renew(self._database, self.name, self._host.machine, slots):
            raise Refused(
                f"another machine works on this store as {self.name} by now",
                hint="give each its own name: adw-worktree work --name NAME",
            )
        self._renewed = asked_at
        self._note_lease(asked_at)
        if awaits_slot(self._database, self.name):
            slot_freed(self._database, self.name)  # or there is room on the disk again

    def _note_lease(self, asked_at: float) -> None:
        with suppress(OSError):  # on a full disk: what runs is ended with the lease before
            if self._database.is_shared:
                note_lease(self._state_dir, asked_at, self._settings.lease)
            else:
                forget_lease(self._state_dir)


def _tokens(settings: Settings, name: str, state_dir: Path, *, serves: bool) -> Tokens:
    """Begin to take tokens. Raises LibraryMissing, StoreError if they could not be heard of."""
    from adw_worktree.orchestration.store.libraries import require_library

    require_library("procrastinate")
    from adw_worktree.orchestration.running.tokens import Tokens

    url, bell = str(settings.store_listen or settings.store), coordinator_bell(state_dir)
    if serves:
        from adw_worktree.orchestration.store.listening import require_notifications

        require_notifications(url)
    return Tokens(url, name, lambda: ring(bell))


def _slots(state_dir: Path, settings: Settings) -> tuple[int, int]:
    """Return how many slots the machine's pool has, and how many of them are leased."""
    entries, _ = readable_entries(state_dir)
    return settings.slots, sum(len(entry.leases) for entry in entries)


def _offer(state_dir: Path, host: ThisHost, settings: Settings, *, whole: bool) -> hosts.Offer:
    """Return what this host says of itself; only the `whole` of it names its repositories."""
    return hosts.Offer(
        host.name,
        host.machine,
        settings.max_running_here,
        settings.lease,
        __version__,
        (*settings.labels, *host.labels),
        places_here(state_dir, host.repositories) if whole else None,
    )


def places_here(state_dir: Path, further: Sequence[str] = ()) -> dict[str, str]:
    """Return where each repository is that this machine knows, by what it is known by.

    `further` are main worktrees that the registry may not have. One that cannot be read, or has no
    remote, is not served.
    """
    entries, _ = readable_entries(state_dir)
    found = {}
    for place in [*(str(entry.common_dir) for entry in entries), *further]:
        with suppress(AdwError, OSError):
            project = open_project(Path(place))
            found[known_by(project.repo, project.settings.remote)] = str(project.repo.home)
    return found

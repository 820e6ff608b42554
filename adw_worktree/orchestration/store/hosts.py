"""The hosts that work on a store: who they are, until when their word holds, and what they have.

What holds here: on a server, a host's word holds until its lease is over, by the server's clock;
what it runs then counts as lost, and is run elsewhere. No lease is over before the server was up
for as long as it lasts: else a server that was away would make all hosts look dead. In a file there
is one host, and it needs no lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adw_worktree.errors import Refused, UnknownAdw
from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.events import append
from adw_worktree.orchestration.store.landings import IS_TO_LAND
from adw_worktree.orchestration.store.records import Attempt, Feature, attempts, features, select
from adw_worktree.orchestration.store.times import later
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Host(NamedTuple):
    """A host, as the store knows it."""

    name: str
    machine: str
    """What tells its state directory from that of another host with the same name."""
    serving: int
    """Whether it starts phases."""
    drained: int
    """Whether a person wants it to start none."""
    most_here: int | None
    """How many phases may run there at once; None: as many as anywhere."""
    lease_seconds: float
    lease_until: str | None
    """Until when its word holds; None in a file."""
    heard_at: str
    version: str
    slots: int | None
    slots_leased: int | None


class Offer(NamedTuple):
    """What a host says of itself when it begins to work."""

    name: str
    machine: str
    most_here: int | None
    lease_seconds: float
    version: str
    labels: Sequence[str] = ()
    places: Mapping[str, str] | None = None
    """Where each repository is that it has, by what that is known by; None: as it said before."""


def hosts(database: Database) -> list[Host]:
    """Return all hosts, by name."""
    return [Host(*row) for row in select(database, "hosts", Host, "1 = 1", [], "name")]


def known_host(database: Database, name: str) -> Host | None:
    """Return the host of that name, None if the store knows none."""
    found = select(database, "hosts", Host, "name = ?", [name], "name")
    return Host(*found[0]) if found else None


def find_host(database: Database, name: str) -> Host:
    """Return the host of that name. Raises UnknownAdw."""
    host = known_host(database, name)
    if host is None:
        raise UnknownAdw(f"no host {name!r} works on this store", hint="adw-worktree worker list")
    return host


def labels_of(database: Database) -> dict[str, list[str]]:
    """Return the labels of each host that has any."""
    found: dict[str, list[str]] = {}
    for host, label in database.execute("SELECT host, label FROM host_labels ORDER BY host, label"):
        found.setdefault(str(host), []).append(str(label))
    return found


# ---- coming and going --------------------------------------------------------------------------


def register(database: Database, offer: Offer, *, serves: bool) -> None:
    """Let a host work on the store from now on, or go on with it.

    If it does not serve, and did not before, it takes in what it ran, and starts nothing. Raises
    Refused if another machine works under that name.
    """
    with database.transaction():
        present = known_host(database, offer.name)
        if present is None:
            _insert(database, offer)
            _tell(database, "host.added", offer.name)
        elif present.machine != offer.machine and database.is_shared:
            _require_gone(database, present)
        serving = serves or (present is not None and bool(present.serving))
        database.execute(
            "UPDATE hosts SET machine = ?, serving = ?, most_here = ?, lease_seconds = ?,"
            " version = ? WHERE name = ?",
            [offer.machine, int(serving), offer.most_here, offer.lease_seconds, offer.version,
             offer.name],
        )  # fmt: skip
        _renew(database, offer.name, offer.lease_seconds)
        _note_what_it_has(database, offer)
        if not database.is_shared:
            # A file has one host, whatever that was called when it was written.
            database.execute("UPDATE attempts SET host = ? WHERE ended_at IS NULL", [offer.name])
        if present is not None and serving and not present.serving:
            _tell(database, "host.serving", offer.name)


def _insert(database: Database, offer: Offer) -> None:
    database.execute(
        "INSERT INTO hosts (name, machine, serving, lease_seconds, heard_at, version)"
        " VALUES (?, ?, 0, ?, ?, ?)",
        [offer.name, offer.machine, offer.lease_seconds, database.now(), offer.version],
    )


def _tell(database: Database, kind: str, host: str) -> None:
    """Append an event of a host; in a file there is one, and nothing to be told of it."""
    if database.is_shared:
        append(database, kind, data={"host": host})


def _require_gone(database: Database, present: Host) -> None:
    if present.lease_until is not None and present.lease_until > database.now():
        raise Refused(
            f"another machine works on this store as {present.name}, and was heard of at "
            f"{present.heard_at}",
            hint="give each its own name: adw-worktree work --name NAME",
        )


def _note_what_it_has(database: Database, offer: Offer) -> None:
    database.execute("DELETE FROM host_labels WHERE host = ?", [offer.name])
    for label in sorted({*offer.labels}):
        database.execute("INSERT INTO host_labels VALUES (?, ?)", [offer.name, label])
    if offer.places is None:
        return
    database.execute("DELETE FROM host_repositories WHERE host = ?", [offer.name])
    for repository, place in offer.places.items():
        database.execute(
            "INSERT INTO host_repositories VALUES (?, ?, ?)", [offer.name, repository, place]
        )


def rename_adder(database: Database, before: str, name: str) -> None:
    """Let features be of a host by the name that it has from now on, which were added here."""
    if name == before:
        return
    with database.transaction():
        for feature in features(database, "added_on = ?", [before]):
            if is_dir(Path(feature.place)):
                database.execute(
                    "UPDATE features SET added_on = ? WHERE id = ?", [name, feature.id]
                )


def stop_serving(database: Database, name: str) -> None:
    """Start nothing on a host any more; what runs goes on."""
    with database.transaction():
        database.execute("UPDATE hosts SET serving = 0 WHERE name = ?", [name])
        _tell(database, "host.stopped", name)


def set_drained(database: Database, name: str, *, drained: bool) -> Host:
    """Have a host start nothing until a person wants it to, or start again. Raises UnknownAdw."""
    with database.transaction():
        host = find_host(database, name)
        if bool(host.drained) != drained:
            database.execute("UPDATE hosts SET drained = ? WHERE name = ?", [int(drained), name])
            _tell(database, "host.drained" if drained else "host.resumed", name)
        return find_host(database, name)


def forget(database: Database, name: str) -> None:
    """Take a host out of the store that will not come back. Raises UnknownAdw, Refused."""
    with database.transaction():
        host = find_host(database, name)
        if running_on(database, name) or (host.lease_until or "") > database.now():
            raise Refused(
                f"{name} works, or its lease is not over", hint=f"adw-worktree worker drain {name}"
            )
        for table in ("host_labels", "host_repositories"):
            database.execute(f"DELETE FROM {table} WHERE host = ?", [name])
        database.execute("UPDATE features SET host = NULL WHERE host = ?", [name])
        database.execute("DELETE FROM hosts WHERE name = ?", [name])
        _tell(database, "host.removed", name)


# ---- leases ------------------------------------------------------------------------------------


def renew(database: Database, name: str, machine: str, slots: tuple[int, int] | None) -> bool:
    """Let a host's word hold for another lease; return whether the name is still its own.

    `slots` are those of its pool, and how many of them are leased.
    """
    with database.transaction():
        present = known_host(database, name)
        if present is None or present.machine != machine:
            return False
        _renew(database, name, present.lease_seconds)
        if slots is not None:
            database.execute(
                "UPDATE hosts SET slots = ?, slots_leased = ? WHERE name = ?", [*slots, name]
            )
        return True


def _renew(database: Database, name: str, seconds: float) -> None:
    at = database.now()
    until = later(at, seconds) if database.is_shared else None
    database.execute(
        "UPDATE hosts SET lease_until = ?, heard_at = ? WHERE name = ?", [until, at, name]
    )


def running_on(database: Database, host: str) -> list[Attempt]:
    """Return the attempts on `host` that have not ended."""
    return attempts(database, "host = ? AND ended_at IS NULL", [host])


def gone(database: Database) -> list[str]:
    """Return the hosts with attempts whose leases are over; inside a transaction."""
    if not database.is_shared:
        return []
    at = database.now()
    rows = database.execute(
        "SELECT h.name, h.lease_seconds FROM hosts h WHERE h.lease_until <= ? AND EXISTS"
        " (SELECT 1 FROM attempts a WHERE a.host = h.name AND a.ended_at IS NULL)",
        [at],
    )
    up_since = _up_since(database) if rows else ""
    return [str(name) for name, lease in rows if later(up_since, float(str(lease))) <= at]


def next_expiry(database: Database, host: str) -> str | None:
    """Return when the first lease of another host ends that has attempts; None if none does."""
    if not database.is_shared:
        return None
    rows = database.execute(
        "SELECT h.lease_until, h.lease_seconds FROM hosts h WHERE h.name <> ?"
        " AND h.lease_until IS NOT NULL AND EXISTS"
        " (SELECT 1 FROM attempts a WHERE a.host = h.name AND a.ended_at IS NULL)",
        [host],
    )
    up_since = _up_since(database) if rows else ""
    ends = [max(str(until), later(up_since, float(str(lease)))) for until, lease in rows]
    return min(ends, default=None)


def _up_since(database: Database) -> str:
    [[at]] = database.execute(
        "SELECT to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC',"
        ' \'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"\')'
    )
    return str(at)


# ---- features ----------------------------------------------------------------------------------


def adopt_features(database: Database, host: str) -> None:
    """Let a host do what is due for whole features that no living host does it for.

    That is landing, verifying, and telling of what happened to them.
    """
    where = (
        "(host IS NULL OR (host <> ? AND NOT EXISTS (SELECT 1 FROM hosts o WHERE o.name ="
        " features.host AND o.serving = 1 AND o.lease_until > ?)))"
        " AND EXISTS (SELECT 1 FROM hosts h WHERE h.name = ? AND h.serving = 1)"
        " AND (added_on IS NULL OR added_on = ? OR repository IN"
        " (SELECT repository FROM host_repositories WHERE host = ?))"
        f" AND (verify_at IS NOT NULL OR ({IS_TO_LAND})"
        " OR id IN (SELECT feature_id FROM deliveries WHERE pending = 1))"
    )
    values = [host, database.now(), host, host, host]
    if database.execute(f"SELECT 1 FROM features WHERE {where} LIMIT 1", values):
        with database.transaction():
            database.execute(f"UPDATE features SET host = ? WHERE {where}", [host, *values])


def place_on(database: Database, feature: Feature, host: str) -> Feature:
    """Return the feature with its repository's place on a host, where that has it."""
    if feature.added_on in (None, host):
        return feature
    found = database.execute(
        "SELECT place FROM host_repositories WHERE host = ? AND repository = ?",
        [host, feature.repository],
    )
    return feature._replace(place=str(found[0][0])) if found else feature

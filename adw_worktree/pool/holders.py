"""Who holds what: leases with their repositories, blocked slots, and the word when none is left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import attrgetter, methodcaller
from pathlib import Path
from shlex import quote

from adw_worktree.errors import PoolExhausted, SlotUnavailable, UsageError
from adw_worktree.pool.lease import Lease, clash, ports_of
from adw_worktree.pool.verdict import Standing, judge
from adw_worktree.settings.model import Settings
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_dir
from adw_worktree.system.ports import busy_ports, listeners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adw_worktree.pool.lease import Verdict

_AGED_HOURS = 24


class Holding(NamedTuple):
    """A lease and the ledger it stands in."""

    lease: Lease
    ledger: Path
    common_dir: Path | None
    standing: Standing | None = None
    """How it stands, for reports."""

    @property
    def repository(self) -> str:
        """The repository's directory as people know it."""
        place = self.common_dir or self.ledger
        return str(place.parent if place.name == ".git" else place)


def clashes(holdings: Sequence[Holding]) -> Iterator[tuple[Holding, Holding]]:
    """Yield every two that share a slot or a port."""
    holders: dict[tuple[str, int], list[Holding]] = {}
    seen = set()
    for holding in holdings:
        lease = holding.lease
        keys = [("slot", lease.slot), *(("port", port) for port in lease.ports.values())]
        for key in keys:
            for other in holders.setdefault(key, []):
                pair = (other.lease.token, lease.token)
                if clash(other.lease, lease) and pair not in seen:
                    seen.add(pair)
                    yield other, holding
            holders[key].append(holding)


def blocked_slots(settings: Settings, holdings: Iterable[Holding]) -> dict[int, list[int]]:
    """Return the slots that nobody leases but whose ports (given) some process holds."""
    holdings = list(holdings)
    taken = {holding.lease.slot for holding in holdings}
    free = [slot for slot in range(settings.slots) if slot not in taken]
    ports = {slot: list(ports_of(slot, settings.services).values()) for slot in free}
    busy = busy_ports(port for wanted in ports.values() for port in wanted)
    found = {slot: [port for port in wanted if port in busy] for slot, wanted in ports.items()}
    return {slot: busy_here for slot, busy_here in found.items() if busy_here}


def free_slots(
    settings: Settings, held: Sequence[Lease], doubtful: Collection[int]
) -> Iterator[int]:
    """Yield the slots that are nobody's and have free ports, those in doubt last.

    Each counts as held from then on.
    """
    taken = set(map(attrgetter("slot"), held))
    ports_held = map(methodcaller("values"), map(attrgetter("ports"), held))
    taken_ports: set[int] = set(chain.from_iterable(ports_held))
    free = [slot for slot in range(settings.slots) if slot not in taken]
    for slot in sorted(free, key=doubtful.__contains__) if doubtful else free:
        ports = set(ports_of(slot, settings.services).values())
        if not ports & taken_ports and not busy_ports(ports):
            taken_ports |= ports
            yield slot


def require_available(slot: int, settings: Settings, holdings: Iterable[Holding]) -> None:
    """Raise SlotUnavailable unless `slot` is in the pool, leased to nobody, its ports free."""
    if not 0 <= slot < settings.slots:
        raise SlotUnavailable(
            f"slot {slot} is outside the pool", hint=f"choose 0 to {settings.slots - 1}"
        )
    ports = set(ports_of(slot, settings.services).values())
    hint = "adw-worktree status"
    for holding in holdings:
        if holding.lease.slot == slot or set(holding.lease.ports.values()) & ports:
            who = f"{holding.lease.adw_id} in {holding.repository}"
            raise SlotUnavailable(f"slot {slot} is leased to {who}", hint=hint)
    for port in sorted(busy_ports(ports)):
        raise SlotUnavailable(f"slot {slot}: another process holds port {port}", hint=hint)


def another_slot(lease: Lease, wanted: int, *, making: bool) -> UsageError:
    """Return the error of asking for a slot beside the one that `lease` has.

    `making` says that a worktree was asked for.
    """
    give_back = "remove" if lease.has_worktree else "release"
    branch = "" if lease.branch in (None, lease.adw_id) else f" --branch {quote(str(lease.branch))}"
    making = making or lease.has_worktree
    again = f"create {lease.adw_id}{branch}" if making else f"reserve {lease.adw_id}"
    return UsageError(
        f"{lease.adw_id} has slot {lease.slot}, not {wanted}",
        hint=f"adw-worktree {give_back} {lease.adw_id} && adw-worktree {again} --slot {wanted}",
    )


def exhausted(
    settings: Settings,
    holdings: Sequence[Holding],
    blocked: Mapping[int, list[int]] | None = None,
) -> PoolExhausted:
    """Return the error that names every holder and every blocked slot, looked for if not given."""
    blocked = blocked_slots(settings, holdings) if blocked is None else blocked
    holdings = sorted(holdings, key=lambda holding: holding.lease.slot)
    lines = [f"Port pool exhausted: none of the {settings.slots} slots is free"]
    lines += [f"  slot {holding.lease.slot}: {_describe(holding)}" for holding in holdings]
    holders = {port: one.lease.adw_id for one in holdings for port in one.lease.ports.values()}
    for slot in sorted(set(range(settings.slots)) - {one.lease.slot for one in holdings}):
        for port in sorted(ports_of(slot, settings.services).values()):
            if port in holders:  # of other bases
                lines.append(f"  slot {slot}: port {port} is leased to {holders[port]}")
    found = listeners([port for ports in blocked.values() for port in ports]) if blocked else {}
    for slot, ports in sorted(blocked.items()):
        for port in ports:
            who = [f"{one.command} (pid {one.pid})" for one in found.get(port, [])]
            lines.append(f"  slot {slot}: port {port} is held by {', '.join(who) or 'a process'}")
    return PoolExhausted("\n".join(lines), hint=_best_release(settings, holdings))


def _describe(holding: Holding) -> str:
    lease = holding.lease
    age = datetime.now(UTC) - lease.allocated_at
    place = lease.path or "no worktree"
    return (
        f"{lease.adw_id} in {holding.repository}, {_hours(age)} old, {_verdict(holding)}, {place}"
    )


def _verdict(holding: Holding) -> Verdict:
    return judge(holding.lease, holding.common_dir).verdict if holding.common_dir else "unknown"


def _hours(age: timedelta) -> str:
    hours = max(0.0, age.total_seconds() / 3600)  # a clock may have been set back
    if hours < 1:
        return f"{max(1, hours * 60):.0f} min"
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} h"


def _best_release(settings: Settings, holdings: Iterable[Holding]) -> str:
    """Return the command that would free the most of this pool: aged reservations, or the oldest.

    What cannot be reached can be freed by no command.
    """
    slots = range(settings.slots)
    ports = {port for slot in slots for port in ports_of(slot, settings.services).values()}
    useful = [
        one for one in holdings if one.lease.slot in slots or ports & set(one.lease.ports.values())
    ]
    if not useful:
        return "end the processes that hold the ports, or set other bases with the setting services"
    if all(one.common_dir is None for one in useful):
        return f"give one back: PortPool({str(useful[0].ledger)!r}).release(ADW_ID)"
    reachable = [one for one in useful if is_dir(Path(one.repository))]
    aged = [one for one in reachable if is_aged(one.lease, timedelta(hours=_AGED_HOURS))]
    if aged:
        many = "1 reservation" if len(aged) == 1 else f"{len(aged)} reservations"
        return f"adw-worktree reconcile --all --max-age {_AGED_HOURS} (releases {many})"
    for one in sorted(reachable, key=lambda one: one.lease.allocated_at):
        give_back = "remove" if one.lease.has_worktree else "release"
        if give_back == "release" or _verdict(one) == "alive":
            there = quote(one.repository)
            return f"adw-worktree -C {there} {give_back} {one.lease.adw_id} (the oldest)"
    return "bring back what is out of sight, or raise the setting slots"


def is_aged(lease: Lease, max_age: timedelta) -> bool:
    """Whether `lease` has no worktree and is older than `max_age`."""
    # A time in the future tells only that a clock was set back: just leased, as far as we know.
    age = max(datetime.now(UTC) - lease.allocated_at, timedelta())
    return not lease.has_worktree and age >= max_age

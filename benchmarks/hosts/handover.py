"""From the last instruction of a phase to the first of the next one's, on the same host or another.

The command of a phase writes the time when it begins and when it ends, by one clock: all hosts are
on this machine.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.features import phase, statuses, write_feature
from tests.support.hosts import Host
from tests.support.machine import settle

from .room import working

_WORK = "echo $ADW_ID >$ADW_ID; git add $ADW_ID; git commit -qm $ADW_ID"
_HOSTS = 5
_LASTS = "sleep 0.5"
"""Phases take minutes: what one leaves to be tidied up is not to meet the end of the next."""


def handovers(scratch: Path, length: int) -> dict[str, list[float]]:
    """Return the seconds of each handover, for chains on one host, across hosts, with commits."""
    with working(scratch, _HOSTS, most=_HOSTS) as hosts:
        return {
            "on the same host, worktree there": _chain(hosts[:1], "same", length, scratch),
            "to another host, worktree there": _chain(hosts, "across", length, scratch),
            "on the same host, new worktree": _chain(
                hosts[:1], "same-new", length, scratch, there=False
            ),
            "to another host, new worktree": _chain(
                hosts, "across-new", length, scratch, there=False
            ),
            "to another host, with a commit to fetch": _chain(
                hosts, "commits", length, scratch, work=_WORK, there=False
            ),
        }


def _chain(
    hosts: list[Host],
    slug: str,
    length: int,
    scratch: Path,
    work: str | None = None,
    *,
    there: bool = True,
) -> list[float]:
    """Run a chain of phases, each on the next of the hosts; return the seconds between them.

    With `work`, each makes a commit; `there`: in worktrees that are there already.
    """
    host = hosts[0]
    log = scratch / f"{slug}.log"
    stamp = f"date '+{{}} %s.%N' >>{log}"
    phases = []
    for number in range(1, length + 1):
        commands = [stamp.format(f"{number} began"), *([work] if work else []), _LASTS,
                    stamp.format(f"{number} ended")]  # fmt: skip
        phases.append(
            phase(
                number,
                "; ".join(commands),
                needs=[number - 1] if number > 1 else [],
                changes="commits" if work else "none",
            )
            | {"needs": [hosts[number % len(hosts)].name]}
        )
        if there:
            hosts[number % len(hosts)]("create", f"{slug}-p{number}")
    host("feature", "start", str(write_feature(host, slug, *phases)), "--yes")
    for _ in range(10):
        try:
            settle(lambda: {*statuses(host, slug).values()} == {"completed"}, "not yet")
            break
        except AssertionError:
            continue
    times = {}
    for line in log.read_text().splitlines():
        which, what, at = line.split()
        times[int(which), what] = float(at)
    return [times[number + 1, "began"] - times[number, "ended"] for number in range(1, length)]

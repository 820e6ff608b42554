"""docs/benchmarks-hosts.md, from what was measured; pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ..measure import percentile
from ..report import milliseconds

_HANDOVER = """
Five workers, one PostgreSQL server that waits for its disk, chains of {length} phases, half a
second each. From the
last instruction of a phase's command to the first of the next one's: the attempt's end, its
transaction, the token, the claim, the new worktree, the shell. With a commit also the merge, the
push to the remote and the fetch of the next host; the remote is a directory on this machine."""
_WAKEUPS = """
From the beginning of a commit to the call in another thread that it leads to, taken in turns of
{wakeups}. procrastinate fetches a job, runs its task and ends the job; a bare notification is a
line on a socket."""
_TRANSITIONS = """
Workers that do nothing but end attempts and claim the next ones, as fast as they can: an end with
the claim in its place is one transaction, and waits for its disk once. The load is in processors,
of the server's processes and of the workers'. All of it runs on this machine."""


def document(results: Mapping[str, Any]) -> str:
    """Return the page."""
    parts = [
        "# Benchmarks of many hosts",
        "`nox -s bench-hosts` measures this, on this machine: "
        + ", ".join(f"{name} {value}" for name, value in results["machine"].items())
        + ".",
        *(["**A quick run, to see that everything works.**"] if results["quick"] else []),
        "## From an end to the next start",
        _one_line(_HANDOVER.format(**results["plan"])),
        _times("", results["handovers"]),
        "## The wake-up alone",
        _one_line(_WAKEUPS.format(**results["plan"])),
        _times("", results["wakeups"]),
        "## Transitions",
        _one_line(_TRANSITIONS),
        _transitions(results["transitions"]),
        _PAPER.strip(),
    ]
    return "\n\n".join(parts) + "\n"


_PAPER = """
## What the next bottleneck is

The gate: all writers of a store wait for one row, so that the limit, the order and the events are
those of one machine. A transition holds it for as long as its statements and its commit take. More
workers do not make more transitions a second; they wait for each other. What waits is the phases'
next start, never what runs.

Phases of agents last minutes. At 10 minutes each, 1,000 running phases make two transitions a
second: a small part of what the gate lets through here.

## What 1,000 hosts would need, on paper

- **Connections**: three for each host (the coordinator's, procrastinate's two) and one for each
  runner that ships, for a moment. 1,000 hosts need 3,000 to 4,000: pgbouncer in transaction mode
  for `store`, and direct connections for `store_listen` alone, which are idle.
- **Leases**: a renewal each 100 s a host is ten transactions a second, each of a few milliseconds.
- **Wake-ups**: a token goes to each host that could start something. With a free place and a phase
  that suits all, that is 1,000 rows in the transaction that makes it ready. Then it pays to wake as
  many hosts as there are phases, at random, and to leave the rest to the minute's look.
- **The gate**: with short phases it is the first to be full. It can be split by repository, with a
  limit for each: features of two repositories have nothing in common but the limit.
- **The remote**: each phase that lands is one push, each that starts one or two looks. A forge's
  limits are met before PostgreSQL's: a mirror near the hosts takes the looks.
"""


def _times(head: str, rows: Mapping[str, Sequence[float]]) -> str:
    lines = [f"| {head} | p50 | p95 | p99 | max | of |", "|---|--:|--:|--:|--:|--:|"]
    for name, found in rows.items():
        lines.append(f"| {name} | {' | '.join(_figures(found))} | {len(found)} |")
    return "\n".join(lines)


def _figures(found: Sequence[float]) -> list[str]:
    shown = (
        statistics.median(found), percentile(found, 0.95), percentile(found, 0.99), max(found)
    )  # fmt: skip
    return [f"{milliseconds(one)} ms" for one in shown]


def _transitions(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| running | workers | transitions/s | p50 | p95 | p99 | max | server | workers |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['running']} | {row['workers']} | {row['rate']:.0f} |"
            f" {' | '.join(_figures(row['seconds']))} |"
            f" {row['server_load']:.2f} | {row['workers_load']:.2f} |"
        )
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())

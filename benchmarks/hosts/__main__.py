"""`python -m benchmarks.hosts`: measure many hosts, and write the page about them."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..machine import describe, say
from . import page
from .handover import handovers
from .transitions import transitions
from .wakeups import wakeups


class Plan(NamedTuple):
    """How much is measured."""

    length: int = 80
    wakeups: int = 200
    workers: tuple[int, ...] = (1, 5, 20)
    running: tuple[int, ...] = (10, 100, 1000)
    seconds: float = 15.0


_ROWS = ("handovers", "wakeups", "transitions")
QUICK = Plan(6, 10, (1, 2), (5,), 4.0)


def main() -> None:
    """Measure, and write figures and page."""
    parser = ArgumentParser(prog="python -m benchmarks.hosts", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="see that everything works")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: docs")
    parser.add_argument(
        "--only", choices=_ROWS, action="append", help="measure this anew, keep the rest"
    )
    args = parser.parse_args()
    out = args.out or (
        Path(tempfile.mkdtemp(prefix="adw-bench-"))
        if args.quick
        else Path(__file__).resolve().parents[2] / "docs"
    )
    file = out / "benchmarks-hosts.json"
    results = {"quick": args.quick, **measured(QUICK if args.quick else Plan(), args.only or _ROWS)}
    if args.only:
        results = {**json.loads(file.read_text(encoding="utf-8")), **results}
    file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    written = out / "benchmarks-hosts.md"
    written.write_text(page.document(results), encoding="utf-8")
    say(f"wrote {written}")


def measured(plan: Plan, rows: Sequence[str]) -> dict[str, Any]:
    """Return what was measured, as plain data."""
    found: dict[str, Any] = {
        "schema_version": 1,
        "machine": describe(Path.cwd()),
        "plan": plan._asdict(),
    }
    for row in rows:
        say(f"measuring {row}")
        if row == "handovers":
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
                chains = handovers(Path(scratch), plan.length)
            found[row] = {name: _rounded(seconds) for name, seconds in chains.items()}
        elif row == "wakeups":
            found[row] = {name: _rounded(all_) for name, all_ in wakeups(plan.wakeups).items()}
        else:
            taken = transitions(plan.workers, plan.running, plan.seconds)
            found[row] = [{**one._asdict(), "seconds": _rounded(one.seconds)} for one in taken]
    return found


def _rounded(seconds: list[float]) -> list[float]:
    return [round(one, 5) for one in seconds]


if __name__ == "__main__":
    main()

"""`python -m benchmarks.board`: measure the board, and write the page about it."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NamedTuple

from ..machine import describe, say
from . import page
from .load import load
from .pixels import pixels


class Plan(NamedTuple):
    """How much is measured."""

    browsers: tuple[int, ...] = (1, 20)
    phases: int = 100
    events: int = 100
    gap: float = 0.5
    users: tuple[int, ...] = (10, 100)
    seconds: float = 120.0
    features: int = 1000


QUICK = Plan((1, 2), 10, 5, 0.2, (2,), 3.0, 20)


def main() -> None:
    """Measure, and write figures and page."""
    parser = ArgumentParser(prog="python -m benchmarks.board", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="see that everything works")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: docs")
    args = parser.parse_args()
    out = args.out or (
        Path(tempfile.mkdtemp(prefix="adw-bench-"))
        if args.quick
        else Path(__file__).resolve().parents[2] / "docs"
    )
    results = {"quick": args.quick, **measured(QUICK if args.quick else Plan())}
    (out / "benchmarks-board.json").write_text(json.dumps(results, indent=1) + "\n")
    written = out / "benchmarks-board.md"
    written.write_text(page.document(results), encoding="utf-8")
    say(f"wrote {written}")


def measured(plan: Plan) -> dict[str, Any]:
    """Return what was measured, as plain data."""
    say("measuring pixels")
    shown = {}
    for count in plan.browsers:
        with tempfile.TemporaryDirectory() as scratch:
            found = pixels(Path(scratch), count, plan.phases, plan.events, plan.gap)
            shown[str(count)] = [round(one, 4) for one in found]
    say("measuring load")
    loads = {}
    for count in plan.users:
        with tempfile.TemporaryDirectory() as scratch:
            one = load(Path(scratch), count, plan.seconds, plan.features)
        seconds = {what: [round(each, 4) for each in all_] for what, all_ in one.seconds.items()}
        loads[str(count)] = {
            "seconds": seconds,
            "statements": [round(each, 5) for each in one.statements],
            "failed": one.failed,
            "memory": one.memory,
        }
    return {
        "schema_version": 1,
        "machine": describe(Path.cwd()),
        "plan": plan._asdict(),
        "pixels": shown,
        "loads": loads,
    }


if __name__ == "__main__":
    main()

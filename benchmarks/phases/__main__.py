"""`python -m benchmarks.phases`: measure phases, and write the page about them.

`nox -s bench-phases` runs this. On a disk, unlike the rest: each end of a phase is one write that
has to be there after a power cut.
"""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs

from .. import charts
from ..machine import describe, say
from ..measure import Scene, as_data, from_data
from . import page, rows

ROWS: dict[str, Callable[[Path, rows.Plan, Path], list[Scene]]] = {
    "handover": rows.handover,
    "through": rows.through,
    "listing": rows.listing,
    "checking": rows.checking,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write figures, chart and page."""
    args = _arguments(argv)
    out = args.out or Path(__file__).resolve().parents[2] / "docs"
    file = out / "benchmarks-phases.json"
    if args.redraw:
        results = json.loads(file.read_text(encoding="utf-8"))
    else:
        results = measure(rows.QUICK if args.quick else rows.Plan(), args)
        if args.only:
            results = _in_place_of(json.loads(file.read_text(encoding="utf-8")), results)
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    scenes = from_data(results["scenes"])
    drawn = charts.draw(scenes, out / "benchmarks", ["handover"]) if charts.is_available() else []
    written = out / "benchmarks-phases.md"
    written.write_text(page.document(results, scenes, drawn), encoding="utf-8")
    print(written)
    return 0


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.phases", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="see that everything works")
    parser.add_argument(
        "--only", action="append", choices=[*ROWS, "idle"], help="measure this anew, keep the rest"
    )
    parser.add_argument("--redraw", action="store_true", help="measure nothing; report anew")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: docs")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="default: $TMPDIR")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where peers are installed")
    args = parser.parse_args(argv)
    if args.quick and args.out is None:
        # Figures of less than everything never stand in place of those of a full run.
        args.out = Path(tempfile.mkdtemp(prefix="adw-bench-"))
    return args


def measure(plan: rows.Plan, args: Namespace) -> dict[str, Any]:
    """Return what was measured, as plain data."""
    cache = (args.cache or platformdirs.user_cache_path("adw-worktree-bench")).absolute()
    cache.mkdir(parents=True, exist_ok=True)
    scenes: list[Scene] = []
    with tempfile.TemporaryDirectory(
        prefix="adw-bench-", dir=args.scratch, ignore_cleanup_errors=True
    ) as name:
        machine = describe(Path(name))
        for row, take in ROWS.items():
            if args.only and row not in args.only:
                continue
            say(f"measuring {row}")
            place = Path(name, row)
            place.mkdir()
            scenes += take(place, plan, cache)
        quiet = None
        if not args.only or "idle" in args.only:
            say("measuring nothing")
            quiet = asdict(rows.idle(Path(name), plan))
    return {
        "schema_version": 1,
        "quick": args.quick,
        "machine": machine,
        "scenes": as_data(scenes),
        "idle": quiet,
    }


def _in_place_of(before: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of before, with those that were measured anew in their places."""
    new = {scene["row"] for scene in measured["scenes"]}
    kept = [scene for scene in before["scenes"] if scene["row"] not in new]
    scenes = [*kept, *measured["scenes"]]
    return {**before, "scenes": scenes, "idle": measured["idle"] or before["idle"]}


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks`: measure, and write the report; `nox -s bench` runs this."""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs

from . import charts, report
from .machine import describe, say, scratch_directory
from .measure import Scene, as_data, from_data
from .peers import PEERS, Installed, install
from .rows.plan import QUICK, Plan
from .rows.table import ROWS
from .scenes import Workshop

CHECKOUT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the arguments ask for and write the report."""
    args = _arguments(argv)
    out = args.out or (Path(tempfile.mkdtemp(prefix="adw-bench-")) if args.partial else None)
    out = out or CHECKOUT / "docs"
    file = out / "benchmarks.json"
    if args.redraw:
        results = json.loads(file.read_text(encoding="utf-8"))
    else:
        results = measure(args)
        out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    scenes = from_data(results["scenes"])
    drawn: list[str] = []
    if charts.is_available():
        drawn = charts.draw(scenes, out / "benchmarks")
    else:
        say("no charts: matplotlib is not installed; pip install '.[bench]'")
    text = report.document(results, scenes, drawn)
    (out / "benchmarks.md").write_text(text, encoding="utf-8")
    print(out / "benchmarks.md")
    return 0


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="see that everything works")
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--sizes", metavar="N,N", help="files of the repositories")
    parser.add_argument("--repeat", type=int, metavar="N", help="rounds of everything")
    parser.add_argument("--no-peers", action="store_true", help="leave the other tools out")
    parser.add_argument("--redraw", action="store_true", help="measure nothing; report anew")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: docs, if all is measured")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="default: tmpfs, if any")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where peers are installed")
    args = parser.parse_args(argv)
    if args.repeat is not None and args.repeat < 1:
        parser.error("--repeat is 1 or more")
    try:
        args.sizes = [int(size) for size in args.sizes.split(",")] if args.sizes else None
    except ValueError:
        parser.error("--sizes is numbers with commas between them")
    # Figures of less than everything never stand in place of those of a full run.
    args.partial = not args.redraw and bool(
        args.quick or args.only or args.sizes or args.repeat or args.no_peers
    )
    return args


def measure(args: Namespace) -> dict[str, Any]:
    """Return what was measured, as plain data."""
    plan = _plan(args)
    names = args.only or list(ROWS)
    installed: list[Installed] = []
    if "create" in names and not args.no_peers:
        cache = args.cache or platformdirs.user_cache_path("adw-worktree-bench")
        for peer in PEERS:
            say(f"installing {peer.package}")
            installed.append(install(peer, cache.absolute()))
    scenes: list[Scene] = []
    with scratch_directory(args.scratch) as scratch:
        machine = describe(Path(scratch))
        for name in names:
            say(f"measuring {name}")
            shop_place = Path(scratch, name)
            shop_place.mkdir()
            scenes += ROWS[name](Workshop(shop_place), plan, installed)
    return {
        "schema_version": 1,
        "quick": args.quick,
        "machine": machine,
        "peers": [_told(one) for one in installed],
        "scenes": as_data(scenes),
    }


def _plan(args: Namespace) -> Plan:
    plan = QUICK if args.quick else Plan()
    if args.sizes:
        plan = replace(plan, sizes=args.sizes)
    return replace(plan, repeat=args.repeat) if args.repeat else plan


def _told(one: Installed) -> dict[str, str]:
    return {
        "name": one.peer.package,
        "registry": one.peer.registry,
        "version": one.version,
        "does": one.peer.does,
        "failed": one.failed,
    }


if __name__ == "__main__":
    sys.exit(main())

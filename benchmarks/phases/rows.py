"""What is measured of phases, a row each."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..machine import ADW, MARK, TOKEN, Room, say, settle
from ..measure import Failed, Scene, Timing, Way, interleave, rotated
from ..rows.plan import runs
from .chains import chains
from .engines.table import BARE, ENGINES, Engine
from .ours import feature_file, plan_document, python_in, repository, state_directory

_PYTHON = "python -c pass"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    gaps: int = 300
    rounds: int = 3
    phases: int = 1000
    counts: tuple[int, ...] = (1000, 10000)
    tasks: tuple[int, ...] = (10, 100, 1000)
    idle_seconds: float = 60.0
    repeat: int = 15


QUICK = Plan(gaps=6, rounds=1, phases=6, counts=(10,), tasks=(10,), idle_seconds=2.0, repeat=2)


def handover(scratch: Path, plan: Plan, cache: Path) -> list[Scene]:
    """Measure from a phase's last process to the next one's first, engines in turns."""
    sizes = sorted({running for engine in ENGINES for running in engine.running})
    return [_handover(scratch, plan, cache, running) for running in sizes]


def _handover(scratch: Path, plan: Plan, cache: Path, running: int) -> Scene:
    engines = [one for one in ENGINES if running in one.running]
    timings = {one.label: Timing(one.label) for one in engines}
    for turn in range(plan.rounds):
        for engine in rotated(engines, turn):
            timing = timings[engine.label]
            if timing.failed:
                continue
            say(f"  {running} running, round {turn + 1}: {engine.label}")
            gaps = max(running, round(plan.gaps / plan.rounds * engine.share))
            try:
                timing.seconds += _gaps(engine, scratch, cache, running, gaps)
            except Failed as exc:
                if not engine.may_fail:
                    raise
                timing.failed, timing.seconds = str(exc), []
    return Scene("handover", f"{running} running", list(timings.values()), BARE)


def _gaps(engine: Engine, scratch: Path, cache: Path, running: int, gaps: int) -> list[float]:
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as name:
        directory = Path(name)
        wanted = chains(directory, running, gaps)
        own = directory / "engine"
        own.mkdir()
        engine.run(wanted, own, cache)
        return wanted.gaps()


def through(scratch: Path, plan: Plan, _cache: Path) -> list[Scene]:
    """Measure how long many phases of `true` take, four at once."""
    room, repo = repository(_fresh(scratch))
    file = feature_file(scratch, [("true", [])] * plan.phases)
    begun = time.perf_counter()
    room.adw("feature", "start", str(file), "--yes", "--max-running", "4", cwd=repo)
    room.adw("work", "--until-idle", cwd=repo)
    timing = Timing("adw-worktree", [time.perf_counter() - begun], [settle()])
    return [Scene("through", f"{plan.phases:,} phases", [timing], "", plan.phases)]


def checking(scratch: Path, plan: Plan, _cache: Path) -> list[Scene]:
    """Measure `plan check`, beside what starting Python takes."""
    scenes = []
    for count in plan.tasks:
        room, repo = repository(_fresh(scratch))
        commands = {"plan check": ["plan", "check", plan_document(repo, count)]}
        timings = _beside_python(room, repo, plan, commands)
        scenes.append(Scene("checking", f"{count:,} tasks", timings, _PYTHON, count))
    return scenes


def listing(scratch: Path, plan: Plan, _cache: Path) -> list[Scene]:
    """Measure `phase list` and `feature list`, beside what starting Python takes."""
    scenes = []
    for count in plan.counts:
        room, repo = repository(_fresh(scratch))
        python_in(room, _ADD, str(state_directory(room)), str(repo), str(count))
        commands = {"phase list": ["phase", "list"], "feature list": ["feature", "list"]}
        timings = _beside_python(room, repo, plan, commands)
        scenes.append(Scene("listing", f"{count:,} phases", timings, _PYTHON, count))
    return scenes


def _beside_python(
    room: Room, repo: Path, plan: Plan, commands: Mapping[str, Sequence[str]]
) -> list[Timing]:
    """Measure commands of ours in turns with starting Python, as whole processes."""
    words = {_PYTHON: [sys.executable, "-c", "pass"],
             **{label: [*ADW, *command] for label, command in commands.items()}}  # fmt: skip
    ways = [Way(label, {"run": runs(room, repo, *command)}) for label, command in words.items()]
    return interleave(ways, plan.repeat, settle=settle)["run"]


_ADD = """
import sys
from pathlib import Path
from adw_worktree.orchestration.plan.feature_file import FeatureFile
from adw_worktree.orchestration.store.features import Origin, add_feature
from adw_worktree.orchestration.store.opening import open_store
from adw_worktree.orchestration.store.steering import pause_feature

state, place, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = open_store(state)
for start in range(0, count, 100):
    phases = [{"number": n, "title": f"Phase {n}", "run": "true"}
              for n in range(1, min(100, count - start) + 1)]
    document = {"slug": f"f{start}", "title": "A feature", "phases": phases}
    plan = FeatureFile.model_validate(document)
    add_feature(store, plan, Origin("0" * 40, place, "f.toml", "", "me"))
    pause_feature(store, plan.slug)
"""
"""Features that are paused: else a coordinator would be started, and run what is listed."""


@dataclass(frozen=True)
class Quiet:
    """What the processes of a coordinator did while nothing happened."""

    seconds: float
    running: int
    processes: int
    processor_seconds: float
    wakeups: int


def idle(scratch: Path, plan: Plan) -> Quiet:
    """Watch the coordinator and its runners while three phases run and nothing happens."""
    running = 3
    room, repo = repository(_fresh(scratch))
    file = feature_file(scratch, [(f"sleep {plan.idle_seconds + 20:g}", [])] * running)
    room.adw("feature", "start", str(file), "--yes", cwd=repo)
    _until(lambda: len(_with_words("sleep")) == running)
    time.sleep(3.0)  # what was begun with them is over
    watched = _with_words("work")
    before = [_used(one) for one in watched]
    time.sleep(plan.idle_seconds)
    after = [_used(one) for one in watched]
    room.adw("feature", "cancel", "bench", cwd=repo)
    settle()
    used = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True)]
    return Quiet(
        plan.idle_seconds,
        running,
        len(watched),
        sum(seconds for seconds, _ in used),
        sum(count for _, count in used),
    )


def _with_words(word: str) -> list[psutil.Process]:
    """Return the processes of this benchmark with a word in their command lines."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == TOKEN and word in process.cmdline():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _used(process: psutil.Process) -> tuple[float, int]:
    times, switches = process.cpu_times(), process.num_ctx_switches()
    return times.user + times.system, switches.voluntary + switches.involuntary


def _until(is_so: Callable[[], bool], most: float = 60.0) -> None:
    deadline = time.monotonic() + most
    while not is_so():
        if time.monotonic() > deadline:
            raise Failed("the phases never start")
        time.sleep(0.05)


def _fresh(scratch: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=scratch))

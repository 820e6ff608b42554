"""Features for tests: documents, started and waited for."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from adw_worktree.orchestration.store.database import Database
from adw_worktree.orchestration.store.hosts import Offer, register
from adw_worktree.orchestration.store.opening import open_store
from tests.support.command_line import Adw
from tests.support.machine import settle

COMMIT = "echo $ADW_PHASE >$ADW_ID; git add $ADW_ID; git commit -qm $ADW_ID"


def state_dir() -> Path:
    """Return the state directory of the test."""
    return Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree"


def store() -> Database:
    """Open the store of the test."""
    return open_store(state_dir())


def join(database: Database, name: str = "h", **more: Any) -> str:
    """Let a host work on the store; return its name."""
    offer = Offer(name, f"machine of {name}", None, more.pop("lease", 300.0), "0", **more)
    register(database, offer, serves=True)
    return name


def phase(number: int, *commands: str, needs: Sequence[int] = (), **more: Any) -> dict[str, Any]:
    """Return a phase; without commands it makes a commit."""
    return {
        "number": number,
        "title": f"Phase {number}",
        "run": list(commands or (COMMIT,)),
        "depends_on": [*needs],
        **more,
    }


def prompted(number: int, *needs: int, **more: Any) -> dict[str, Any]:
    """Return a phase that has a prompt."""
    return {"number": number, "title": f"Phase {number}", "prompt": f"Do part {number}.",
            "depends_on": [*needs], **more}  # fmt: skip


def only(agent: str, **more: Any) -> dict[str, Any]:
    """Return the phase 1, for one agent."""
    return prompted(1, agents=[agent], **more)


def write_feature(adw: Adw, slug: str, *phases: Mapping[str, Any], **more: Any) -> Path:
    """Write a feature file beside the repository; return it."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in
             {"slug": slug, "title": slug.title(), **more}.items()]  # fmt: skip
    for one in phases:
        lines += ["[[phases]]", *(f"{key} = {json.dumps(value)}" for key, value in one.items())]
    file = adw.directory.parent / f"{slug}.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def start(adw: Adw, slug: str, *phases: Mapping[str, Any], **more: Any) -> None:
    """Start a feature of these phases, its commands approved."""
    adw("feature", "start", str(write_feature(adw, slug, *phases, **more)), "--yes")


def statuses(adw: Adw, slug: str) -> dict[int, str]:
    """Return the status of each phase, by its number."""
    rows = adw.json("feature", "show", slug)["phases"]
    return {row["phase_number"]: row["status"] for row in rows}


def shown(adw: Adw, name: str) -> dict[str, Any]:
    """Return what `phase show` has of a phase."""
    return adw.json("phase", "show", name)


def reasons(adw: Adw, name: str) -> list[str]:
    """Return how the attempts of a phase ended."""
    return [one["end_reason"] for one in shown(adw, name)["attempts"]]


def until(adw: Adw, name: str, *wanted: str) -> None:
    """Wait until a phase has one of these statuses."""
    settle(lambda: shown(adw, name)["phase"]["status"] in wanted, f"{name} never is {wanted}")


def until_there(path: Path) -> None:
    """Wait until a command has made a file."""
    settle(path.exists, f"{path} never comes")


def processes() -> list[psutil.Process]:
    """Return the coordinator, runners and commands of the test."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if process.environ().get("XDG_STATE_HOME") != os.environ["XDG_STATE_HOME"]:
                continue
            if "work" in words or "ADW_ATTEMPT" in process.environ():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def ours() -> list[psutil.Process]:
    """Return the coordinator, the process that forks for it, and the runners; no commands."""
    return running_with("work")


def running_with(word: str) -> list[psutil.Process]:
    """Return the processes of the test that have this word in their commands."""
    found = []
    for process in processes():
        with suppress(psutil.Error):  # it has ended meanwhile
            if word in process.cmdline():
                found.append(process)
    return found


def kill(found: Iterable[psutil.Process]) -> int:
    """Kill processes, some of which may end by the death of another; return how many were there."""
    killed = 0
    for process in found:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
            killed += 1
    return killed


def kill_all() -> None:
    """Kill everything of the test, as a power cut does: also what a dying runner just started."""
    # One that is just becoming another program has no environment to be known by.
    settle(lambda: not any(_killed_after(0.03) for _ in range(3)), "there is always another one")


def _killed_after(seconds: float) -> int:
    time.sleep(seconds)
    return kill(processes())


def runner_of(token: str) -> int:
    """Return the process of an attempt's runner."""
    return int((state_dir() / "runs" / token / "pid").read_text())


def work(adw: Adw) -> None:
    """Have everything done that can be."""
    adw("work", "--until-idle")


def nothing_is_left() -> bool:
    """Return whether every process of the test has ended."""
    for process in processes():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


def assert_over(adw: Adw) -> None:
    """Hold that no process, and no attempt without an end, is left."""
    settle(nothing_is_left, "a process is left")
    database = store()
    assert database.execute("SELECT token FROM attempts WHERE ended_at IS NULL") == []
    database.close()


def log_of(adw: Adw, name: str) -> str:
    """Return what the last attempt of a phase printed."""
    return adw("phase", "log", name).stdout


def run_to_end(adw: Adw, *phases: dict[str, Any], **more: Any) -> None:
    """Start the feature `x` and let everything be done that can be."""
    start(adw, "x", *phases, **more)
    work(adw)


def calls(adw: Adw, name: str = "x.1") -> list[dict[str, Any]]:
    """Return the calls of all attempts of a phase."""
    return [call for attempt in shown(adw, name)["attempts"] for call in attempt["calls"]]


def ended(adw: Adw, name: str = "x.1") -> list[tuple[str, str]]:
    """Return which stages ran in the last attempt, and how each ended."""
    return [(one["name"], one["status"]) for one in shown(adw, name)["attempts"][-1]["stages"]]

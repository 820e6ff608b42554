"""The engines: how each is had, and how it is told to run chains."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...machine import discard
from ...measure import Failed
from ..chains import Chains
from ..ours import run_ours

_HERE = Path(__file__).parent
_MOST_SECONDS = 900


@dataclass(frozen=True)
class Engine:
    """A way of running chains, and with how many at once it is tried."""

    label: str
    run: Callable[[Chains, Path, Path], None]
    """Gets the chains, an empty directory to work in, and where peers are installed."""
    running: Sequence[int] = (3,)
    share: float = 1.0
    """Of the gaps that are measured, for those that take seconds each."""
    may_fail: bool = True


def _script(name: str, *words: str, package: str = "") -> Callable[[Chains, Path, Path], None]:
    """Return what runs a script beside this one, with a Python that has `package`."""

    def run(chains: Chains, directory: Path, cache: Path) -> None:
        document = directory / "chains.json"
        document.write_text(json.dumps({"chains": chains.chains}))
        python = _python_with(package, cache) if package else sys.executable
        _call([python, str(_HERE / f"{name}.py"), str(document), *words], directory)

    return run


def _python_with(package: str, cache: Path) -> str:
    prefix = cache / package
    python = str(prefix / "bin" / "python")
    done = prefix / "installed"
    if not done.exists():
        discard(prefix)
        venv.create(prefix, with_pip=True)
        _call([python, "-m", "pip", "install", "--quiet", package], cache)
        done.touch()
    return python


def _call(command: Sequence[str], directory: Path) -> None:
    said = directory / "said"
    try:
        with said.open("wb") as output:
            subprocess.run(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
                timeout=_MOST_SECONDS,
            )
    except (OSError, subprocess.SubprocessError) as exc:
        lines = said.read_text(errors="replace").strip().splitlines() or [str(exc)]
        raise Failed(f"{Path(command[1]).name}: {lines[-1][:200]}") from exc


def _pueue(chains: Chains, directory: Path, _cache: Path) -> None:
    """Each phase a task that comes `--after` the one before."""
    daemon, client = shutil.which("pueued"), shutil.which("pueue")
    if daemon is None or client is None:
        raise Failed("pueue is not installed")
    config = directory / "pueue.yml"
    config.write_text(
        f"shared:\n  pueue_directory: {directory}\n  runtime_directory: {directory}\n"
    )
    serving = subprocess.Popen([daemon, "-c", str(config)], stdout=subprocess.DEVNULL)
    base = [client, "-c", str(config)]
    try:
        _call([*base, "parallel", str(chains.running)], directory)
        for chain in chains.chains:
            after: list[str] = []
            for command in chain:
                added = [*base, "add", "--print-task-id", *after, "--", *command]
                task = subprocess.run(added, capture_output=True, text=True, check=True).stdout
                after = ["--after", task.strip()]
        _call([*base, "wait", "--all", "--quiet"], directory)
    except subprocess.SubprocessError as exc:
        raise Failed(f"pueue: {exc}") from exc
    finally:
        serving.kill()
        serving.wait()


BARE = "fork + exec + commit"
ENGINES = (
    Engine(BARE, _script("bare"), (3, 20, 100), may_fail=False),
    Engine("adw-worktree, worktree there", run_ours(there=True), (3, 20, 100), may_fail=False),
    Engine("adw-worktree, new worktree", run_ours(there=False), (3, 20), may_fail=False),
    Engine("huey, SQLite", _script("huey_chains", package="huey"), share=0.34),
    Engine("DBOS, SQLite, 20 ms", _script("dbos_chains", "0.02", package="dbos"), share=0.34),
    Engine("DBOS, SQLite", _script("dbos_chains", package="dbos"), share=0.2),
    Engine("pueue", _pueue),
    Engine("a poll of 3 s", _script("poll"), share=0.1),
)

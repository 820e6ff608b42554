"""Other tools that make worktrees: how each is installed, and how it does the same work.

Each gets a venv or an npm prefix of its own below a cache, and runs in a HOME of its own. One that
cannot be installed, or does not do what it is asked to, is listed with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .machine import Room, discard
from .measure import Failed

MOST_SECONDS = 300


@dataclass(frozen=True)
class Place:
    """A peer's program, in the room and the repository that it works on."""

    program: str
    room: Room
    repo: Path

    def tree(self, number: int) -> Path:
        return self.repo.with_name(f"{self.repo.name}-{number}")

    def git(self, *words: str) -> None:
        self.room.git(*words, cwd=self.repo)

    def tool(self, *words: str, cwd: Path | None = None) -> None:
        self.room.run(self.program, *words, cwd=cwd or self.repo)


@dataclass(frozen=True)
class Peer:
    """A tool and the commands that make and take back one worktree with it."""

    package: str
    registry: str
    """`PyPI` or `npm`."""
    program: str
    does: str
    """What its rows stand for."""
    prepare: Callable[[Place], None]
    create: Callable[[Place, int], None]
    remove: Callable[[Place, int], None]


@dataclass(frozen=True)
class Installed:
    """What came of installing a peer: where its program is, or why there is none."""

    peer: Peer
    program: str = ""
    version: str = ""
    failed: str = ""


# ---- wtenv and worktree-env: git makes the worktree, they give it ports --------------------------


def _add(place: Place, number: int) -> None:
    place.git("worktree", "add", "--quiet", "-b", f"w{number}", str(place.tree(number)))


def _remove(place: Place, number: int) -> None:
    place.git("worktree", "remove", str(place.tree(number)))


def _wtenv_create(place: Place, number: int) -> None:
    _add(place, number)
    place.tool("up", cwd=place.tree(number))


def _wtenv_remove(place: Place, number: int) -> None:
    place.tool("down", cwd=place.tree(number))
    _remove(place, number)


def _wte_prepare(place: Place) -> None:
    place.tool("init")
    profile = {
        "name": "bench",
        "match": {"main-worktree": str(place.repo)},
        "port-claims": [{"id": "backend"}, {"id": "frontend"}],
        "write-files": [
            {
                "target": ".env.ports",
                "body": "BACKEND_PORT=${backend}\nFRONTEND_PORT=${frontend}\n",
            }
        ],
    }
    # JSON is YAML.
    file = place.room.home / ".config" / "wte" / f"{place.repo.name}.yaml"
    file.write_text(json.dumps(profile))
    with (place.repo / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write(".env.ports\n")


def _wte_create(place: Place, number: int) -> None:
    _add(place, number)
    if not (place.tree(number) / ".env.ports").is_file():
        raise Failed("its hook wrote no ports")


# ---- agro, agt, branchlet: they make the worktree ------------------------------------------------


def _agro_create(place: Place, number: int) -> None:
    place.tool("make", str(number))


def _agro_remove(place: Place, number: int) -> None:
    place.tool("delete", str(number))


def _agt_create(place: Place, _number: int) -> None:
    place.tool("ws", "new", "main")


def _agt_remove(place: Place, _number: int) -> None:
    # It gives the names itself; there is one at a time.
    made = sorted(path.name for path in (place.repo / ".work").iterdir() if path.is_dir())
    place.tool("ws", "clean", "--agent", made[-1])


def _branchlet_create(place: Place, number: int) -> None:
    place.tool("create", "-n", f"w{number}", "-s", "main", "-b", f"w{number}")


def _branchlet_remove(place: Place, number: int) -> None:
    place.tool("delete", "-n", f"w{number}")


def _nothing(_place: Place) -> None:
    """Prepare nothing."""


PEERS = (
    Peer(
        "wtenv", "PyPI", "wtenv", "`git worktree add` + `wtenv up`; `wtenv down` + remove",
        _nothing, _wtenv_create, _wtenv_remove,
    ),
    Peer(
        "worktree-env", "PyPI", "wte", "`git worktree add` with its hook; plain remove",
        _wte_prepare, _wte_create, _remove,
    ),
    Peer(
        "agro", "PyPI", "agro", "`agro make`, `agro delete` (with the branch)",
        lambda place: place.tool("init"), _agro_create, _agro_remove,
    ),
    Peer(
        "agent-tools-drnt", "PyPI", "agt", "`agt ws new`, `agt ws clean`: no ports",
        _nothing, _agt_create, _agt_remove,
    ),
    Peer(
        "branchlet", "npm", "branchlet", "`branchlet create`, `branchlet delete`: no ports",
        _nothing, _branchlet_create, _branchlet_remove,
    ),
)  # fmt: skip


# ---- installing ----------------------------------------------------------------------------------


def install(peer: Peer, cache: Path) -> Installed:
    """Return a peer ready to run, from the cache if it was installed before."""
    prefix = cache / peer.package
    done = prefix / "installed.json"
    try:
        if not done.is_file():
            discard(prefix)
            version = (_from_pypi if peer.registry == "PyPI" else _from_npm)(peer, prefix)
            done.write_text(json.dumps({"version": version}))
        version = json.loads(done.read_text())["version"]
    except (Failed, OSError, ValueError) as exc:
        return Installed(peer, failed=f"cannot be installed: {exc}")
    folder = "bin" if peer.registry == "PyPI" else "node_modules/.bin"
    return Installed(peer, str(prefix / folder / peer.program), version)


def _from_pypi(peer: Peer, prefix: Path) -> str:
    venv.create(prefix, with_pip=True)
    python = str(prefix / "bin" / "python")
    _ask(python, "-m", "pip", "install", "--quiet", peer.package)
    ask = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    return _ask(python, "-c", ask, peer.package)


def _from_npm(peer: Peer, prefix: Path) -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise Failed("there is no npm")
    prefix.mkdir(parents=True)
    _ask(npm, "install", "--prefix", str(prefix), "--no-audit", "--no-fund", peer.package)
    package = prefix / "node_modules" / peer.package / "package.json"
    return str(json.loads(package.read_text())["version"])


def _ask(*command: str) -> str:
    """Run an installer, in the user's own surroundings: they say where packages come from."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise Failed(f"no answer within {MOST_SECONDS} seconds") from exc
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Failed(lines[-1][:200])
    return done.stdout.strip()

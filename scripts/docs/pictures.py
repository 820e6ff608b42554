"""Record the pictures of README and docs from real runs: `python -m scripts.docs.pictures`.

Each is a session in scratch repositories: commands under a terminal of a fixed size, git's dates
fixed, the machine's state their own. Places and process ids, which differ from run to run, are
replaced by others of the same length, so that columns stay where they were.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.support import agent_programs
from tests.support.model_server import ModelServer, Script
from tests.support.model_turns import Edit, Say, Turn, Usage

from .svg import THEMES
from .terminal import drawn, record, screen

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_SHOWN = "/home/you/src"
"""What takes the place of the directory of the same length that the session ran in."""


class Session(NamedTuple):
    """What a picture shows."""

    name: str
    title: str
    columns: int
    before: tuple[str, ...]
    """Shell commands that are not shown."""
    shown: tuple[str, ...]
    agents: Script | None = None
    """What the model of Claude Code and Codex says, if the session needs them."""


def _serve(repository: str, adw_id: str) -> str:
    """Return commands that start a server on an ADW's backend port, and wait for it."""
    return (
        f"cd ../{repository} && adw-worktree run {adw_id} -- "
        "sh -c 'exec python3 -m http.server $BACKEND_PORT' >/dev/null 2>&1 & "
        f"until adw-worktree -C ../{repository} list | grep -q '^{adw_id} .*http.server'; "
        "do sleep 0.05; done"
    )


def _feature(slug: str, *phases: tuple[str, str, str, str]) -> str:
    """Return a command that writes a feature; of each phase title, needs, seconds, changed file."""
    lines = [f'slug = "{slug}"', 'title = "Log in"']
    for number, (title, needs, seconds, file) in enumerate(phases, 1):
        work = f"sleep {seconds}; echo {title} >{file}; git add {file}; git commit -qm {title!r}"
        lines += ["[[phases]]", f"number = {number}", f'title = "{title}"',
                  f"depends_on = [{needs}]", f'run = ["{work}"]']  # fmt: skip
    return "cat >../login.toml <<'END'\n" + "\n".join(lines) + "\nEND"


def _built(slug: str, *phases: tuple[str, str, str]) -> str:
    """Return a command that writes a feature for agents; of each phase title, needs, agent."""
    lines = [f'slug = "{slug}"', 'title = "Log in"', "budget_usd = 5.0"]
    for number, (title, needs, agent) in enumerate(phases, 1):
        lines += ["[[phases]]", f"number = {number}", f'title = "{title}"',
                  f"depends_on = [{needs}]", f'agents = ["{agent}"]',
                  f'prompt = "Build the part {title}."']  # fmt: skip
    settings = '[stages.test]\nrun = "! grep -rn TODO src"'
    files = {"../login.toml": "\n".join(lines), "adw-worktree.toml": settings}
    written = [f"cat >{name} <<'END'\n{text}\nEND" for name, text in files.items()]
    return "\n".join([*written, "git add -A; git commit -qm settings; adw-worktree trust --yes"])


def _writes(name: str, text: str, seconds: float) -> list[Turn]:
    """Return the turns of a model that writes a file."""
    usage = Usage(input=4000, cached=12_000, output=900)
    return [Edit(f"src/{name}", f"{text}\n", usage=usage, seconds=seconds),
            Say("Done.", usage=usage)]  # fmt: skip


SESSIONS = (
    Session(
        "agents",
        "feature start has agents build five phases; what a test finds goes back to its agent",
        96,
        (
            _built(
                "login",
                ("Schema", "", "claude"),
                ("API", "1", "claude"),
                ("Form", "1", "codex"),
                ("Mails", "1", "codex"),
                ("Docs", "2, 3, 4", "claude"),
            ),
        ),
        (
            "adw-worktree feature start ../login.toml --yes --wait",
            "adw-worktree phase show login.2",
            "adw-worktree feature show login | head -2",
        ),
        {
            "has not passed": _writes("api", "api", 1.0),
            "part Schema": _writes("schema", "schema", 1.0),
            "part API": _writes("api", "api  # TODO: errors", 2.0),
            "part Form": _writes("form", "form", 1.0),
            "part Mails": _writes("mails", "mails", 1.5),
            "part Docs": _writes("docs", "docs", 1.0),
        },
    ),
    Session(
        "feature",
        "feature start runs five phases, three of them at once; feature finish merges the result",
        78,
        (
            _feature(
                "login",
                ("Schema", "", "0.6", "schema"),
                ("API", "1", "1.4", "api"),
                ("Form", "1", "0.9", "form"),
                ("Mails", "1", "0.7", "mails"),
                ("Docs", "2, 3, 4", "0.4", "docs"),
            ),
        ),
        (
            "adw-worktree feature start ../login.toml --yes --wait",
            "git log --oneline feature/login",
            "adw-worktree feature finish login",
        ),
    ),
    Session(
        "session",
        "create makes a worktree with ports, list shows it and its server, remove takes all back",
        118,
        (),
        (
            "adw-worktree create fix-login",
            "adw-worktree run fix-login -- sh -c 'exec python3 -m http.server $BACKEND_PORT' &",
            "adw-worktree list",
            "adw-worktree remove fix-login --stop",
        ),
    ),
    Session(
        "pool",
        "status shows the pool of the machine: its slots, who holds them, and what blocks some",
        80,
        (
            "adw-worktree create fix-login",
            "adw-worktree create add-search",
            "adw-worktree -C ../api create fix-login",
            "adw-worktree -C ../api create rate-limit",
            "adw-worktree -C ../web create dark-mode",
            "adw-worktree reserve nightly-tests",
            _serve("app", "fix-login"),
            _serve("api", "rate-limit"),
            "python3 -m http.server 9108 >/dev/null 2>&1 & "
            "until adw-worktree status | grep -q 9108; do sleep 0.05; done",
        ),
        ("adw-worktree status",),
    ),
)


def main() -> None:
    wanted = sys.argv[1:]
    for session in SESSIONS:
        if wanted and session.name not in wanted:
            continue
        lines = screen(recorded(session), session.columns)
        for theme in THEMES:
            path = PICTURES / f"{session.name}{theme.suffix}.svg"
            path.write_text(drawn(lines, session.columns, session.title, theme))


def recorded(session: Session) -> bytes:
    """Return what a terminal got in the session, prompts included."""
    root = tempfile.mkdtemp(prefix="", dir="/tmp")
    started = _Processes()
    model = ModelServer(session.agents)
    try:
        env = _environment(Path(root))
        if session.agents is not None:
            env |= _agents(model, env)
        for name in ("app", "api", "web"):
            _make_repository(Path(root, name), env)
        place = Path(root, "app")
        for command in session.before:
            started.run(command, place, env)
        data = b"".join(
            f"\x1b[90m$\x1b[0m {command}\r\n".encode()
            + _output(command, place, env, started, session)
            for command in session.shown
        )
    finally:
        started.end()
        if session.agents is not None:
            model.stop()
        shutil.rmtree(root, ignore_errors=True)
    return _settled(data, root)


def _agents(model: ModelServer, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables under which Claude Code and Codex ask the model, which is started."""
    programs = agent_programs.directory()
    if programs is None:
        raise SystemExit("error: npm cannot install Claude Code and Codex here")
    model.__enter__()
    home = Path(env["HOME"])
    home.mkdir(exist_ok=True)
    path = f"{programs}{os.pathsep}{env['PATH']}"
    return {**model.environment(home), "PATH": path}


def _output(
    command: str, place: Path, env: Mapping[str, str], started: _Processes, session: Session
) -> bytes:
    if not command.endswith("&"):
        return record(command, place, env, session.columns)
    started.run(f"{command.removesuffix('&')} >/dev/null 2>&1 &", place, env)
    # What follows is to see the server.
    started.run("until adw-worktree list | grep -q http.server; do sleep 0.05; done", place, env)
    return b""


def _settled(data: bytes, root: str) -> bytes:
    """Return `data` with what differs from run to run replaced."""

    def pid(found: re.Match[bytes]) -> bytes:
        before, number, after, gap = found.groups()
        return before + b"4711" + after + (gap and gap.ljust(len(number) - 4 + len(gap)))

    shown = data.replace(root.encode(), _SHOWN.encode())
    # As wide as it was, for what is cut behind it.
    shown = re.sub(rb"\d{4,}(?= python3)", lambda found: b"471100"[: len(found[0])], shown)
    return re.sub(rb"(pid (?:\x1b\[[0-9;]*m)?)(\d{4,})(\)?)( {2,}|)", pid, shown)


class _Processes:
    """Commands that are not shown, and what they leave running."""

    def __init__(self) -> None:
        self._leaders: list[int] = []

    def run(self, command: str, place: Path, env: Mapping[str, str]) -> None:
        null = subprocess.DEVNULL
        process = subprocess.Popen(
            ["sh", "-c", command], cwd=place, env=env, stdin=null, stdout=null, stderr=None,
            start_new_session=True,
        )  # fmt: skip
        self._leaders.append(process.pid)
        if process.wait() != 0:
            raise SystemExit(f"error: {command} exited {process.returncode}")

    def end(self) -> None:
        for leader in self._leaders:
            with suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGKILL)


def _environment(root: Path) -> dict[str, str]:
    """Return an environment with nothing of this machine's but its programs."""
    programs = root / "bin"
    programs.mkdir()
    # Servers are shown by the name that they are started by; the tool starts itself by Python's.
    for name, command in (
        ("adw-worktree", f"{sys.executable} -m adw_worktree"),
        ("python3", f"-a python3 {sys.executable}"),
    ):
        (programs / name).write_text(f'#!/bin/bash\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    date = "2026-01-02T03:04:05Z"
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(PICTURES.parent.parent), *sys.path[1:]]),
        "HOME": str(root / "home"),
        "ADW_STATE_HOME": str(root / "state"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "A U Thor" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "author@example.com" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_DATE": date for who in ("AUTHOR", "COMMITTER")},
    }


def _make_repository(path: Path, env: Mapping[str, str]) -> None:
    for words in (["init", "-q", "-b", "main", str(path)],
                  ["-C", str(path), "commit", "-q", "--allow-empty", "-m", "first"]):  # fmt: skip
        subprocess.run(["git", *words], env=env, check=True)


if __name__ == "__main__":
    main()

"""Whether agents can be used: the program, its version, a login as far as it can be seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from adw_worktree.orchestration.agents.agent import Agent, Reads
from adw_worktree.orchestration.agents.calling import Answer, Bounds, call_agent
from adw_worktree.system.environment import clean_environment

_VERSION_SECONDS = 10.0
_LIVE_SECONDS = 5.0
_LIVE_PROMPT = "Answer with the one word OK. Use no tool."


class _Login(NamedTuple):
    """Where a program has its login."""

    variables: tuple[str, ...]
    files: tuple[str, ...]
    """Of a home; `$NAME` at the start is a directory that a variable names, if it is set."""


_LOGINS: Mapping[Reads, _Login] = {
    "claude": _Login(
        ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        ("$CLAUDE_CONFIG_DIR/.credentials.json", ".claude/.credentials.json"),
    ),
    "codex": _Login(
        ("OPENAI_API_KEY", "CODEX_API_KEY"), ("$CODEX_HOME/auth.json", ".codex/auth.json")
    ),
    "gemini": _Login(("GEMINI_API_KEY", "GOOGLE_API_KEY"), (".gemini/oauth_creds.json",)),
    "opencode": _Login(
        (), ("$XDG_DATA_HOME/opencode/auth.json", ".local/share/opencode/auth.json")
    ),
}


class Checked(NamedTuple):
    """What was seen of an agent."""

    agent: Agent
    path: Path | None
    """The program; None if it is not on PATH."""
    version: str | None
    login: Literal["yes", "not seen"]
    """A system's own store of passwords cannot be looked into."""
    live: Answer | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it can be called, and answered if it was asked."""
        return self.path is not None and (self.live is None or self.live.record.ended == "ok")


def program_of(agent: Agent) -> Path | None:
    """Return the program that an agent's command starts; None if there is none."""
    found = shutil.which(agent.program)
    return Path(found) if found is not None else None


def check(agent: Agent, *, live: bool) -> Checked:
    """Look whether an agent can be used; `live` sends it one small prompt, which may cost."""
    path = program_of(agent)
    if path is None:
        return Checked(agent, None, None, "not seen")
    version = _version(path)
    answer = _answer(agent) if live else None
    return Checked(agent, path, version, "yes" if _has_login(agent) else "not seen", answer)


def _version(path: Path) -> str | None:
    try:
        told = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    lines = told.decode(errors="replace").strip().splitlines()
    return lines[0][:80] if lines else None


def _has_login(agent: Agent) -> bool:
    login = _LOGINS.get(agent.reads)
    if login is None:
        return False
    return any(os.environ.get(name) for name in login.variables) or any(
        place is not None and os.path.lexists(place) for place in map(_place, login.files)
    )


def _place(file: str) -> Path | None:
    if not file.startswith("$"):
        return Path.home() / file
    name, _, rest = file[1:].partition("/")
    directory = os.environ.get(name)
    return Path(directory) / rest if directory else None


def _answer(agent: Agent) -> Answer | None:
    """Ask it something small, in an empty directory."""
    with tempfile.TemporaryDirectory() as directory:
        log = os.open(os.devnull, os.O_WRONLY)
        try:
            return call_agent(
                agent,
                _LIVE_PROMPT,
                directory=Path(directory),
                environ=clean_environment(),
                log=log,
                bounds=Bounds(seconds=_LIVE_SECONDS),
            )
        except OSError:
            return None
        finally:
            os.close(log)

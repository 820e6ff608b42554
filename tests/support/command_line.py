"""The command line in a real process, and what a user sets for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.warm_start import is_usual, run


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        assert document["schema_version"] == 1
        return document


class Adw:
    """Runs the command line in a real process, in a repository."""

    command: tuple[str, ...] = (sys.executable, "-m", "adw_worktree")

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(
        self, *args: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> Ran:
        ran = self._run(args, cwd or self.directory, {**os.environ, **env})
        assert code is None or ran.code == code, (
            f"{args}: exit {ran.code}\n{ran.stdout}{ran.stderr}"
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    def _run(self, args: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Ran:
        if self.command == Adw.command and is_usual(environ):
            code, *texts = run(args, cwd, environ, timeout=120)
        else:
            done = subprocess.run(
                [*self.command, *args],
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=120,
            )
            code, texts = done.returncode, [done.stdout, done.stderr]
        stdout, stderr = (text.decode(errors="surrogateescape") for text in texts)
        return Ran(code, stdout, stderr)

    def json(
        self, *args: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> dict[str, Any]:
        """Run with `--json` and return the document."""
        return self(*args, "--json", cwd=cwd, code=code, **env).json

    def start(self, *args: str, quiet: bool = False, **env: str) -> subprocess.Popen[str]:
        """Start it and return the process; `quiet` without pipes, which orphans would keep open."""
        stream = subprocess.DEVNULL if quiet else subprocess.PIPE
        return subprocess.Popen(
            [*self.command, *args],
            cwd=self.directory,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            text=True,
        )


def managed_hook(adw: Adw, event: str) -> Path:
    """Return the script that git runs, which stands where its version has it."""
    states = adw.json("hooks", "status")["hooks"]
    return next(Path(one["path"]) for one in states if one["event"] == event)


def user_hook(moment: str, command: str) -> None:
    """Set a hook in the user's own settings, where it needs no approval."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f'[hooks]\n{moment} = ["""{command}"""]\n')

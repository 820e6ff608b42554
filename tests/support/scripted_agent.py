"""An agent that follows scripts of the shell: call by call, it runs the next one.

    agent = scripted(adw, "one", "echo work >file", last="echo again", reads="text")

It notes each call: what it was told, and with which arguments.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from tests.support.command_line import Adw

_PROGRAM = """\
place=$(dirname "$0")
number=1
while ! mkdir "$place/call-$number" 2>/dev/null; do number=$((number + 1)); done
printf '%s\\n' "$*" >"$place/call-$number/arguments"
cat >"$place/call-$number/prompt"
if [ -f "$place/$number.sh" ]; then . "$place/$number.sh"; else . "$place/last.sh"; fi
"""
OURS = f"{quote(sys.executable)} -m adw_worktree"
"""Our command line, in a script."""
COMMIT = "echo $ADW_PHASE >>$ADW_ID; git add $ADW_ID; git commit -qm work"
"""Does a bit of work, and commits it."""


class ScriptedAgent(NamedTuple):
    """The agent, as a test looks at it."""

    place: Path

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len([*self.place.glob("call-*")])

    def prompt(self, number: int) -> str:
        """What it was told in a call, from 1."""
        return (self.place / f"call-{number}" / "prompt").read_text()

    def arguments(self, number: int) -> list[str]:
        """Its further arguments in a call."""
        return (self.place / f"call-{number}" / "arguments").read_text().split()


def scripted(
    adw: Adw, name: str, *scripts: str, last: str = "exit 1", reads: str = "text", **more: Any
) -> ScriptedAgent:
    """Have an agent of the user's own settings that runs these scripts; `last` from then on."""
    place = adw.directory.parent / f"agent-{name}"
    place.mkdir()
    (place / "agent.sh").write_text(_PROGRAM)
    for number, script in enumerate(scripts, 1):
        (place / f"{number}.sh").write_text(script + "\n")
    (place / "last.sh").write_text(last + "\n")
    values = {"command": ["sh", str(place / "agent.sh")], "reads": reads, **more}
    add_settings(f"[agents.{name}]", **values)
    return ScriptedAgent(place)


def add_settings(heading: str, **values: Any) -> None:
    """Add a table to the user's own settings."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    lines = [heading, *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    with config.open("a") as file:
        file.write("\n".join(lines) + "\n")


def say(*lines: Any) -> str:
    """Return a command that prints lines as Claude Code does."""
    return "; ".join(f"printf '%s\\n' {quote(json.dumps(line))}" for line in lines)


def result(text: str = "done", session: str = "s1", cost: float = 0.25, **more: Any) -> str:
    """Return a command that prints the last line of a run of Claude Code."""
    return say(
        {
            "type": "result",
            "subtype": "success",
            "is_error": False,
            "session_id": session,
            "num_turns": 2,
            "result": text,
            "total_cost_usd": cost,
            **more,
        }
    )


def error(text: str, status: int | None = None, **more: Any) -> str:
    """Return a command that fails as Claude Code does."""
    return f"{result(text, is_error=True, api_error_status=status, cost=0, **more)}; exit 1"


BEGUN = say({"type": "system", "subtype": "init", "session_id": "s1",
             "claude_code_version": "2.1.300"})  # fmt: skip
"""A command that prints the first line of a version that counts its sessions as a whole."""

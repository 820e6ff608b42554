"""The files that have a service manager start us: a systemd unit, a launchd agent.

What holds here: nothing is read or written. Each file begins with a line of ours that tells whether
somebody changed the rest.
"""

from __future__ import annotations

import re
from binascii import crc32
from collections.abc import Mapping, Sequence
from pathlib import Path

from adw_worktree.errors import SettingsError
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.shipped import shipped_text


class Service(NamedTuple):
    """What a service manager starts: the command of that name."""

    name: str
    about: str

    @property
    def unit(self) -> str:
        """The name of its systemd unit."""
        return f"adw-worktree-{self.name}.service"

    @property
    def label(self) -> str:
        """The name of its launchd agent, whose file has `.plist` after it."""
        return f"io.github.adw-worktree.{self.name}"


WATCHER = Service("watch", "watcher")
BOARD = Service("board", "board")
WORKER = Service("work", "worker")

STATE_HOME = "ADW_STATE_HOME"

_MARK = r"written by adw-worktree for its [a-z]+, checksum ([0-9a-f]{8})"


def systemd_service(
    command: Sequence[str], environment: Mapping[str, str], service: Service = WATCHER
) -> bytes:
    """Return the unit that runs `command`. Raises SettingsError on what cannot stand in it."""
    values = {
        "@COMMAND@": _exec_line(command),
        "@ENVIRONMENT@": "\n".join(
            f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()
        ),
    }
    text = shipped_text("templates/service", service.unit)
    body = re.sub("|".join(values), lambda found: values[found[0]], text).encode()
    return f"# {_mark(body, service)}\n".encode() + body


def launch_agent(
    command: Sequence[str], environment: Mapping[str, str], log: Path, service: Service = WATCHER
) -> bytes:
    """Return the agent that runs `command`, with what it prints in `log`."""
    import plistlib

    settings = {
        "Label": service.label,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 60,
        "ProcessType": "Background",
        "StandardOutPath": str(log),
        "StandardErrorPath": str(log),
    }
    body = plistlib.dumps(settings, sort_keys=False)
    # XML has to begin with its own first line; a comment may follow.
    first, rest = body.split(b"\n", 1)
    return first + f"\n<!-- {_mark(first + rest, service)} -->\n".encode() + rest


def runs(data: bytes, command: Sequence[str], state_home: str) -> bool:
    """Whether a file of ours starts `command` for this state directory."""
    if not data.startswith(b"<?xml"):
        place = f"Environment={_quoted(f'{STATE_HOME}={state_home}')}"
        lines = data.decode().splitlines()
        return f"ExecStart={_exec_line(command)}" in lines and place in lines
    import plistlib

    settings = plistlib.loads(data)
    environment = settings["EnvironmentVariables"]
    return bool(
        settings["ProgramArguments"] == list(command) and environment[STATE_HOME] == state_home
    )


def is_untouched(data: bytes) -> bool:
    """Whether a file is one of ours, as we wrote it."""
    for line in data.splitlines(keepends=True)[:2]:
        found = re.search(_MARK.encode(), line)
        if found:
            rest = data.replace(line, b"", 1)
            body = rest.replace(b"\n", b"", 1) if data.startswith(b"<?xml") else rest
            return f"{crc32(body):08x}".encode() == found[1]
    return False


def _mark(body: bytes, service: Service) -> str:
    return f"written by adw-worktree for its {service.about}, checksum {crc32(body):08x}"


def _exec_line(command: Sequence[str]) -> str:
    """Return the command as systemd reads it: in the program's own path `$` means nothing.

    Raises SettingsError.
    """
    program, *words = command
    if set(program) & set("'\"\\"):
        raise SettingsError(
            f"systemd starts no program at {program}: it has a quote or backslash",
            hint="install it in a directory whose path has none",
        )
    return " ".join([_quoted(program), *(_quoted(word).replace("$", "$$") for word in words)])


def _quoted(word: str) -> str:
    """Return `word` as systemd reads it (systemd.syntax(7)): quoted, no specifier in it."""
    if not word.isprintable():
        raise SettingsError(
            f"{word!a} cannot stand in a systemd unit", hint="rename it, or unset it"
        )
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'

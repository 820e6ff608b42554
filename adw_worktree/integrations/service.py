"""Having systemd or launchd start a command of ours at login: put in place, taken out, inspected.

It is one for the user, not for a repository. What holds here: a file that somebody else wrote, or
changed, is left alone; where the service manager does not answer, the file is there all the same,
and the command to run is said.

A service, and no systemd path unit: that would have to name its paths ahead, and could not follow
repositories that come and go; and as long as what it waits for exists, it starts its service again
whenever a person stops it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import join, quote

from adw_worktree.errors import FileUnusable, SettingsError
from adw_worktree.integrations.service_file import (
    STATE_HOME,
    WATCHER,
    Service,
    is_untouched,
    launch_agent,
    runs,
    systemd_service,
)
from adw_worktree.settings.check import TAKES
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.faults import reached
from adw_worktree.system.named_tuple import NamedTuple
from adw_worktree.system.paths import is_symlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    State = Literal["installed", "outdated", "absent", "foreign"]
    Manager = Literal["systemd", "launchd"]

# What they have to find as other commands do: git, and the settings.
_VARIABLES = ["PATH", "XDG_CONFIG_HOME", *(f"ADW_{key.upper()}" for key in TAKES)]


class UnitState(NamedTuple):
    """What is in place."""

    state: State
    how: Manager
    path: Path
    note: str | None = None
    """What a person should know, or do."""


class Unit(NamedTuple):
    """The file of a service manager, and what it is for."""

    manager: Manager
    path: Path
    command: Sequence[str]
    """What it runs."""
    environment: Mapping[str, str]
    """With these variables."""
    service: Service = WATCHER

    @property
    def content(self) -> bytes:
        """What has to stand in the file. Raises SettingsError on what cannot."""
        if self.manager == "systemd":
            return systemd_service(self.command, self.environment, self.service)
        log = self.path.parent.parent / "Logs" / f"adw-worktree-{self.service.name}.log"
        return launch_agent(self.command, self.environment, log, self.service)


def own_unit(
    command: Sequence[str],
    state_dir: Path,
    environ: Mapping[str, str],
    platform: str = sys.platform,
    service: Service = WATCHER,
) -> Unit:
    """Return the file that has the user's service manager run `command` at each login.

    Raises SettingsError if HOME does not say where, or `platform` has no manager that we know.
    """
    home = Path(environ.get("HOME", ""))
    if not home.is_absolute():
        raise SettingsError(
            "the service has no place: HOME is not set to an absolute path", hint="set HOME"
        )
    kept = {name: environ[name] for name in _VARIABLES if environ.get(name)}
    kept[STATE_HOME] = str(state_dir)
    if platform == "darwin":
        path = home / "Library" / "LaunchAgents" / f"{service.label}.plist"
        return Unit("launchd", path, command, kept, service)
    if platform != "linux":
        raise SettingsError(
            f"there is no service to install on {platform}",
            hint=f"start it by other means: adw-worktree {service.name}",
        )
    config = Path(environ.get("XDG_CONFIG_HOME", ""))
    config = config if config.is_absolute() else home / ".config"
    path = config / "systemd" / "user" / service.unit
    return Unit("systemd", path, command, kept, service)


def install(unit: Unit) -> UnitState:
    """Write the file, and have it started now and at each login.

    Raises FileUnusable if somebody else's file is there, or it cannot be written.
    """
    found = state(unit)
    if found.state == "foreign":
        raise FileUnusable(
            f"{unit.path} is there, and was written or changed by somebody else",
            hint="move it away, then repeat",
        )
    content = unit.content
    try:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        # The address of a store may have a password in it.
        write_atomically(unit.path, content, mode=0o600)
    except OSError as exc:
        raise FileUnusable.because(f"{unit.path} cannot be written", exc) from exc
    if found.state != "absent" and unit.manager == "launchd":
        succeeds(_ending(unit))  # it knows one of a name only, and goes by what it read
    started = all(succeeds(command) for command in _starting(unit))
    reached("unit.started")
    by_hand = " && ".join(join(command) for command in _starting(unit))
    note = (
        None if started else f"{unit.manager} did not answer; in a session where it does: {by_hand}"
    )
    return UnitState("installed", unit.manager, unit.path, note)


def uninstall(unit: Unit) -> UnitState:
    """Have what it runs ended, and take the file away, with directories that are empty without it.

    Raises FileUnusable if somebody else wrote or changed it, or it cannot be removed.
    """
    found = state(unit)
    if found.state == "foreign":
        raise FileUnusable(
            f"{unit.path} was written or changed by somebody else",
            hint=f"if nobody needs it: rm {quote(str(unit.path))}",
        )
    if found.state == "absent":
        return found
    succeeds(_ending(unit))
    reached("unit.ended")
    try:
        unit.path.unlink(missing_ok=True)
        reached("unit.removed")
        if unit.manager == "systemd":
            _remove_links(unit)
            succeeds(["systemctl", "--user", "daemon-reload"])
    except OSError as exc:
        raise FileUnusable.because(f"{unit.path} cannot be removed", exc) from exc
    return UnitState("absent", unit.manager, unit.path)


def state(unit: Unit) -> UnitState:
    """Return what is in place. Raises FileUnusable if that cannot be read."""
    try:
        linked = is_symlink(unit.path)  # by a person, perhaps to nothing
        present = b"" if linked else unit.path.read_bytes()
    except FileNotFoundError:
        return UnitState("absent", unit.manager, unit.path)
    except OSError as exc:
        raise FileUnusable.because(f"{unit.path} cannot be read", exc) from exc
    if linked or not is_untouched(present):
        return UnitState("foreign", unit.manager, unit.path, "written or changed by somebody else")
    if not runs(present, unit.command, unit.environment[STATE_HOME]):
        note = "it runs another command; to install it anew: adw-worktree hooks --help"
        return UnitState("outdated", unit.manager, unit.path, note)
    return UnitState("installed", unit.manager, unit.path)


def _starting(unit: Unit) -> list[list[str]]:
    """Return the commands that have the service manager start what the file asks for."""
    if unit.manager == "launchd":
        return [["launchctl", "bootstrap", _domain(), str(unit.path)]]
    ours = ["systemctl", "--user"]
    name = unit.service.unit
    return [[*ours, "daemon-reload"], [*ours, "enable", name], [*ours, "restart", name]]


def _ending(unit: Unit) -> list[str]:
    """Return the command that ends it, and has it start no more."""
    if unit.manager == "launchd":
        return ["launchctl", "bootout", f"{_domain()}/{unit.service.label}"]
    return ["systemctl", "--user", "disable", "--now", unit.service.unit]


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _remove_links(unit: Unit) -> None:
    """Remove what systemd itself made, if it could not be asked, and directories left empty."""
    wants = unit.path.parent / "default.target.wants"
    if is_symlink(wants / unit.service.unit):
        (wants / unit.service.unit).unlink()
    for directory in (wants, unit.path.parent, unit.path.parent.parent):
        with suppress(OSError):  # not empty, or not there
            directory.rmdir()


_ANSWER_SECONDS = 30.0


def succeeds(command: Sequence[str]) -> bool:
    """Run what a service manager's `command` asks of it; return whether it is there and did."""
    import subprocess

    null = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command,
            env=clean_environment(),
            stdin=null,
            stdout=null,
            stderr=null,
            check=False,
            timeout=_ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

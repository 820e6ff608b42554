"""The files that have systemd or launchd start the watcher: in place, and out again."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adw_worktree.integrations.service import own_unit
from adw_worktree.integrations.service_file import (
    BOARD,
    WATCHER,
    WORKER,
    Service,
    is_untouched,
    launch_agent,
    runs,
    systemd_service,
)
from tests.support.command_line import Adw

ODD = '/a b/%n $HOME "quoted" \\ back/é'


def files_below(directory: Path) -> dict[Path, bytes]:
    """Return every file and link, and what it holds."""
    return {
        path: os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        for path in directory.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def unit_path(sealed_env: Path) -> Path:
    """Return where the file is to be, on this platform."""
    return own_unit(["true"], Path("/state"), os.environ).path


@pytest.fixture
def asked(sealed_env: Path) -> Path:
    """Return a file with what the service manager was asked; it does all that it is asked."""
    log = sealed_env / "asked"
    for name in ("systemctl", "launchctl"):
        script = sealed_env / "managers" / name
        script.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >>'{log}'\n")
    log.touch()
    return log


def watch_row(adw: Adw) -> dict[str, str | None]:
    row = adw.json("hooks", "status")["hooks"][-1]
    assert isinstance(row, dict)
    assert row["event"] == "watch"
    return row


def test_installed_started_and_taken_out_again(adw: Adw, unit_path: Path, asked: Path) -> None:
    home = Path(os.environ["HOME"])
    before = {**files_below(home), asked: b""}
    assert watch_row(adw)["state"] == "absent"
    adw("hooks", "install", "--watch")
    started = asked.read_text()
    assert "start" in started or "bootstrap" in started
    assert watch_row(adw)["state"] == "installed"
    ran = adw("hooks", "install", "--watch")
    assert (ran.stderr, ran.stdout.count("installed")) == ("", 1)
    adw("hooks", "uninstall", "--watch")
    assert "disable --now" in asked.read_text() or "bootout" in asked.read_text()
    assert not unit_path.exists()
    assert {**files_below(home), asked: b""} == before
    adw("hooks", "uninstall", "--watch")


def test_it_is_the_users_and_needs_no_repository(tmp_path: Path, unit_path: Path) -> None:
    ran = Adw(tmp_path)("hooks", "install", "--watch")
    assert "did not answer" in ran.stderr
    assert str(unit_path) in ran.stdout + ran.stderr
    assert unit_path.exists()


def test_link_that_systemd_made_goes_too(adw: Adw, unit_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("systemd is Linux's")
    adw("hooks", "install", "--watch")
    link = unit_path.parent / "default.target.wants" / unit_path.name
    link.parent.mkdir()
    link.symlink_to(unit_path)
    adw("hooks", "uninstall", "--watch")
    assert not unit_path.parent.exists()


@pytest.mark.parametrize("how", ["theirs", "changed", "link"])
def test_what_somebody_else_wrote_stays(adw: Adw, unit_path: Path, how: str) -> None:
    """Their watcher would start no more, with what they set for it lost."""
    adw("hooks", "install", "--watch")
    if how == "link":
        unit_path.unlink()
        unit_path.symlink_to("/nowhere")
    elif how == "changed":
        unit_path.write_bytes(unit_path.read_bytes().replace(b"RestartSec=5", b"RestartSec=9"))
        unit_path.write_bytes(unit_path.read_bytes().replace(b"<integer>60", b"<integer>90"))
    else:
        unit_path.write_text("[Service]\nExecStart=/bin/true\n")
    before = files_below(unit_path.parent)
    assert watch_row(adw)["state"] == "foreign"
    assert str(unit_path) in adw("hooks", "install", "--watch", code=3).stderr
    adw("hooks", "uninstall", "--watch", code=3)
    assert files_below(unit_path.parent) == before


def test_variables_reach_the_watcher(adw: Adw, tmp_path: Path, unit_path: Path) -> None:
    """With another state directory or ledger it would watch nothing, or the wrong thing."""
    state = str(tmp_path / "another $state")
    adw("hooks", "install", "--watch", ADW_STATE_HOME=state, ADW_LEDGER="l.json", ADW_ID="a")
    text = unit_path.read_text()
    assert state in text
    assert "l.json" in text
    assert "ADW_ID" not in text
    assert watch_row(adw)["state"] == "outdated"
    adw("hooks", "install", "--watch")
    assert watch_row(adw)["state"] == "installed"


def test_systemd_takes_the_unit_whatever_the_paths(tmp_path: Path) -> None:
    program = Path(f"{tmp_path}/a b/%n $HOME é/python")
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    data = systemd_service([str(program), "-m", "x", "$y %z"], {"ADW_STATE_HOME": ODD})
    text = data.decode()
    assert '"$$y %%z"' in text
    assert "/%%n $HOME é/" in text
    assert '$HOME \\"quoted\\"' in text
    assert is_untouched(data)
    assert runs(data, [str(program), "-m", "x", "$y %z"], ODD)
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd to ask")
    (tmp_path / "adw-worktree-watch.service").write_bytes(data)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(tmp_path / "adw-worktree-watch.service")],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_break_cannot_add_a_line_to_the_unit(adw: Adw, unit_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("a property list has it quoted")
    hostile = "/x\nExecStartPre=/bin/false"
    adw("hooks", "install", "--watch", code=3, ADW_BRANCH_NAME=hostile)
    assert not unit_path.exists()


def test_launch_agent_is_a_property_list_that_says_the_same() -> None:
    data = launch_agent([ODD, "-m", "x"], {"ADW_STATE_HOME": ODD}, Path("/log"))
    settings = plistlib.loads(data)
    assert settings["ProgramArguments"] == [ODD, "-m", "x"]
    assert settings["EnvironmentVariables"] == {"ADW_STATE_HOME": ODD}
    assert settings["RunAtLoad"] is True
    assert is_untouched(data)
    assert not is_untouched(data.replace(b"<integer>60", b"<integer>90"))
    assert runs(data, [ODD, "-m", "x"], ODD)
    assert not runs(data, [ODD, "-m", "x"], "/elsewhere")


def test_where_the_file_goes_on_each_platform() -> None:
    environ = {"HOME": "/home/me", "XDG_CONFIG_HOME": "/config", "PATH": "/bin"}
    linux = own_unit(["x"], Path("/s"), environ, "linux")
    mac = own_unit(["x"], Path("/s"), environ, "darwin")
    assert str(linux.path) == "/config/systemd/user/adw-worktree-watch.service"
    assert str(mac.path) == "/home/me/Library/LaunchAgents/io.github.adw-worktree.watch.plist"
    assert linux.environment == mac.environment
    assert linux.environment["PATH"] == "/bin"


def test_the_board_has_a_service_of_its_own(adw: Adw, unit_path: Path, asked: Path) -> None:
    home = Path(os.environ["HOME"])
    before = {**files_below(home), asked: b""}
    adw("hooks", "install", "--watch")
    adw("hooks", "install", "--board")
    told = asked.read_text()
    states = {one["event"]: one for one in adw.json("hooks", "status")["hooks"]}
    board, watch = states["board"], states["watch"]
    assert (board["state"], watch["state"]) == ("installed", "installed")
    assert board["path"] != watch["path"]
    content = Path(str(board["path"])).read_bytes()
    assert is_untouched(content)
    assert b'"board"' in content or b"<string>board</string>" in content
    assert "adw-worktree-board" in told or "adw-worktree.board" in told
    adw("hooks", "uninstall", "--board")
    assert {one["event"]: one["state"] for one in adw.json("hooks", "status")["hooks"]}[
        "watch"
    ] == "installed"
    adw("hooks", "uninstall", "--watch")
    asked.write_text("")
    assert files_below(home) == before


@pytest.mark.parametrize("service", [WATCHER, BOARD, WORKER])
def test_phases_that_it_has_started_outlive_it(service: Service) -> None:
    """systemd ends all processes of a service with it, unless it is told not to."""
    assert b"\nKillMode=process\n" in systemd_service(["true"], {}, service)


def test_the_worker_has_a_service_of_its_own(adw: Adw, unit_path: Path, asked: Path) -> None:
    error = adw.json("hooks", "install", "--worker", code=3)["error"]
    assert error["message"] == "no server is named that has the store"
    url = "postgresql://me:secret@db/adw"
    adw("hooks", "install", "--worker", ADW_STORE=url)
    assert "adw-worktree-work" in asked.read_text() or "adw-worktree.work" in asked.read_text()
    [state] = [one for one in adw.json("hooks", "status")["hooks"] if one["event"] == "work"]
    file = Path(str(state["path"]))
    assert url in file.read_text()
    assert file.stat().st_mode & 0o077 == 0, "the address has a password in it"
    adw("hooks", "uninstall", "--worker", ADW_STORE=url)
    assert not file.exists()

"""The command that adds a library fits what installed us: pip, pipx, uv tool or uv pip."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from adw_worktree.system.install_hint import install_command

LIBRARY = "psycopg[binary]>=3.1.4"


def test_pip_is_called_by_the_interpreter_that_runs_us() -> None:
    words = shlex.split(install_command(LIBRARY))
    assert words == [sys.executable, "-m", "pip", "install", LIBRARY]


def test_pipx_injects_into_its_environment(tmp_path: Path) -> None:
    environment = tmp_path / "venvs" / "adw-worktree"
    environment.mkdir(parents=True)
    (environment / "pipx_metadata.json").write_text("{}")
    words = shlex.split(install_command(LIBRARY, environment=environment))
    assert words == ["pipx", "inject", "adw-worktree", LIBRARY]


@pytest.mark.parametrize(
    ("requirement", "source"),
    [
        ('{ name = "adw-worktree" }', "adw-worktree"),
        ('{ name = "adw-worktree", directory = "/src/my tools" }', "/src/my tools"),
        ('{ name = "adw-worktree", git = "https://host/x.git" }', "git+https://host/x.git"),
        ('{ name = "six" }, { name = "adw-worktree", editable = "/src/a" }', "/src/a"),
        ('{ name = "six" }', "adw-worktree"),
        ("1", "adw-worktree"),
        ("[", "adw-worktree"),
    ],
)
def test_uv_tool_installs_again_from_where_it_had_us(
    tmp_path: Path, requirement: str, source: str
) -> None:
    """uv forgets on upgrade what `uv pip install` put into a tool's environment."""
    (tmp_path / "uv-receipt.toml").write_text(f"[tool]\nrequirements = [{requirement}]\n")
    words = shlex.split(install_command(LIBRARY, environment=tmp_path))
    assert words == ["uv", "tool", "install", "--with", LIBRARY, source]


def test_an_environment_of_uv_has_no_pip(tmp_path: Path) -> None:
    """In a real environment without pip, from that environment's own interpreter."""
    place = tmp_path / "my env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (place / "pyvenv.cfg").write_text((place / "pyvenv.cfg").read_text() + "uv = 0.5.0\n")
    asks = "from adw_worktree.system.install_hint import install_command as c; print(c('six>=1'))"
    checkout = Path(__file__).resolve().parents[2]
    told = subprocess.check_output([place / "bin" / "python", "-c", asks], cwd=checkout, text=True)
    python = str(place / "bin" / "python")
    assert shlex.split(told) == ["uv", "pip", "install", "--python", python, "six>=1"]

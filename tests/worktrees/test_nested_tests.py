"""A test tool of the main worktree stays out of those inside it: `create` says how, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import git


def commit(repo: Path, name: str, text: str) -> None:
    (repo / name).parent.mkdir(parents=True, exist_ok=True)
    (repo / name).write_text(text)
    git("add", name, cwd=repo)
    git("commit", "--quiet", "-m", name, cwd=repo)


def collected(repo: Path) -> list[str]:
    """Return the tests and the errors that pytest collects in the main worktree."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "::" in line or line.startswith("ERROR")]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nminversion = '8'\n"),
        ("setup.cfg", "[tool:pytest]\n"),
        ("tox.ini", "[pytest]\n"),
    ],
)
def test_create_says_once_what_keeps_pytest_out(adw: Adw, name: str, text: str) -> None:
    repo = adw.directory
    commit(repo, "check/test_it.py", "def test_it():\n    pass\n")
    commit(repo, name, text)
    told = adw("create", "a").stderr
    assert "pytest" in told
    assert 'addopts = "--ignore=trees"' in told
    assert "pytest" not in adw("create", "b").stderr
    found = collected(repo)
    assert found != ["check/test_it.py::test_it"]
    adds = 'addopts = "--ignore=trees"' if name == "pyproject.toml" else "addopts = --ignore=trees"
    (repo / name).write_text(f"{text}{adds}\n")
    assert collected(repo) == ["check/test_it.py::test_it"]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("jest.config.js", "module.exports = {};", "modulePathIgnorePatterns"),
        ("package.json", json.dumps({"jest": {}}), "modulePathIgnorePatterns"),
        ("vitest.config.ts", "export default {}", "configDefaults.exclude"),
        ("conftest.py", "", "--ignore=trees"),
    ],
)
def test_other_tools_get_their_own_words(adw: Adw, name: str, text: str, word: str) -> None:
    commit(adw.directory, name, text)
    assert word in adw("create", "a").stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README", "pytest"),
        ("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'),
        ("pytest.ini", "[pytest]\naddopts = --ignore=trees\n"),
        ("pyproject.toml", "[tool.black]\n"),
        ("package.json", "{}"),
        ("package.json", "nonsense"),
        ("package.json", "[]"),
        ("jest.config.mjs", 'export default { modulePathIgnorePatterns: ["<rootDir>/trees/"] }'),
    ],
)
def test_a_tool_that_stays_out_needs_no_word(adw: Adw, name: str, text: str) -> None:
    commit(adw.directory, name, text)
    assert adw("create", "a").stderr == ""


def test_worktrees_elsewhere_need_no_word(adw: Adw, tmp_path: Path) -> None:
    commit(adw.directory, "pytest.ini", "[pytest]\n")
    assert adw("create", "a", "--path", str(tmp_path / "elsewhere")).stderr == ""
    assert "pytest" in adw("create", "b").stderr

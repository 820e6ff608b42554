"""Test tools of the main worktree that would also run the tests of the worktrees inside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from adw_worktree.project import Project
from adw_worktree.system.paths import exists
from adw_worktree.system.records import read_file

_NOTED = "nested-tests-noted"


def nested_tests_notes(project: Project, worktree: Path) -> list[str]:
    """Return how to keep test tools out of the directory of worktrees; once for a repository.

    A tool whose configuration names that directory already, or the places of its tests, needs
    nothing. Nothing is said of worktrees that lie outside of the main one.
    """
    main, marker = project.repo.main, project.repo.tool_dir / _NOTED
    if main is None or not worktree.is_relative_to(main) or exists(marker):
        return []
    directory = worktree.parent.relative_to(main).as_posix()
    if directory == ".":
        directory = worktree.name
    notes = [
        f"{tool} in {main} would run the tests in {directory}/ as well; keep it out: {cure}"
        for tool, cure in _uncured(main, directory)
    ]
    if notes:
        try:
            marker.touch()
        except OSError:
            return []  # better not at all than with every worktree
    return notes


def _uncured(main: Path, directory: str) -> Iterator[tuple[str, str]]:
    """Yield each test tool whose configuration lacks a word on `directory`, and what to write."""
    pytest = _pytest_configuration(main)
    if pytest is not None and directory not in pytest and "testpaths" not in pytest:
        yield "pytest", f'addopts = "--ignore={directory}" in its configuration'
    for tool, files, cure in (
        ("jest", "jest.config", f'modulePathIgnorePatterns: ["<rootDir>/{directory}/"]'),
        ("vitest", "vitest.config", f'test.exclude: [...configDefaults.exclude, "{directory}/**"]'),
    ):
        text = _javascript_configuration(main, tool, files)
        if text is not None and directory not in text:
            yield tool, cure


def _pytest_configuration(main: Path) -> str | None:
    """Return the text in which pytest is configured in `main`, None if it is nowhere."""
    for name, section in (
        ("pytest.ini", ""),
        ("pyproject.toml", "[tool.pytest"),
        ("tox.ini", "[pytest]"),
        ("setup.cfg", "[tool:pytest]"),
    ):
        text = _text(main / name)
        if text is not None and section in text:
            return text[text.index(section) :]
    return "" if exists(main / "conftest.py") else None


def _javascript_configuration(main: Path, tool: str, stem: str) -> str | None:
    """Return the text in which `tool` is configured in `main`, None if it is nowhere."""
    for ending in ("ts", "mts", "js", "mjs", "cjs", "json"):
        text = _text(main / f"{stem}.{ending}")
        if text is not None:
            return text
    try:
        package = json.loads(_text(main / "package.json") or "{}")
        return json.dumps(package[tool]) if tool in package else None
    except (ValueError, TypeError):
        return None


def _text(file: Path) -> str | None:
    """Return the text of a configuration file, None if there is none that can be read."""
    try:
        return read_file(file).decode(errors="replace")
    except OSError:
        return None

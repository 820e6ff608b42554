"""A dozen plans in the styles of their authors: each is read as a careful person reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.orchestration.plan.check import Checked, check_plan

PLANS = Path(__file__).parent / "plans"


def checked(path: Path) -> Checked:
    return check_plan(path.read_bytes(), path.name)


def documents(suffix: str) -> list[Any]:
    return [pytest.param(path, id=path.name.split(".")[0]) for path in PLANS.glob(f"*{suffix}")
            if suffix != ".json" or ".bad" not in path.name]  # fmt: skip


@pytest.mark.parametrize("expected", documents(".json"))
def test_it_is_understood_as_a_careful_person_would(expected: Path) -> None:
    found = checked(expected.with_suffix(".md"))
    assert found.errors == 0, found.findings
    assert found.plan is not None
    wanted = json.loads(expected.read_text())
    plan = found.plan
    assert plan.title == wanted["title"]
    assert wanted["slug"] in (None, plan.slug)
    lanes = [{"number": lane.number, "scope": lane.scope} for lane in plan.lanes]
    assert lanes == wanted["lanes"]
    assert [task.id for task in plan.tasks] == [task["id"] for task in wanted["tasks"]]
    for task, one in zip(plan.tasks, wanted["tasks"], strict=True):
        assert (task.name, task.lane) == (one["name"], one["lane"])
        if one["depends_on"] is not None:
            assert sorted(task.depends_on) == sorted(one["depends_on"]), task.id
        assert len(task.criteria) == len(one["criteria"]), task.id
        assert [file.path for file in task.creates] == one["files"], task.id
        assert [file.path for file in task.changes] == one["changes"], task.id
        assert (len(task.tests), task.hours) == (one["tests"], one["hours"]), task.id
    assert len(plan.success) == wanted["success"]
    assert len(plan.integration) == wanted["integration"]


@pytest.mark.parametrize("expected", documents(".bad.json"))
def test_what_cannot_be_understood_is_refused_at_its_line(expected: Path) -> None:
    found = checked(PLANS / f"{expected.name.removesuffix('.bad.json')}.md")
    wanted = json.loads(expected.read_text())
    lines = {one.line for one in found.findings if one.level == "error"}
    assert lines == {wanted["line"], *(one["line"] for one in wanted.get("also", ()))}

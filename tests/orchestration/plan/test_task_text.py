"""The part of a task: its agent gets all that its author wrote, and no tick."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adw_worktree.orchestration.plan.check import check_plan
from adw_worktree.orchestration.plan.plan import Plan

PLANS = Path(__file__).parent / "plans"
PLAN = """\
# Login

Objective: log in.

## Integration points

- `POST /login`

## Tasks

### Task 1: Table

Adds it.

##### Acceptance criteria

1. [x] it has a column
2. [ ] wrong input is refused

##### Files to create

- [X] `a.py`

```python
### not a heading
- [x] not a box
```

### Task 2: Page

| Criteria | Then |
|---|---|
| x | y |

**Acceptance criteria**

| What | Seen |
|---|---|
| opens | 200 |

## Success criteria

- it works
"""


def plan_of(text: str) -> Plan:
    found = check_plan(text.encode(), "login.md")
    assert found.plan is not None, found.findings
    return found.plan


def bare(line: str) -> str:
    """Return a line without boxes, numbers of criteria, level and depth."""
    line = re.sub(r"(?:\[[ xX]\]\s+)?(?:#\d+\s)?", "", line.replace("\r", ""))
    return re.sub(r"^#+", "#", line.strip()).strip("| ")


def test_criteria_are_numbered_and_nothing_is_ticked() -> None:
    first, second = plan_of(PLAN).tasks
    assert "1. [ ] #1 it has a column\n2. [ ] #2 wrong input is refused" in first.text
    assert "- [ ] `a.py`" in first.text
    assert "| #1 opens | 200 |" in second.text


def test_code_is_left_as_it_is() -> None:
    assert "### not a heading\n- [x] not a box\n" in plan_of(PLAN).tasks[0].text


def test_headings_follow_that_of_the_issue() -> None:
    text = plan_of(PLAN).tasks[0].text
    assert re.findall(r"^#+ .*(?=\n)", text.split("```")[0], re.MULTILINE) == [
        "## Acceptance criteria",
        "## Files to create",
    ]


def test_a_task_of_a_list_or_a_table_has_its_part_too() -> None:
    for name in ("06-log-rotation.md", "11-admin-report.md"):
        found = check_plan((PLANS / name).read_bytes(), name).plan
        assert found is not None
        for task in found.tasks:
            for number, point in enumerate(task.criteria, 1):
                words = re.sub(r"\W+", " ", point.text).split()
                assert f"#{number} " in task.text
                assert set(words) <= set(re.sub(r"\W+", " ", task.text).split()), point


def readable() -> list[Path]:
    """Return the plans whose tasks are sections of lines that are left as they are."""
    others = ("06-", "07-", "13-", "14-")
    return [one for one in sorted(PLANS.glob("*.md")) if not one.name.startswith(others)]


@pytest.mark.parametrize("path", readable(), ids=lambda path: path.stem)
def test_nothing_of_a_task_is_lost(path: Path) -> None:
    """Otherwise an agent would build what its author has not described."""
    text = path.read_text(encoding="utf-8-sig")
    plan = check_plan(text.encode(), path.name).plan
    assert plan is not None
    lines = text.split("\n")
    ends = sorted([task.line for task in plan.tasks] + [lane.line for lane in plan.lanes])
    for task in plan.tasks[:-1]:  # where the last one ends is said by none of the others
        end = next(line for line in ends if line > task.line)
        shown = {bare(line) for line in task.text.split("\n")}
        assert [line for line in lines[task.line : end - 1]
                if bare(line) and bare(line) not in shown] == []  # fmt: skip

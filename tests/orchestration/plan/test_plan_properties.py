"""Whatever a document says, it is read as it is meant, or refused with a line: never half."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adw_worktree.orchestration.plan.check import Checked, check_plan
from tests.orchestration.plan.rendering import Style, Wanted, plans, styles, written

PLANS = sorted((Path(__file__).parent / "plans").glob("*.md"))
DOCUMENTS = [path.read_bytes().decode("utf-8-sig") for path in PLANS]


def checked(data: bytes) -> Checked:
    """Return what is found in a document; each finding stands on a line of it."""
    found = check_plan(data, "a.md")
    lines = len(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    assert all(1 <= one.line <= lines for one in found.findings), found.findings
    assert found.plan is not None or found.errors
    return found


def understood(found: Checked) -> list[Wanted]:
    assert found.plan is not None
    return [
        Wanted(task.id, task.name, task.lane, tuple(sorted(task.depends_on)),
               tuple(one.text for one in task.criteria), tuple(one.path for one in task.creates),
               tuple(one.path for one in task.changes), tuple(one.text for one in task.tests),
               task.hours)
        for task in found.plan.tasks
    ]  # fmt: skip


def garbled(text: str) -> str:
    """Return a text as a wrong code page makes it, if there is one for it."""
    try:
        return text.encode().decode("cp1252")
    except UnicodeDecodeError:
        return text


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(plans(), styles(), st.sampled_from(["", "crlf", "bom", "garbled"]))
def test_a_plan_is_read_as_it_is_meant_or_refused(
    tasks: list[Wanted], style: Style, file: str
) -> None:
    text = written(tasks, style)
    if file == "garbled":
        text = garbled(text)
    data = text.replace("\n", "\r\n").encode() if file == "crlf" else text.encode()
    found = checked(b"\xef\xbb\xbf" + data if file == "bom" else data)
    creating = [path for task in tasks for path in task.creates]
    if len(creating) == len(set(creating)) and file != "garbled":
        assert found.errors == 0, (found.findings, text)
    errors = [one.text for one in found.findings if one.level == "error"]
    if all("both create" in text_of_error for text_of_error in errors):
        wanted = [task._replace(needs=tuple(sorted(task.needs))) for task in tasks]
        assert understood(found) == wanted, text


@settings(max_examples=100)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
@example(b"---\n---\n\x0b")
@example(b"| Id | Name | Depends on |\n|-|-|-|\n| | | |\n")
@example(b"- " * 40 + b"a\n\n# Task 1: b\n")
@example(b"> " * 400 + b"a")
def test_no_bytes_make_it_fail(data: bytes) -> None:
    checked(data)


PIECES = ("# Task 1: a", "## Build Agent 1: b", "- [ ] c", "**Acceptance criteria**", "|a|b|",
          "|-|-|", "```", "<!--", "-->", "Dependencies: 1-2", "| Id | Depends on |", "---", "> q",
          "    x", "- **Files to create**: `a.py`", "===", "", "1. - * d", "Hours: 3 d",
          "\t- e")  # fmt: skip


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(["", "  ", "    "]), st.sampled_from(PIECES)), max_size=14)
)
def test_no_mixture_of_what_plans_are_made_of_makes_it_fail(lines: list[tuple[str, str]]) -> None:
    checked("\n".join(map("".join, lines)).encode())


@pytest.mark.thorough
@settings(max_examples=80)
@given(st.data())
def test_no_change_of_a_line_makes_it_fail(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from(DOCUMENTS)).split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    line, to = lines[at], data.draw(st.integers(0, len(lines) - 1))
    how = data.draw(st.sampled_from(["delete", "double", "move", "indent", "cut"]))
    if how in ("delete", "move"):
        del lines[at]
    lines[to:to] = [line] if how in ("double", "move") else []
    if how == "indent":
        lines[at] = f"    {line}"
    elif how == "cut":
        lines[at : at + 1] = [line[: len(line) // 2], line[len(line) // 2 :]]
    checked("\n".join(lines).encode())


def said(found: Checked) -> set[tuple[str, str]]:
    return {(one.level, one.text) for one in found.findings}


@pytest.mark.parametrize("path", PLANS[:12], ids=lambda path: path.stem)
def test_a_heading_that_is_none_takes_no_task_with_it(path: Path) -> None:
    """Otherwise its task would be built as the end of another one, or by nobody."""
    text = path.read_bytes().decode("utf-8-sig")
    plan = check_plan(text.encode(), "a.md").plan
    assert plan is not None
    lines = text.split("\n")
    for task in plan.tasks[:-1]:
        at = task.line - 1
        if lines[at].startswith(("|", "- ")):
            continue
        before = said(check_plan(text.encode(), "a.md"))
        for instead in ([], [f"    {lines[at]}"], [lines[at].replace("# ", "#")], ["x", lines[at]]):
            changed = "\n".join([*lines[:at], *instead, *lines[at + 1 :]])
            found = checked(changed.encode())
            names = [one.name for one in found.plan.tasks] if found.plan else []
            same = names == [one.name for one in plan.tasks]
            assert same or said(found) - before, (task.line, instead)


LONG = (
    "*",
    "[",
    "(",
    "-",
    "`",
    "<!--",
    "` ``",
    "**a",
    "a/",
    "_",
    " -",
    "(module: ",
    "| ",
    "{{",
    "1-",
)


@pytest.mark.parametrize("piece", LONG)
def test_no_long_line_keeps_it_busy(piece: str) -> None:
    """Otherwise one line of a foreign document would hold up whoever checks it."""
    long = (piece * 9_900)[:9_900]
    text = f"""# Login

### Task 1: {long}

Dependencies: {long}
Acceptance criteria:
- [ ] {long}
{long}

Files to create:
- {long}
- `{long}`

| {long} | a |
|---|---|
| {long} | {long[:5000]} |

{long}
"""
    begin = time.process_time()
    checked(text.encode())
    assert (
        time.process_time() - begin < 5
    )  # it takes some 0.1 s; what grows in squares takes minutes


def test_a_longer_line_is_refused_before_it_is_looked_at() -> None:
    ((line, level, text),) = checked(b"# Login\n\n" + b"*" * 100_000).findings
    assert (line, level) == (3, "error")
    assert "more than 10000 characters" in text

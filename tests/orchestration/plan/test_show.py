"""What is shown of a plan: for people, for programs, as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.command_line import Adw
from tests.support.plans import plan_text, task, write_plan
from tests.support.repositories import git


def add_files(repo: Path, *paths: str) -> None:
    """Commit files of these paths."""
    for path in paths:
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text("x\n")
    git("add", "--", *paths, cwd=repo)
    git("commit", "-qm", "files", cwd=repo)


HOSTILE = '<script>alert(1)</script> "a" & `b` ]] --> {{x}}'


def test_a_new_plan_has_the_slug_and_the_title(adw: Adw, repo: Path) -> None:
    adw("plan", "new", "login-form", "--title", "The <login>")
    text = (repo / "plans" / "login-form.md").read_text()
    assert text.startswith("---\nslug: login-form\n") and "\n# The <login>\n" in text
    assert "is there already" in adw("plan", "new", "login-form", code=2).stderr
    for slug in ("Login", "../x", "", "a" * 49):
        adw("plan", "new", slug, code=2)


def test_the_template_is_a_plan_once_it_is_filled_in(adw: Adw, repo: Path) -> None:
    adw("plan", "new", "login")
    path = repo / "plans" / "login.md"
    found = adw.json("plan", "check", "plans/login.md", code=10)
    assert {one["text"].partition(":")[0] for one in found["findings"]} == {
        "a placeholder was left in"
    }
    lines = path.read_text().splitlines()
    left_in = {number for number, line in enumerate(lines, 1) if "{{" in line}
    assert {one["line"] for one in found["findings"]} == left_in
    number = iter(range(1000))
    import re

    filled = re.sub(r"(?<=`)\{\{[^{}]*\}\}", lambda _: f"x{next(number)}/y.py", path.read_text())
    filled = re.sub(r"\{\{[^{}]*\}\}", lambda _: f"thing {next(number)}", filled)
    filled = re.sub(r"(Hours\*\*: )thing \d+", r"\g<1>2", filled)
    path.write_text(filled)
    plan = adw.json("plan", "check", "plans/login.md")["plan"]
    changed = [path for each in plan["tasks"] for path in each["changes"]]
    add_files(repo, *changed)
    found = adw.json("plan", "check", "plans/login.md")
    assert changed and found["findings"] == []
    assert [one["depends_on"] for one in found["plan"]["tasks"]] == [[], ["1"], ["1", "2"]]
    assert all(one["criteria"] for one in found["plan"]["tasks"])


def test_check_compares_the_files_of_the_plan_with_those_of_its_base(adw: Adw, repo: Path) -> None:
    add_files(repo, "app/main.py", "app/users/models.py", "docs/a.md")
    more = ["", "**Files to change**", ""]
    more += [f"- `{path}`" for path in ("app/main.py", "app/models.py", "new.py", "docs/", "d/*")]
    first = task(1, creates=["app/users/models.py", "new.py"]) + "\n".join(more)
    text = plan_text([first])
    plan = write_plan(adw, text)
    found = adw.json("plan", "check", plan)["findings"]
    lines = text.split("\n")
    about = {lines[one["line"] - 1]: one["text"] for one in found}
    assert about == {
        "- `app/users/models.py`": "task 1 creates app/users/models.py, which is in HEAD already",
        "- `app/models.py`": "task 1 changes app/models.py, which is not in HEAD, and no task "
        "creates it: is app/users/models.py meant?",
    }
    git("checkout", "-qb", "other", "HEAD~1", cwd=repo)
    write_plan(adw, plan_text([first], front="base: HEAD"))
    found = adw.json("plan", "check", plan)["findings"]
    assert [one["text"].split(",")[0] for one in found] == [
        "task 1 changes app/main.py", "task 1 changes app/models.py",
    ]  # fmt: skip


def test_check_says_what_the_plan_would_run(adw: Adw) -> None:
    from tests.support.scripted_agent import add_settings, scripted

    scripted(adw, "one")
    add_settings("[stages.build]", agents=["one"])
    add_settings("[stages.test]", run="make test")
    plan = write_plan(adw, plan_text([task(1)], success=["`make lint` passes"]))
    shown = adw("plan", "check", plan).stdout
    assert "workflow build: build, test, checklist, ship" in shown
    assert "command of the checklist: make lint" in shown


def test_lanes_overlaps_and_the_critical_path_are_shown(adw: Adw) -> None:
    hours = "- **Hours**: {}\n\n**Acceptance criteria**"
    parts = [task(1), task(2, needs="Task 1"), task(3, needs="Task 1")]
    one, two, three = (
        part.replace("**Acceptance criteria**", hours.format(count))
        for part, count in zip(parts, (2, 5, 3), strict=True)
    )
    both = "**Files to change**\n\n- `shared.py`\n\n**Test cases**"
    two, three = (part.replace("**Test cases**", both) for part in (two, three))
    plan = write_plan(adw, plan_text([one, two], [three]))
    shown = adw("plan", "show", plan).stdout
    assert "build agent 1 (scope 1): 1, 2" in shown
    assert "overlap: 2 and 3 both have shared.py" in shown
    assert "critical path: 1 → 2: 7 h of 10 h in all" in shown
    assert "at most 2 side by side" in shown
    document = adw.json("plan", "show", plan)["plan"]
    assert json.loads(adw("plan", "show", plan, "--format", "json").stdout) == document
    assert document["critical_path"] == ["1", "2"]


@pytest.mark.parametrize("name", ["Schema", HOSTILE])
def test_pictures_are_well_formed_whatever_tasks_are_called(adw: Adw, name: str) -> None:
    from adw_worktree.orchestration.plan.check import check_plan
    from adw_worktree.orchestration.plan.drawing import svg
    from adw_worktree.orchestration.plan.show import mermaid

    text = plan_text([task(1, name=name), task(2, name=name)], title=f"A {name}")
    plan = check_plan(text.encode(), "login.md").plan
    assert plan is not None
    root = ElementTree.fromstring(svg(plan))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in names
    assert sum(element.tag.endswith("rect") for element in root.iter()) == 2
    for line in mermaid(plan).splitlines():
        assert "<" not in line and line.count('"') in (0, 2)


@pytest.mark.parametrize(
    "words",
    [
        ["feature", "add", "v\udcff.md", "--yes"],
        ["feature", "checklist", "\udcff"],
        ["phase", "judge", "x.1", "--item", "1", "--verdict", "pass", "-m", "\udcff"],
        ["plan", "draft", "x", "\udcff"],
    ],
)
def test_an_argument_that_is_no_text_is_refused(adw: Adw, words: list[str]) -> None:
    write_plan(adw, plan_text([task(1)]), "v\udcff")
    assert "is not UTF-8" in adw(*words, code=2).stderr


def test_a_point_that_no_store_can_count_is_none(adw: Adw) -> None:
    from tests.support.scripted_agent import add_settings, scripted

    scripted(adw, "one")
    add_settings("[stages.build]", agents=["one"])
    adw("feature", "add", write_plan(adw, plan_text([task(1)])), "--yes")
    judge = ["phase", "judge", "login.1", "--verdict", "pass", "-m", "x", "--item"]
    assert "has no point" in adw(*judge, "9" * 23, code=6).stderr
    for slug in ("a\n", "a b"):
        assert "is no slug" in adw("plan", "new", slug, code=2).stderr

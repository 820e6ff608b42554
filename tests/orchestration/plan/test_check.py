"""Each kind of fault of a plan is said once, with the line on which it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from adw_worktree.orchestration.plan.check import Checked, check_plan, shown
from adw_worktree.orchestration.plan.phases import planned_feature

HEAD = """\
# Login

## Objective

People log in.

## Integration points

- `POST /login`

## Success criteria

- [ ] it works

## Tasks
"""
TASKS = HEAD.count("\n") + 1
"""The line of the first task."""


def task(number: int | str, *more: str, needs: str = "none", name: str = "Table") -> str:
    """Return a task of 7 lines, and those of `more`."""
    head = [f"### Task {number}: {name}", f"Dependencies: {needs}", "", "Acceptance criteria:", ""]
    return "\n".join([*head, f"- [ ] it has {number}", *more, "", ""])


def files(*paths: str) -> list[str]:
    return ["", "Files to create:", "", *(f"- `{path}`" for path in paths)]


def checked(text: str | bytes, name: str = "login.md") -> Checked:
    return check_plan(text if isinstance(text, bytes) else text.encode(), name)


def errors(text: str | bytes) -> list[tuple[int, str]]:
    return [(one.line, one.text) for one in checked(text).findings if one.level == "error"]


def warnings(text: str) -> list[tuple[int, str]]:
    return [(one.line, one.text) for one in checked(text).findings if one.level == "warning"
            and "it does not say" not in one.text and "test cases" not in one.text
            and "which files" not in one.text]  # fmt: skip


def test_a_plan_without_fault_has_no_error() -> None:
    found = checked(HEAD + task(1) + task(2, needs="Task 1"))
    assert found.errors == 0
    assert found.plan is not None
    assert [one.depends_on for one in found.plan.tasks] == [(), ("1",)]


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("Objective", "there is no objective"),
        ("Integration points", "there are no integration points"),
        ("Success criteria", "there are no success criteria"),
    ],
)
def test_a_needed_part_that_is_missing_is_named(missing: str, told: str) -> None:
    before, _, after = HEAD.partition(f"## {missing}\n")
    text = before + after[after.index("## ") :] + task(1)
    ((line, said),) = errors(text)
    assert line == 1
    assert said.startswith(told)


def test_a_plan_without_tasks_or_title_says_so() -> None:
    assert [line for line, text in errors(HEAD) if "there is no task" in text] == [1]
    assert "there is no title" in errors(HEAD.split("\n", 2)[2] + task(1))[0][1]


def test_parts_with_nothing_under_them_are_named() -> None:
    text = HEAD.replace("- `POST /login`\n", "").replace("- [ ] it works\n", "") + task(1)
    assert errors(text) == [
        (7, "there is nothing under 'Integration points'"),
        (10, "there is nothing under 'Success criteria'"),
    ]


def test_a_part_in_prose_is_read_too() -> None:
    found = checked(HEAD.replace("- `POST /login`", "The endpoint `POST /login`.") + task(1))
    assert found.plan is not None
    assert [one.text for one in found.plan.integration] == ["The endpoint `POST /login`."]


@pytest.mark.parametrize(
    ("more", "place", "told"),
    [
        (task(1, needs="Task 9"), 1, "there is no task 9"),
        (task(1, needs="the schema work"), 1, "names no task"),
        (task(1, needs="Task 1"), 1, "task 1 depends on itself"),
        (task(1) + task(2, needs="None, but Task 1 first"), 8, "meant, too"),
        (task(1) + task(2, needs="Task 1 (and 2)"), 8, "meant, too"),
        (task(1) + task(2, needs="before Task 1"), 8, "which task"),
        (task(1) + task(2, needs="needed by Task 1"), 8, "which task"),
        (task(1) + task(2, needs="Task 1 or Task 2"), 8, "'or' names no task"),
        (task(1) + task(1), 7, "task 1 stands on line 16, too"),
        (task(1, "", "###Task 2: Page"), 7, "no heading to Markdown"),
        (task(1, "", "#### Task 2: Page"), 7, "stands inside of another task"),
        (task(1, "", "    #### Task 2: Page"), 7, "no heading to Markdown"),
        (task(1, "      - [ ] it is far"), 6, "no point"),
        (task(1, "", "**Acceptence criteria**"), 7, "is 'acceptance criteria' meant?"),
        (task(1, "", "Acceptance criteria:", "", "- [ ] more"), 7, "stands on line 19, too"),
        (task(1, "", "```", "more"), 7, "has no end"),
        (task(1, "", "```", "a", "```py", "b", "```"), 9, "code begins again"),
        (task(1, "", "<!-- what was"), 7, "the comment that begins here has no end"),
        (task(1, *files("../a.py")), 9, "no path inside the repository"),
        (task(1, *files("/etc/passwd")), 9, "no path inside the repository"),
        (task(1, *files("a/.git/config")), 9, "no path inside the repository"),
        (task(1, *files("src/Ã¼ber.md")), 9, "wrong code page"),
        (task(1, *files("just words")), 9, "names no file"),
        (task(1).replace("- [ ] it has 1", "none"), 3, "task 1 has no acceptance criteria"),
        (task(1, name="{{name}}"), 0, "a placeholder was left in: {{name}}"),
        (task(1, "- [ ] TODO"), 6, "a placeholder was left in"),
        (task(1, "- [ ] [Describe it]"), 6, "a placeholder was left in: [Describe it]"),
        (task(1, "- [ ] `{{command}}` passes"), 6, "a placeholder was left in: `{{command}}`"),
        (task(1, *files("a.py")) + task(2, *files("a.py")), 20,
         "tasks 1 and 2 both create a.py (line 25), side by side"),
        (task(1, *files("a.py")) + task(2, *files("a.py"), needs="Task 1"), 20,
         "tasks 1 and 2 both create a.py (line 25)"),
    ],
)  # fmt: skip
def test_a_fault_is_said_by_its_line(more: str, place: int, told: str) -> None:
    ((line, text),) = errors(HEAD + more)
    assert line == TASKS + place
    assert told in text


def test_a_circle_is_said_by_its_path() -> None:
    text = HEAD + task(1, needs="Task 3") + task(2, needs="Task 1") + task(3, needs="Task 2")
    ((line, said),) = errors(text)
    assert line in (TASKS, TASKS + 8, TASKS + 16)
    assert said.startswith("tasks wait for each other: task ")
    path = said.partition(": ")[2].split(" on ")
    assert path[0] == path[-1]
    assert "task 1 on task 3 on task 2 on task 1" in f"{' on '.join(path + path[1:])}"


@pytest.mark.parametrize(
    ("more", "place", "told"),
    [
        (task(1) + task(3), 7, "there is a task 3, but no task 2"),
        (task(1, "- and this"), 6, "some have a box"),
        (task(1, "- [ ] `src/a.py`"), 6, "names a file alone"),
        (task(1, "  - [ ] a part of it"), 6, "the box is not read"),
        (task(1, "", "Hours: soon"), 7, "no number of hours"),
        (task(1, "", "**Not closed"), 7, "has no end in this line"),
    ],
)
def test_what_is_doubtful_is_said_by_its_line(more: str, place: int, told: str) -> None:
    assert errors(HEAD + more) == []
    assert [line for line, text in warnings(HEAD + more) if told in text] == [TASKS + place]


def test_a_task_without_tests_or_files_is_warned_of() -> None:
    said = [one.text for one in checked(HEAD + task(1)).findings if one.line == TASKS]
    assert said == [
        "task 1 does not say which files it creates or changes",
        "task 1 has no test cases: add them, or 'none' and why",
    ]


def test_files_that_two_tasks_change_side_by_side_are_said() -> None:
    changes = ["", "Files to change:", "", "- `a.py`"]
    text = HEAD + task(1, *changes) + task(2, *changes)
    ((line, said),) = warnings(text)
    assert line == TASKS + 20
    assert "add a dependency, or serialize_overlaps: true" in said
    ((line, said),) = warnings(f"---\nserialize_overlaps: true\n---\n{text}")
    assert line == TASKS + 23
    assert said.endswith("the second waits for the first")
    assert warnings(HEAD + task(1, *changes) + task(2, *changes, needs="Task 1")) == []


def test_a_task_under_no_build_agent_is_refused() -> None:
    text = HEAD + "### Build agent 1: Page\n\n#" + task(1) + "## Elsewhere\n\n#" + task(2)
    assert errors(text) == [(TASKS + 11, "task 2 stands under no build agent, as others do")]


def test_what_has_criteria_and_no_id_is_no_unknown_text() -> None:
    """Otherwise a task whose heading has a mistake would never be built."""
    text = HEAD + task(1) + task(2, *files("a.py")).replace("### Task", "### Taks")
    assert [line for line, _ in errors(text)] == [TASKS + 7]


@pytest.mark.parametrize(
    ("head", "line", "told"),
    [
        ("colour: red", 2, "colour: there is no such key"),
        ("\npriority: 101", 3, "priority: "),
        ("priority: '5'", 2, "priority: "),
        ("slug: Log In", 2, "slug: "),
        ("slug: a\nslug: b", 3, "slug stands on line 2, too"),
        ("budget-usd: 1\nbudget_usd: 2", 3, "budget_usd stands on line 2, too"),
        ("budget_usd: .inf", 2, "budget_usd: "),
        ("budget_usd: yes", 2, "budget_usd: "),
        ("priority: yes", 2, "priority: "),
        ("\tslug: login", 2, "the front matter is no YAML"),
        ("slug: *a", 2, "the front matter is no YAML"),
        ("a: &a [x, x]\nb: &b [*a, *a]", 2, "'a' takes a word or a number"),
        ("<<: {slug: a}", 2, "'<<' takes a word or a number"),
        ("slug: !!timestamp x", 2, "'slug' takes a word or a number"),
        ("land: 2024-13-99", 2, "'land' takes a word or a number"),
        ("- slug", 2, "the front matter has no keys"),
        ("x" * 20_000 + ": 1", 1, "characters"),
    ],
)
def test_front_matter_is_refused_by_its_line(head: str, line: int, told: str) -> None:
    found = errors(f"---\n{head}\n---\n{HEAD}{task(1)}")
    assert (line if len(head) < 10_000 else 2) in [one for one, text in found if told in text]


LANES = "\n".join(["## Build agent 1: be", "", task(1), "## Build agent 2: fe", ""])


@pytest.mark.parametrize("title", ["## Not in scope", "## Future work", "## Appendix: an example"])
def test_a_task_that_is_not_to_be_done_now_is_refused(title: str) -> None:
    found = errors(HEAD + task(1) + f"{title}\n\n" + task(2))
    assert [line for line, text in found if "would be done" in text] == [TASKS + 9]


@pytest.mark.parametrize("word", ["[CANCELLED]", "(deferred)", "(out of scope)"])
def test_a_task_that_is_called_off_is_refused(word: str) -> None:
    [found] = errors(HEAD + task(1, name=f"Table {word}"))
    assert found[0] == TASKS and "is called off" in found[1]


@pytest.mark.parametrize(
    "text",
    [
        "## Build agent 2: docs\n\n- Task 3: Write the docs\n",
        "## Build agent 2: docs\n\n* [ ] **Task 3**: Write the docs\n",
        "## Build agent 2: docs\n\n1. **Docs**\n   - Files: `a.md`\n",
        "## Build agent 2: docs\n\n| ID | Task | Hours |\n|---|---|---|\n| 3 | Docs | 2 |\n",
    ],
)
def test_a_build_agent_without_a_task_is_refused(text: str) -> None:
    found = errors(HEAD + "## Build agent 1: be\n\n" + task(1) + text)
    assert (TASKS + 9, "build agent 2 has no task") in [(n, t.partition(":")[0]) for n, t in found]


def test_a_task_that_a_list_names_alone_is_refused() -> None:
    found = errors(f"{HEAD}- Task 1: Table\n- Task 3: Docs\n\n" + task(1))
    assert [(line, text[:6]) for line, text in found] == [(TASKS + 1, "task 3")]


@pytest.mark.parametrize(
    "label",
    ["*Depends on*:", "_Depends on:_", "`depends_on`:", "**Predecessors**:", "Must come after:"],
)
def test_a_dependency_is_read_however_its_label_is_written(label: str) -> None:
    second = task(2).replace("Dependencies: none", f"{label} Task 1")
    found = checked(HEAD + LANES + second)
    assert found.plan is not None and found.errors == 0
    assert found.plan.tasks[1].depends_on == ("1",)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}{LANES}- **Dependencies**: Build agent 1\n\n{task(2)}",
        f"{HEAD}{LANES}{task(2, '- Depends on Task 1')}",
        f"{HEAD}{LANES}{task(2, '', 'Requires Task 1.')}",
        f"{HEAD}{LANES}{task(2, name='Table (depends on Task 1)')}",
        f"{HEAD}{LANES}{task(2)}## Task dependencies\n\n- Task 2 depends on Task 1\n",
        f"{HEAD}{LANES.replace('fe', 'fe (starts after build agent 1)')}{task(2)}",
    ],
)
def test_a_dependency_that_is_not_read_is_said(text: str) -> None:
    said = [one.text for one in checked(text).findings]
    assert [one for one in said if "not read as a dependency" in one or "waits for" in one], said


@pytest.mark.parametrize(
    "more",
    [
        ["", "**Security**", "", "- no password is logged"],
        ["  - nothing is logged"],
        ["", "No password is logged."],
    ],
)
def test_what_is_no_criterion_and_looks_like_one_is_said(more: list[str]) -> None:
    said = [text for _, text in warnings(HEAD + task(1, *more))]
    assert [one for one in said if "not read" in one or "no point under it is one" in one], said


def test_points_under_points_of_the_plan_are_said() -> None:
    text = HEAD.replace("- [ ] it works", "- [ ] all of them answer with 200, as `curl` says:\n"
                        "  - `GET /a`\n  - `GET /b`") + task(1)  # fmt: skip
    assert len([one for _, one in warnings(text) if "point of its own" in one]) == 2
    text = HEAD.replace("- [ ] it works", "`make test` passes, and:\n\n- [ ] it works") + task(1)
    assert len([one for _, one in warnings(text) if "point of its own" in one]) == 1


@pytest.mark.parametrize("text", ["delete `g.py`", "`g.py` (remove)", "`g.py`: moved to `h.py`"])
def test_a_file_that_goes_is_none_to_create(text: str) -> None:
    found = checked(HEAD + task(1, "", "Files:", "", f"- {text}"))
    assert found.plan is not None
    assert found.plan.tasks[0].creates == ()
    assert "g.py" in [one.path for one in found.plan.tasks[0].changes]


@pytest.mark.parametrize("path", ["src/{a,b}.py", "src/x y.py", "src/a b/c.py"])
def test_a_path_with_blanks_or_braces_is_refused(path: str) -> None:
    found = errors(HEAD + task(1, *files(path)))
    assert [(line, "is no one path" in text) for line, text in found] == [(TASKS + 9, True)]


@pytest.mark.parametrize(
    ("front", "text", "told"),
    [
        ("phases: lanes", f"## Build agent 1: {'s' * 210}\n\n{task(1)}", "title: "),
        ("slug: a", task(1, "", *["x" * 100] * 2100), "prompt: "),
        ("phases: lanes", "\n".join(["## Build agent 1: a", "", task(1), task(3, needs="Task 2"),
                                     "## Build agent 2: b", "", task(2, needs="Task 1")]),
         "wait for each other"),
    ],
    ids=["a long scope", "a long task", "a circle of build agents"],
)  # fmt: skip
def test_what_makes_no_phase_is_refused(front: str, text: str, told: str) -> None:
    found = errors(f"---\n{front}\n---\n{HEAD}{text}")
    assert [one for line, one in found if told in one and line > TASKS], found


@pytest.mark.parametrize("hidden", ["\x1b[31m", "\x07", "\u202e", "\ufffe"])
def test_a_character_that_nobody_sees_is_refused(hidden: str) -> None:
    said = f"there is a character that nobody sees (U+{ord(hidden[0]):04X}): delete it"
    assert errors(HEAD + task(1, name=f"Table {hidden}x")) == [(TASKS, said)]


@pytest.mark.parametrize(
    "line",
    [
        "- [ ] ~~it is blue~~",
        "~~- [ ] it is blue~~",
        "#### ~~Task 2: Blue~~",
        "it is ~~blue\nnow~~",
    ],
)
def test_what_is_struck_out_is_refused(line: str) -> None:
    found = errors(HEAD + task(1, "", line))
    assert [one for one, said in found if "is struck out" in said] == [TASKS + 7]


@pytest.mark.parametrize("line", ["- `a ~~ b ~~ c`", "about ~~5 of them", "~~~\n~~x~~\n~~~"])
def test_what_only_has_tildes_is_not_struck_out(line: str) -> None:
    assert not [said for _, said in errors(HEAD + task(1, "", line)) if "struck" in said]


def test_a_bomb_of_references_is_never_built() -> None:
    head = "\n".join(f"k{n}: &k{n} {{<<: [*k{n - 1}, *k{n - 1}]}}" for n in range(1, 60))
    found = errors(f"---\nk0: &k0 {{a: 1}}\n{head}\n---\n{HEAD}{task(1)}")
    assert {line for line, _ in found} == {*range(2, 62)}


@pytest.mark.parametrize(
    ("text", "line"),
    [("---\nslug: a\n\n", 1), ("slug: a\n---\n\n", 1)],
    ids=["no end", "no beginning"],
)
def test_half_a_front_matter_is_none(text: str, line: int) -> None:
    assert line in [one for one, said in errors(text + HEAD + task(1)) if "front matter" in said]


def test_words_for_priorities_and_landings_are_known() -> None:
    found = checked(f"---\npriority: Urgent\nland: pull-request\n---\n{HEAD}{task(1)}")
    assert found.plan is not None
    assert (found.plan.front.priority, found.plan.front.land) == (10, "pr")


@pytest.mark.parametrize(
    ("data", "line", "told"),
    [
        (b"# Login\r\n\r\ncaf\xe9\n", 3, "the byte 0xe9 is not UTF-8"),
        ("# Login\n".encode("utf-16"), 1, "is not UTF-8"),
        (b"# Login\n\na\0b\n", 3, "a NUL character"),
        (b"# Login\n\n" + b"x" * 20_000, 3, "more than 10000 characters"),
        (b"", 1, "there is no task"),
    ],
    ids=["latin-1", "utf-16", "nul", "long", "empty"],
)
def test_what_is_no_text_of_a_plan_is_refused(data: bytes, line: int, told: str) -> None:
    assert any(one == line and told in text for one, text in errors(data))


def test_lines_are_those_of_the_file_whatever_ends_them() -> None:
    text = HEAD + task(1, "- [ ] a\u2028b\x0cc") + task(2, needs="Task 9")
    for one in (text, text.replace("\n", "\r\n"), text.replace("\n", "\r"), f"\ufeff{text}"):
        ((line, _),) = errors(one)
        assert line == TASKS + 9


def test_everything_left_in_the_template_is_said() -> None:
    template = Path(__file__).parents[3] / "templates" / "plan.md"
    text = template.read_text()
    said = {line for line, _ in errors(text)}
    comment = {number for number, line in enumerate(text.split("\n"), 1) if "plan check" in line}
    left = {number for number, line in enumerate(text.split("\n"), 1) if "{{" in line}
    assert said == left - comment


def test_findings_are_printed_as_compilers_do() -> None:
    found = checked(HEAD + task(1, needs="Task 9"))
    line = f"plans/login.md:{TASKS + 1}: error: dependencies of task 1: there is no task 9"
    assert line in shown(found.findings, "plans/login.md")


def test_a_slug_is_made_of_the_name_or_asked_for() -> None:
    found = check_plan((HEAD + task(1)).encode(), "Log_In 2.md")
    assert found.plan is not None
    assert found.plan.slug == "log-in-2"
    assert "makes no slug" in shown(check_plan((HEAD + task(1)).encode(), "日.md").findings, "x")[0]


@pytest.mark.parametrize(
    ("written", "labels"), [("gpu", ("gpu",)), ("`gpu`, big-disk", ("gpu", "big-disk"))]
)
def test_a_task_names_what_its_host_has_to_have(written: str, labels: tuple[str, ...]) -> None:
    found = checked(HEAD + task(1, "", f"Runs on: {written}"))
    assert found.errors == 0, found.findings
    assert found.plan is not None
    assert found.plan.tasks[0].labels == labels
    [phase] = planned_feature(found.plan).feature.phases
    assert phase.needs == tuple(sorted(labels))


def test_a_word_that_is_no_label_of_a_host_is_refused() -> None:
    ((_, text),) = errors(HEAD + task(1, "", "Runs on: GPU!"))
    assert text == "'GPU!' is no label of a host, such as gpu"

"""Plans that are drawn, and written down in one of the ways in which people write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

LABELS = {
    "dependencies": ("Dependencies", "Depends on", "Blocked by", "Requires"),
    "hours": ("Hours", "Estimated hours", "Effort", "Estimate"),
    "criteria": ("Acceptance criteria", "Done when", "Definition of done", "Acceptance Criteria"),
    "creates": ("Files to create", "New files", "Creates"),
    "changes": ("Files to change", "Files to modify", "Modifies"),
    "tests": ("Test cases", "Tests", "Tests to write"),
}
WORDS = (
    "Table of users", "`a | b` stays", "answers 401 | 403", "“naïve” – café, 3 × 4 €",
    "Größe: 5–7 %", "日本語 too", "[links] (and more)", "it's <b>, & so on",
    "`POST /x/{id}` is there", "C++ / C#", "two_words and __init__", "none of it is lost",
    "5 < 6; 7 > 2", "Needs: nothing",
    "a [ ] box",
)  # fmt: skip
PATHS = ("src/a.py", "src/app/__init__.py", "web/src/routes/+page.svelte", "Makefile",
         ".env.example", "src/[id]/page.tsx", "docs/größe.md", "tests/test_a.py")  # fmt: skip
FAKE = ["```text", "#### Task 77: Fake", "- **Dependencies**: Task 1", "- [ ] fake", "```"]


class Wanted(NamedTuple):
    """A task as it is meant."""

    id: str
    name: str
    lane: str | None
    needs: tuple[str, ...]
    criteria: tuple[str, ...]
    creates: tuple[str, ...]
    changes: tuple[str, ...]
    tests: tuple[str, ...]
    hours: float | None


class Style(NamedTuple):
    """How an author writes."""

    tasks: str
    fields: str
    level: int
    labels: dict[str, str]
    names: int
    """Which of the ways of naming dependencies is used."""
    order: tuple[str, ...]
    """That of the fields."""
    box: str
    has_noise: bool


def texts(most: int, least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    """Draw different lines of text."""
    one = st.lists(st.sampled_from(WORDS), min_size=1, max_size=2, unique=True).map(" ".join)
    return st.lists(one, min_size=least, max_size=most, unique=True).map(tuple)


@st.composite
def plans(draw: st.DrawFn) -> list[Wanted]:
    """Draw the tasks of a plan."""
    count = draw(st.integers(2, 8))
    prefix = draw(st.sampled_from(["", "", "T", "P1."]))
    agents = draw(st.sampled_from([0, 1, 2, 3]))
    ids = [f"{prefix}{number}" for number in range(1, count + 1)]
    found = []
    for place, name in enumerate(ids):
        paths = draw(st.lists(st.sampled_from(PATHS), max_size=4, unique=True))
        cut = draw(st.integers(0, len(paths)))
        needs = draw(st.sets(st.sampled_from(ids[:place]))) if place else set()
        found.append(
            Wanted(
                id=name,
                name=" ".join(draw(texts(1, 1))),
                lane=str(1 + place * agents // count) if agents else None,
                needs=tuple(one for one in ids if one in needs),
                criteria=draw(texts(3, 1)),
                creates=tuple(paths[:cut]),
                changes=tuple(paths[cut:]),
                tests=draw(texts(2)),
                hours=draw(st.sampled_from([None, 0.5, 3.0])),
            )
        )
    return found


@st.composite
def styles(draw: st.DrawFn) -> Style:
    """Draw the manner of an author."""
    tasks = draw(st.sampled_from(["headings", "headings", "bold", "list", "table"]))
    ways = {"headings": ["headings", "bold", "colon", "points", "rows"], "bold": ["bold", "colon"],
            "list": ["points", "colon"], "table": ["columns"]}  # fmt: skip
    return Style(
        tasks=tasks,
        fields=draw(st.sampled_from(ways[tasks])),
        level=draw(st.integers(3, 5)),
        labels={key: draw(st.sampled_from(words)) for key, words in LABELS.items()},
        names=draw(st.integers(0, 4)),
        order=tuple(draw(st.permutations([*LABELS]))),
        box=draw(st.sampled_from(["[ ] ", "[x] ", "[X] ", ""])),
        has_noise=draw(st.booleans()),
    )


def written(tasks: Sequence[Wanted], style: Style) -> str:
    """Return a plan as Markdown."""
    lines = ["# A feature", ""]
    for title, text in (("Objective", "People get it."), ("Integration points", "- `POST /x`"),
                        ("Success criteria", "- [ ] it works"), ("Tasks", "")):  # fmt: skip
        lines += [f"**{title}**" if style.tasks == "bold" else f"## {title}", "", text, ""]
    if style.tasks == "table":
        return "\n".join([*lines, *_table(tasks, style), ""])
    lane = None
    for task in tasks:
        if task.lane != lane:
            lane = task.lane
            title = f"Build Agent {lane}: Part {lane}"
            deep = 3 if style.tasks == "list" else style.level - 1
            lines += [f"**{title}**" if style.tasks == "bold" else f"{'#' * deep} {title}", ""]
        lines += [*_task(task, style), ""]
    return "\n".join(lines)


def _task(task: Wanted, style: Style) -> list[str]:
    if style.tasks == "list":
        first = f"- {style.box}**Task {task.id}**: {task.name}"
        return [first, *(f"  {line}" if line else "" for line in _fields(task, style))]
    title = f"Task {task.id}: {task.name}"
    if style.tasks == "bold":
        title = f"**Task {task.id}**: {task.name}"
    else:
        title = f"{'#' * style.level} {title}"
    noise = ["Some words: of prose.", "", *FAKE, ""] if style.has_noise else []
    return [title, "", *noise, *_fields(task, style)]


def _fields(task: Wanted, style: Style) -> list[str]:
    values = _values(task, style)
    if style.fields == "rows":
        rows = [f"| {style.labels[key]} | {_cell(found)} |" for key, found in values.items()]
        return ["| Field | Value |", "|---|---|", *rows]
    lines: list[str] = []
    for key, found in values.items():
        label, is_list = style.labels[key], key not in ("dependencies", "hours")
        points = [f"- {style.box if key == 'criteria' else ''}{one}" for one in found]
        if style.fields == "points" or style.tasks == "list":
            label = f"- **{label}**:" if style.fields == "points" else f"- {label}:"
            lines += (
                [label, *(f"  {one}" for one in points)] if is_list else [f"{label} {found[0]}"]
            )
        elif style.fields == "headings":
            lines += [f"{'#' * (style.level + 1)} {label}", "", *(points if is_list else found), ""]
        else:
            label = f"**{label}:**" if style.fields == "bold" else f"{label}:"
            lines += [label, "", *points, ""] if is_list else [f"{label} {found[0]}", ""]
    return lines


def _values(task: Wanted, style: Style) -> dict[str, Sequence[str]]:
    values = {
        "dependencies": [named(task.needs, style.names)],
        "hours": [f"{task.hours:g}"] if task.hours is not None else [],
        "criteria": task.criteria,
        "creates": [f"`{path}`" for path in task.creates],
        "changes": [f"`{path}`" for path in task.changes],
        "tests": task.tests,
    }
    return {key: values[key] for key in style.order if values[key]}


def named(needs: Sequence[str], way: int) -> str:
    """Return dependencies as people write them."""
    if not needs:
        return ("None", "none", "–", "N/A", "nothing (can run in parallel with all)")[way]
    return (
        ", ".join(f"Task {one}" for one in needs),
        " and ".join(needs),
        f"Tasks {', '.join(needs)}",
        f"Can only start once {' and '.join(f'Task {one}' for one in needs)} must be complete.",
        "; ".join(f"#{one}" for one in needs),
    )[way]


def _table(tasks: Sequence[Wanted], style: Style) -> list[str]:
    heads = ["Id", "Name", *(["Agent"] if tasks[0].lane else []), *style.labels.values()]
    rows = []
    for task in tasks:
        values = _values(task, style)
        cells = [task.id, task.name, *([task.lane] if task.lane else [])]
        cells += [_cell(values.get(key, ())) for key in style.labels]
        rows.append(
            " | ".join(one.replace("|", "\\|") if "\\|" not in one else one for one in cells)
        )
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {row} |" for row in rows)]


def _cell(found: Sequence[str]) -> str:
    return "<br>".join(found).replace("|", "\\|")

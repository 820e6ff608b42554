"""Tasks, made of what a document says of each: checked, with what they depend on.

What holds here: a field that cannot be understood is said with its line, and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from adw_worktree.orchestration.plan.dependencies import Places, Unclear
from adw_worktree.orchestration.plan.fields import LABEL
from adw_worktree.orchestration.plan.fields_of_task import Fields
from adw_worktree.orchestration.plan.files import is_path, planned_files
from adw_worktree.orchestration.plan.markdown import Line
from adw_worktree.orchestration.plan.plan import Finding, PlannedFile, Point, Task
from adw_worktree.orchestration.plan.task_text import Lines, part

NONE = (
    r"(?i)^(?:none|nothing|n\s*/?\s*a|no(?:\s+tests?)?|[-\u2013\u2014]+)(?:\s*$|\s*[:,;.(\u2013\u2014-]|"
    r"\s+(?=(?:needed|required|necessary|because|since|as|here|yet)\b))\W*(.*)$"
)
"""A point that says that there is none, with its reason as the group."""
_HOURS = (
    r"(?i)^(?:about|approx\.?|~|≈|ca\.?)?\s*(?:\d+(?:\.\d+)?\s*(?:-|–|—|to)\s*)?"
    r"(\d{1,4}(?:\.\d{1,2})?)\s*(h|hrs?|hours?|d|days?|m|mins?|minutes?|)\b\.?$"
)
_HOURS_OF = {"h": 1.0, "d": 8.0, "m": 1 / 60}


@dataclass(slots=True)
class RawTask:
    """A task before its dependencies are looked up."""

    id: str
    name: str
    line: int
    lane: str | None
    fields: Fields
    lines: Lines
    module: str | None = None
    needs: Line | None = None


class TaskMaking:
    """Makes the tasks of one document; what is wrong with them is added to `findings`."""

    def __init__(self, code: Collection[int], findings: list[Finding]) -> None:
        self._code, self._findings = code, findings

    def tasks(self, raws: Sequence[RawTask], lanes: Sequence[tuple[str, int]]) -> list[Task]:
        """Return the tasks with what each depends on; `lanes` are build agents with their lines."""
        known: dict[str, RawTask] = {}
        for raw in raws:
            before = known.setdefault(raw.id.casefold(), raw)
            if before is not raw:
                self._error(raw.line, f"task {raw.id} stands on line {before.line}, too")
        raws = [*known.values()]
        self._doubt_strays(raws)
        self._doubt_gaps("task", [(raw.id, raw.line) for raw in raws])
        self._doubt_gaps("build agent", lanes)
        places = Places([(raw.id, raw.lane) for raw in raws])
        last: dict[str | None, str] = {}
        found = []
        for raw in raws:
            before_it = last.get(raw.lane)
            task = self._task(raw, places, before_it)
            last[raw.lane] = raw.id
            if task is not None:
                found.append(task)
        return found

    def _doubt_strays(self, raws: Sequence[RawTask]) -> None:
        """Note tasks under no build agent where others are under one."""
        if any(raw.lane is not None for raw in raws):
            for raw in raws:
                if raw.lane is None:
                    self._error(
                        raw.line, f"task {raw.id} stands under no build agent, as others do"
                    )

    def _doubt_gaps(self, what: str, ids: Sequence[tuple[str, int]]) -> None:
        """Note numbers that are left out: the heading may be no heading."""
        numbers = [int(one) for one, _ in ids if one.isdecimal()]
        if not numbers or len(numbers) < len(ids) or max(numbers) > 2 * len(numbers):
            return
        for number in sorted({*range(min(numbers), max(numbers))} - {*numbers}):
            line = next(line for one, line in ids if int(one) > number)
            self._warn(line, f"there is a {what} {max(numbers)}, but no {what} {number}")

    def _task(self, raw: RawTask, places: Places, before: str | None) -> Task | None:
        criteria = self._listed(raw, "criteria", may_lack=False)
        tests = self._listed(raw, "tests", may_lack=True)
        creates, changes = self._files(raw)
        try:
            return Task(
                id=raw.id,
                name=raw.name,
                line=raw.line,
                lane=raw.lane,
                module=raw.module,
                depends_on=self._needs(raw, places, before),
                criteria=tuple(criteria),
                creates=tuple(creates),
                changes=tuple(changes),
                tests=tuple(tests),
                hours=self._hours(raw),
                labels=self._labels(raw),
                text=part(raw.lines, criteria, self._code),
            )
        except ValidationError as exc:
            for error in exc.errors(include_url=False):
                key = ".".join(str(part) for part in error["loc"])
                self._error(raw.line, f"task {raw.id}: {key}: {error['msg']}")
            return None

    def _needs(self, raw: RawTask, places: Places, before: str | None) -> tuple[str, ...]:
        """Return what a task depends on; without a word of it, the one before of its agent."""
        if raw.needs is None or not raw.needs.text:
            return (before,) if before is not None else ()
        try:
            needs = places.dependencies(raw.needs.text, raw.id)
        except Unclear as exc:
            self._error(raw.needs.line, f"dependencies of task {raw.id}: {exc}")
            return ()
        if raw.id in needs:
            self._error(raw.needs.line, f"task {raw.id} depends on itself")
        return tuple(need for need in needs if need != raw.id)

    def _listed(self, raw: RawTask, key: str, *, may_lack: bool) -> list[Point]:
        """Return the points of a list that each task has to have."""
        word = {"criteria": "acceptance criteria", "tests": "test cases"}[key]
        content = raw.fields.get(key)
        points = [Point(*one) for one in content.points()] if content is not None else []
        mixed = content.first_without_box() if content is not None else None
        if mixed is not None:
            self._warn(mixed, f"{word} of task {raw.id}: some have a box, and this one has none")
        for line in content.unread() if content is not None else ():
            self._warn(line, f"it is not read as one of the {word}: make it a point of the list")
        for line, text in points:
            if is_path(text.strip("`")):
                self._warn(line, f"{text!r} is read as one of the {word}, and names a file alone")
        none = re.match(NONE, points[0].text) if len(points) == 1 else None
        if none is not None:
            points = []
            if may_lack and len(none[1] or "") > 3:
                return []
        if not points:
            line = content.line if content is not None else raw.line
            if may_lack:
                self._warn(line, f"task {raw.id} has no {word}: add them, or 'none' and why")
            else:
                self._error(line, f"task {raw.id} has no {word}: add them")
        return points

    def _files(self, raw: RawTask) -> tuple[list[PlannedFile], list[PlannedFile]]:
        creates: list[PlannedFile] = []
        changes: list[PlannedFile] = []
        if not raw.fields.keys() & {"creates", "files", "changes"}:
            self._warn(raw.line, f"task {raw.id} does not say which files it creates or changes")
        for key in ("creates", "files", "changes"):
            content = raw.fields.get(key)
            if content is None:
                continue
            new, there = planned_files(content, self._findings, may_change=key != "changes")
            (changes if key == "changes" else creates).extend(new)
            changes.extend(there)
        return creates, changes

    def _hours(self, raw: RawTask) -> float | None:
        content = raw.fields.get("hours")
        if content is None or not content.text:
            return None
        found = re.match(_HOURS, content.text.split("\n")[0].split("(")[0].strip())
        hours = float(found[1]) * _HOURS_OF[(found[2] or "h")[0].casefold()] if found else 0.0
        if not 0 < hours <= 1000:
            self._warn(content.line, f"{content.text[:40]!r} is no number of hours: it is left out")
            return None
        return round(hours, 2)

    def _labels(self, raw: RawTask) -> tuple[str, ...]:
        """Return what the host of a task has to have, by its labels."""
        content = raw.fields.get("labels")
        words = re.findall(r"[^\s,;`]+", content.text) if content is not None else []
        for word in words:
            if content is not None and not re.fullmatch(LABEL, word):
                self._error(content.line, f"{word[:40]!r} is no label of a host, such as gpu")
                return ()
        return tuple(dict.fromkeys(words))

    def _error(self, line: int, text: str) -> None:
        self._findings.append(Finding(line, "error", text))

    def _warn(self, line: int, text: str) -> None:
        self._findings.append(Finding(line, "warning", text))


def rendered(fields: Fields) -> list[str]:
    """Return the fields of a row as the Markdown that its agent gets."""
    names = {"criteria": "Acceptance criteria", "creates": "Files to create", "tests": "Test cases",
             "changes": "Files to change", "files": "Files", "configuration": "Configuration",
             "code": "Notes", "module": "Module", "hours": "Hours"}  # fmt: skip
    lines = [fields["description"].text] if "description" in fields else []
    number = 0
    for key, name in names.items():
        if key not in fields:
            continue
        lines += ["", f"**{name}**", ""]
        for point in fields[key].points():
            number += key == "criteria"
            lines.append(
                f"- [ ] #{number} {point.text}" if key == "criteria" else f"- {point.text}"
            )
    return lines

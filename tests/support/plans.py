"""Plans for tests: documents in the shape of the template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.support.command_line import Adw

_HEAD = """\
# {title}

## Overview

### Objective

People can do what they could not do before.

### In scope

- the one thing

### Not in scope

- the other thing

## Technical clarifications

- Tests: pytest, in tests/

## Approach

### Decisions

- The simplest way, since it is the simplest.

### Integration points

{integration}

## Tasks
"""
_TAIL = """
## Testing strategy

Unit tests, and one by hand.

## Success criteria

{success}
"""


def task(
    number: int,
    *,
    needs: str | None = None,
    criteria: Iterable[str] = ("it works",),
    creates: Iterable[str] = (),
    tests: Iterable[str] = (),
    name: str | None = None,
) -> str:
    """Return the part of a task; without `needs` it says nothing of its dependencies."""
    lines = [f"#### Task {number}: {name or f'Part {number}'}", "", f"Do part {number}.", ""]
    lines += [f"- **Dependencies**: {needs}", ""] if needs is not None else []
    lines += ["**Acceptance criteria**", "", *(f"- [ ] {one}" for one in criteria), ""]
    lines += ["**Files to create**", "", *(f"- `{one}`" for one in creates), ""]
    tested = [f"- {one}" for one in tests] or ["none: there is nothing to test"]
    return "\n".join([*lines, "**Test cases**", "", *tested, ""])


def plan_text(
    *lanes: Sequence[str],
    front: str = "",
    title: str = "Login",
    integration: Iterable[str] = ("none",),
    success: Iterable[str] = ("people are glad",),
) -> str:
    """Return a plan; each of `lanes` are the tasks of a build agent."""
    parts = [_HEAD.format(title=title, integration=_points(integration))]
    for number, tasks in enumerate(lanes, 1):
        parts += [f"### Build agent {number}: scope {number}", "", *tasks]
    parts.append(_TAIL.format(success=_points(success)))
    head = f"---\n{front}\n---\n" if front else ""
    return head + "\n".join(parts)


def _points(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def write_plan(adw: Adw, text: str, slug: str = "login") -> str:
    """Write a plan into the repository; return its path from there."""
    path = Path("plans") / f"{slug}.md"
    (adw.directory / "plans").mkdir(exist_ok=True)
    (adw.directory / path).write_text(text)
    return str(path)

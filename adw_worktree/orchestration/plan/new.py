"""A new plan: the template, with the slug and the title of the feature."""

from __future__ import annotations

import re
from pathlib import Path

from adw_worktree.errors import PlanInvalid
from adw_worktree.orchestration.plan.fields import SLUG
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.paths import exists
from adw_worktree.system.shipped import shipped_text


def plan_path(home: Path, slug: str) -> Path:
    """Return where the plan of a feature lies. Raises PlanInvalid if `slug` is no slug."""
    if not re.fullmatch(SLUG, slug):
        raise PlanInvalid(
            f"{slug!r} is no slug: it takes small letters, digits and dashes, at most 48",
            hint="such as login or login-form",
        )
    return home / "plans" / f"{slug}.md"


def template(slug: str, title: str) -> str:
    """Return the template of a plan for a feature."""
    text = shipped_text("templates", "plan.md")
    return text.replace("{{slug}}", slug).replace("{{title}}", " ".join(title.split()))


def write_plan(path: Path, text: str) -> None:
    """Write a new plan. Raises PlanInvalid if there is one already, OSError."""
    if exists(path):
        raise PlanInvalid(f"{path} is there already", hint="choose another slug, or edit it")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())

"""Prompts: templates with placeholders in double braces, such as `{{issue}}`.

What holds here: an unknown placeholder is found before anything starts; what is put in is never
looked through for placeholders again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from adw_worktree.errors import WorkflowInvalid
from adw_worktree.system.shipped import shipped_text

_MOST_BYTES = 256 * 1024
_PLACEHOLDER = r"\{\{\s*([^{}]*?)\s*\}\}"
BUILT_IN = (
    "build", "document", "lint", "plan", "resolve", "review", "test", "validate", "fix", "continue",
    "order",
)  # fmt: skip
PLACEHOLDERS: Mapping[str, str] = {
    "issue": "what the phase is about, and how to work here",
    "found": "the answers of all earlier stages",
    "found.STAGE": "the answer of one earlier stage",
    "failed": "the stage that has failed",
    "failure": "what it printed, or what a person answered",
    "title": "the phase's title",
    "phase": "its name, such as login.3",
    "branch": "its branch",
    "into": "the feature's branch, onto which it is merged",
    "checklist": "the points of its checklist that only a reader can tell, each with its number",
}
"""What a prompt may have in double braces, and what stands there then."""


def load_prompt(name: str, home: Path) -> str:
    """Return the template called `name`: a built-in one, or a file of the repository `home`.

    Raises WorkflowInvalid if there is none, or it cannot be a prompt.
    """
    if name in BUILT_IN:
        return shipped_text("templates/prompts", f"{name}.md")
    if "/" not in name and not name.endswith(".md"):
        raise WorkflowInvalid(
            f"there is no prompt {name!r}",
            hint=f"one of {', '.join(BUILT_IN)}, or a file such as prompts/{name}.md",
        )
    path = home / name
    try:
        if not path.resolve().is_relative_to(home.resolve()):
            raise WorkflowInvalid(
                f"the prompt {path} lies outside of the repository", hint="choose a file inside"
            )
        if path.stat().st_size > _MOST_BYTES:
            raise WorkflowInvalid(f"the prompt {path} is larger than 256 KiB", hint="shorten it")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise WorkflowInvalid(
            f"the prompt {path} cannot be read: {exc}", hint="fix the file, or name another"
        ) from exc
    if not text.strip():
        raise WorkflowInvalid(f"the prompt {path} is empty", hint="write what is to be done")
    return text


def require_placeholders(template: str, name: str, stages: list[str]) -> None:
    """Raise WorkflowInvalid for a placeholder of the template that means nothing.

    `name` is what the template is called, `stages` are the stages before it.
    """
    known = {*PLACEHOLDERS} - {"found.STAGE"} | {f"found.{stage}" for stage in stages}
    for wrong in dict.fromkeys(found for found in placeholders(template) if found not in known):
        raise WorkflowInvalid(
            f"the prompt {name} has the unknown placeholder {{{{{wrong}}}}}",
            hint=f"known are {', '.join(sorted(known))}",
        )


def placeholders(template: str) -> Iterator[str]:
    """Yield the placeholders of a template."""
    for match in re.finditer(_PLACEHOLDER, template):
        yield match[1]


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the prompt; a placeholder without a value is left out."""
    return re.sub(_PLACEHOLDER, lambda match: values.get(match[1], ""), template)

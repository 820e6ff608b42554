"""The front matter of a plan: a few keys in YAML, between two lines of dashes at its head."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from adw_worktree.orchestration.plan.plan import Finding, FrontMatter

_HEAD = r"\A\s*^---[ \t]*\n((?:.*?\n)?)---[ \t]*(?:\n|\Z)"
_OPEN_HEAD = r"\A\s*^---[ \t]*\n\s*[\w-]{1,40}:"
_KEY = r"\s*([\w-]{1,40}):"
_MOST_CHARACTERS = 16_384
_WORDS: Mapping[str, Mapping[str, object]] = {
    "priority": {
        "urgent": 10, "high": 30, "normal": 50, "medium": 50, "low": 70, "background": 90,
    },
    "land": {"pull-request": "pr", "pull_request": "pr", "pull request": "pr"},
}  # fmt: skip
"""What words of authors stand for, by key."""


def read_front_matter(text: str, findings: list[Finding]) -> tuple[str, FrontMatter]:
    """Return the text with blank lines in place of the front matter, and the front matter.

    What is wrong with it is added to `findings`.
    """
    found = re.match(_HEAD, text, re.DOTALL | re.MULTILINE)
    if found is None:
        _doubt(text, findings)
        return text, FrontMatter()
    body = "\n" * found[0].count("\n") + text[found.end() :]
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    above = text.count("\n", 0, found.start(1))
    for key, value, line in _pairs(found[1], above + 1, findings):
        if key in lines:
            findings.append(Finding(line, "error", f"{key} stands on line {lines[key]}, too"))
        else:
            values[key], lines[key] = _WORDS.get(key, {}).get(str(value).casefold(), value), line
    try:
        return body, FrontMatter.model_validate(values)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            key = str(error["loc"][0])
            findings.append(Finding(lines[key], "error", f"{key}: {_said(error)}"))
            values.pop(key, None)
    return body, FrontMatter.model_validate(values)


def _doubt(text: str, findings: list[Finding]) -> None:
    """Note what is nearly a front matter."""
    opened = re.match(_OPEN_HEAD, text, re.MULTILINE)
    key = re.match(_KEY, text)
    if opened is not None:
        line = opened[0].rstrip().count("\n")
        findings.append(Finding(line, "error", "the front matter has no end: a line of '---'"))
    elif key is not None and key[1] in FrontMatter.model_fields:
        line = key[0].count("\n") + 1
        findings.append(Finding(line, "error", "the front matter begins with a line of '---'"))


def _pairs(head: str, first: int, findings: list[Finding]) -> Iterator[tuple[str, Any, int]]:
    """Yield each key with its value and its line; nothing if they cannot be read."""
    import yaml

    if len(head) > _MOST_CHARACTERS:
        findings.append(Finding(first, "error", "the front matter is longer than 16 KiB"))
        return
    try:
        loader = yaml.SafeLoader(head)
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + first if mark is not None else first
        what = getattr(exc, "problem", None) or str(exc).split("\n")[0]
        findings.append(Finding(line, "error", f"the front matter is no YAML: {what}"))
        return
    if node is not None and not isinstance(node, yaml.MappingNode):
        findings.append(
            Finding(first, "error", "the front matter has no keys, such as slug: login")
        )
        return
    for name, value in node.value if node is not None else ():
        line = name.start_mark.line + first
        # No key takes more than a word or a number: nothing that refers to itself is ever made.
        if isinstance(name, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode):
            try:
                yield name.value.replace("-", "_"), loader.construct_object(value), line
                continue
            except (yaml.YAMLError, ValueError, LookupError, AttributeError):
                pass  # what YAML's own tags make of texts that are no numbers, no dates
        what = f"{str(name.value)[:40]!r} takes a word or a number, and nothing else"
        findings.append(Finding(line, "error", what))


def _said(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return f"there is no such key: known are {', '.join(FrontMatter.model_fields)}"
    return str(error["msg"])

"""The files that a task names: which it creates, and which it changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from adw_worktree.orchestration.plan.encoding import is_garbled
from adw_worktree.orchestration.plan.fields_of_task import Content, without_box
from adw_worktree.orchestration.plan.markdown import Block, Item, code_spans, plain
from adw_worktree.orchestration.plan.plan import Finding, PlannedFile

_PART = r"[\w@.+*\[\](){}-]"
_PATH = (
    rf"[/~]{{0,2}}(?:{_PART}+/)*{_PART}*\.[A-Za-z0-9]{{1,12}}|[/~]{{0,2}}(?:{_PART}+/)+[\w@.+*-]*"
)
_CODE_PATH = rf"{_PATH}|[A-Z][A-Za-z]*file|\.[a-z][\w.-]*|LICENSE|CODEOWNERS|Caddyfile"
_EDITS = (
    r"(?i)\b(?:change|modify|update|edit|extend|existing|changes|modified|updated|edited|patch|"
    r"delete|deleted|remove|removed|drop|dropped|move|moved|rename|renamed|refactor)\b"
)
_NONE = r"(?i)^(?:none|nothing|n\s*/?\s*a|no(?:\s+new)?(?:\s+files?)?)\b|^[-\u2013\u2014]+$"
_BRANCH = r"^(?:[\s│├└─|`\\]|[+-]+\s)*"
_STRANGE = r"[^\s`]*[/{][^`]*[\s{][^`]*\.\w{1,8}|[\w./-]*/[^`]*\s[^`]*\.\w{1,8}"
"""What is written like a path, and has a blank or a list in braces in it."""
_MOST_OF_A_PATH = 300
_ASIDE = r"\s[\u2013\u2014-]+\s|:\s|\s\(|\s→\s|\s->\s"
_MOST_DEPTH = 6


def planned_files(
    content: Content, findings: list[Finding], *, may_change: bool
) -> tuple[list[PlannedFile], list[PlannedFile]]:
    """Return the files to create and those to change of a field.

    With `may_change`, a point can say by its words that its file is there already.
    """
    creates: list[PlannedFile] = []
    changes: list[PlannedFile] = []
    for line, text, prefix in _points(content):
        paths = [*_paths(text)]
        strange = [one for one in code_spans(text) if re.fullmatch(_STRANGE, one)]
        if strange:
            what = f"{strange[0][:80]!r} is no one path: name each file, without blanks and braces"
            findings.append(Finding(line, "error", what))
            continue
        if not paths and not re.match(_NONE, text):
            findings.append(Finding(line, "error", f"{text[:80]!r} names no file"))
        about = re.sub(r"`[^`]*`", "", text)
        place = changes if may_change and re.search(_EDITS, about) else creates
        for path in paths:
            whole = f"{prefix}{path}".removeprefix("./")
            if not _is_inside(whole):
                what = f"{whole!r} is no path inside the repository"
                findings.append(Finding(line, "error", what))
            elif is_garbled(whole):
                findings.append(Finding(line, "error", f"{whole!r} went through a wrong code page"))
            else:
                place.append(PlannedFile(line, whole, text))
    return creates, changes


def _points(content: Content) -> Iterator[tuple[int, str, str]]:
    """Yield line, text, and the directory above, of each point that names files."""
    for block in content.codes:
        yield from _tree(block)
    if content.items or content.rows:
        for row in content.rows:
            yield row.line, " – ".join(filter(None, row.cells)), ""
        yield from _items(content.items, "", 0)
        return
    for line, text in content.lines:
        if not content.codes:
            yield line, text, ""


def _tree(block: Block) -> Iterator[tuple[int, str, str]]:
    """Yield the paths of a piece of code: one on each line, or a tree as `tree` draws it."""
    above: list[tuple[int, str]] = []
    for line, text in enumerate(block.text.split("\n"), block.line + 1):
        name = re.sub(r"\s(?:#|//|<-|\u2190|--|\u2014).*$", "", re.sub(_BRANCH, "", text)).strip()
        if not name:
            continue
        depth = len(text) - len(re.sub(_BRANCH, "", text))
        above = [one for one in above if one[0] < depth]
        prefix = "".join(directory for _, directory in above)
        if name.endswith("/"):
            above.append((depth, name))
        else:
            yield line, f"`{name}`", prefix


def _items(items: Sequence[Item], prefix: str, depth: int) -> Iterator[tuple[int, str, str]]:
    for item in items:
        text = without_box(item.text).replace("\n", " ")
        inner = [one for block in item.blocks if block.kind == "list" for one in block.items]
        paths = [*_paths(text)]
        named = [one for one in inner if _begins_with_path(without_box(one.text))]
        is_directory = not paths or paths[0].endswith("/")
        if not named or not is_directory:
            yield item.line, text, prefix
        if depth < _MOST_DEPTH:
            inside = prefix + (paths[0] if paths else "") if is_directory else prefix
            yield from _items(named, inside, depth + 1)


def _begins_with_path(text: str) -> bool:
    first = plain(text).split(maxsplit=1)[:1]
    return bool(first) and is_path(first[0].strip("`,:"))


def _paths(text: str) -> Iterator[str]:
    """Yield the paths that a point begins with."""
    head = re.split(_ASIDE, f"{text} ", maxsplit=1)[0]
    spans = [span for span in code_spans(head) if is_path(span)]
    words = [word.strip("().,:") for word in re.split(r"[\s,;]+", plain(head).replace("`", ""))]
    words = [word for word in words if is_path(word, _PATH) and re.search(r"[A-Za-z]", word)]
    if not spans and not words and "`" not in head:
        spans = [span for span in code_spans(text) if is_path(span)][:1]
    yield from spans or words


def is_path(text: str, pattern: str = _CODE_PATH) -> bool:
    """Return whether a text is a path, and nothing else."""
    return len(text) <= _MOST_OF_A_PATH and re.fullmatch(pattern, text) is not None


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith(("/", "~")) and ".." not in parts and ".git" not in parts

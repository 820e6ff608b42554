"""Items of a plan's checklist, and the checker that each asks for.

What holds here: a checker is derived only where an item's own words leave no doubt; a wrong one is
worse than none. Items are foreign text: they are looked at, and never run or opened here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType

from adw_worktree.system.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal["integration", "file", "criterion", "test", "success"]

_MOST_CHARACTERS = 2000
_MOST_OF_A_SPAN = 300
_SPAN = r"`([^`]+)`"
_BULLET = r"(?:[-*+]|\d+[.)])\s+"
_BOX = r"\[[ xX]\]\s+"
_LABEL = r"([A-Za-z][A-Za-z /]{1,30}?)\s*:\s+"
_METHODS = "GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|WS|WEBSOCKET"
_ENDPOINT = rf"({_METHODS})\s+(/[^\s?#]*)(?:[?#]\S*)?"
_SETTING = r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+"
_SETTING_KEY = r"[A-Za-z][\w-]*(?:\.[\w-]+)*"
_NAME = r"[A-Za-z_$][\w$]*(?:(?:\.|::)[A-Za-z_$][\w$]*)*(?:\(\))?"
_COMPONENT = r"[A-Z][A-Za-z0-9]*"
_MESSAGE = r"[\w$]+(?:[.:/-][\w$]+)*"
_PATH = r"(?:\./)?[\w.@+()\[\]~-]+(?:/[\w.@+()\[\]~ -]+)*/?"
_FILE_NAME = r"[\w.@+()\[\]-]*\.[A-Za-z][A-Za-z0-9]{0,9}"
_PYTHON_TEST = r"(?:[\w./-]+\.py::)?(?:Test\w*(?:::|\.))?test\w*(?:\[[^\]]*\])?"
_TEST_NAME = r"test_\w+|Test[A-Z]\w*(?:(?:::|\.)\w+|/\S+)?"
_TEST_FILE = (
    r"(?:.*/)?(?:test_[^/]*\.py|[^/]*_test\.(?:py|go|exs)|[^/]*_spec\.rb|tests?\.py"
    r"|[^/]*\.(?:test|spec)\.[cm]?[jt]sx?|[^/]*Tests?\.(?:java|kt|cs|php))|(?:.*/)?__tests__/.*"
)
_GONE = (
    r"(?i)^(?:remove|delete|drop)\b|\((?:removed?|deleted?|gone)\)"
    r"|\b(?:is|are) (?:removed|deleted|gone|dropped|no longer)\b"
)
_DOUBT = (
    r"(?i)\b(?:no|not|never|without|neither|nor|instead|removed?s?|deleted?s?|drops?|dropped"
    r"|renamed?s?|replaced?s?|deprecated|except|unless|cannot|\w+n't)\b"
)
_DENIED = (
    r"(?i)^\W*(?:(?:is|are|must|should|shall|will|does|do|can|was) )?"
    r"(?:not|never|no longer|removed|deleted|dropped|replace[ds]|renamed|deprecated)\b"
)
_PASSES = r"(?i)\s*:?\s*(?:passes|succeeds|is green|exits with (?:code |status )?0)\b"
_ANSWERS = (
    r"(?i)\s*(?:exists|is (?:served|available|registered)"
    r"|(?:answers|returns|responds|gives)(?: with)?(?: an?)?(?: HTTP)?(?: status)? 2\d\d(?: OK)?)"
    r"\W*"
)
_RUNNERS = "cargo|go|jest|make|mypy|nox|npm|pyright|pytest|tox|vitest"

_LABELS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("endpoint", "api endpoint", "http endpoint", "rest endpoint", "route", "api route",
             "api"), "endpoint"),
        **dict.fromkeys(
            ("message type", "message", "websocket message", "ws message", "event", "event type",
             "websocket event", "signal", "topic", "channel"), "message"),
        **dict.fromkeys(("state", "state key", "store", "store key"), "state"),
        **dict.fromkeys(
            ("setting", "settings", "configuration", "config", "environment variable", "env",
             "env var", "environment", "config key"), "setting"),
        **dict.fromkeys(
            ("component", "ui component", "react component", "vue component", "page", "view"),
            "component"),
        **dict.fromkeys(("migration", "database migration", "db migration"), "migration"),
        **dict.fromkeys(
            ("function", "class", "method", "type", "model", "service", "hook", "helper"), "name"),
        **dict.fromkeys(("file", "module", "new file", "create", "modify"), "file"),
        **dict.fromkeys(("test", "tests", "unit test", "integration test"), "test"),
        **dict.fromkeys(("command", "check"), "command"),
    }
)  # fmt: skip
"""What an item may begin with, and the checker that it speaks of."""


class Item(NamedTuple):
    """A line of a checklist."""

    kind: Kind
    text: str
    """Its own Markdown, on one line."""


class Checker(NamedTuple):
    """What is to be looked for."""

    what: str
    """endpoint, message, state, setting, component, migration, name, file, test or command."""
    subject: str
    place: str | None = None
    """The file that the item says it is in."""


def to_json(checker: Checker) -> str:
    """Return the checker as the store keeps it."""
    return json.dumps(checker._asdict(), ensure_ascii=True)


def from_json(text: str) -> Checker | None:
    """Return the checker that `to_json` wrote; None for any other text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.keys() != set(Checker._fields):
        return None
    what, subject, place = found["what"], found["subject"], found["place"]
    texts = isinstance(what, str) and isinstance(subject, str)
    return Checker(what, subject, place) if texts and (place is None or isinstance(place, str)) \
        else None  # fmt: skip


def checker_for(item: Item) -> Checker | None:
    """Return the checker for an item; None if nobody but a reader can tell."""
    text = _plain(item.text)
    label, text = _labelled(text)
    spans = [span.strip() for span in re.findall(_SPAN, text)]
    if "\n" in text or len(text) > _MOST_CHARACTERS or any(len(s) > _MOST_OF_A_SPAN for s in spans):
        return None
    if re.search(_GONE, re.sub(_SPAN, "`", text)):
        return None
    if item.kind == "integration":
        return _integration(label, text, spans)
    if item.kind == "file":
        return _file(text, spans)
    if item.kind == "test":
        return _test(spans)
    return _criterion(label, text, spans)


def _plain(text: str) -> str:
    """Return the line without its bullet, its box, its emphasis and the bars of a table."""
    text = re.sub(rf"^\s*(?:{_BULLET})?(?:{_BOX})?", "", text).strip()
    if text.startswith("|") and text.endswith("|"):
        first, _, rest = text.strip("|").partition("|")
        text = f"{first.strip()}: {rest.replace('|', ' ').strip()}" if rest else first.strip()
    return re.sub(r"\*\*|__(?=[A-Z][a-z]|:)", "", text).strip()


def _labelled(text: str) -> tuple[str | None, str]:
    """Return what the line's first words say that it is about, and the rest."""
    found = re.match(_LABEL, text)
    what = _LABELS.get(found[1].lower()) if found else None
    return (what, text[found.end() :]) if found and what else (None, text)


def _integration(label: str | None, text: str, spans: list[str]) -> Checker | None:
    before, span, after = re.sub(_SPAN, "`", text).partition("`")
    if re.search(_DENIED, after) or (span and re.search(_DOUBT, before)):
        return None
    if label in ("test", "command", "file"):
        return None if label == "command" else (_test(spans) if label == "test" else
                                                _file(text, spans))  # fmt: skip
    if not spans and label is not None:
        spans = [text.strip()]  # a label and nothing but a name
    place = _place(spans[1:])
    what = label or _by_shape(spans, text)
    shapes = {
        "endpoint": rf"{_ENDPOINT}|/[^\s?#]*",
        "message": _MESSAGE,
        "state": _MESSAGE,
        "setting": _SETTING_KEY,
        "component": _COMPONENT,
        "name": _NAME,
        "migration": _PATH,
    }
    if what is None or not spans:
        return None
    subject = re.sub(r"^<(\w+)\s*/?>$", r"\1", spans[0]) if what == "component" else spans[0]
    if what == "setting":
        subject = subject.partition("=")[0].strip()
    if not re.fullmatch(shapes[what], subject) or _rivals(shapes[what], what, spans[1:]):
        return None
    if what == "endpoint":
        said = re.findall(rf"\b(?:{_METHODS})\b", re.sub(_SPAN, " ", text))
        methods = {*said} - {subject.split()[0]}
        if len(methods) > 1 or (methods and " " in subject):
            return None  # which of them is meant?
        subject = _endpoint(" ".join([*methods, subject]))
    if what == "name":
        subject = subject.removesuffix("()")
    return Checker(what, subject, None if what == "migration" else place)


def _by_shape(spans: list[str], text: str) -> str | None:
    """Return what an item without a label is about, where its first code span alone tells."""
    if not spans:
        return None
    first = spans[0]
    if re.fullmatch(_ENDPOINT, first):
        return "endpoint"
    if re.fullmatch(_SETTING, first):
        return "setting"
    if re.fullmatch(_PATH, first) and ("/migrations/" in f"/{first}" or first.endswith(".sql")):
        return "migration"
    is_component = re.search(r"(?i)\bcomponent\b|\.(?:tsx|jsx|vue|svelte)\b", text)
    return "component" if re.fullmatch(_COMPONENT, first) and is_component else None


def _rivals(shape: str, what: str, others: list[str]) -> bool:
    """Return whether an item names more things of its kind: which of them is meant?"""
    if what == "endpoint":
        return any(re.fullmatch(rf"{_ENDPOINT}|/[^\s?#.]*", other) for other in others)
    if what == "setting":
        keys = [other.partition("=")[0] for other in others if not _is_path(other)]
        return any(re.fullmatch(rf"{_SETTING}|[a-z][a-z0-9]*(?:_[a-z0-9]+)+", key) for key in keys)
    if what == "migration":
        return any(other.endswith(".sql") for other in others)
    return any(re.fullmatch(shape, other) and not _is_path(other) for other in others)


def _endpoint(subject: str) -> str:
    found = re.fullmatch(_ENDPOINT, subject)
    if found is None:
        return subject
    return f"{'WS' if found[1] == 'WEBSOCKET' else found[1]} {found[2]}"


def _is_path(text: str) -> bool:
    return re.fullmatch(_PATH, text) is not None and (
        "/" in text or re.fullmatch(_FILE_NAME, text) is not None
    )


def _place(spans: list[str]) -> str | None:
    paths = [span for span in spans if _is_path(span)]
    return _path(paths[0]) if len(paths) == 1 else None


def _path(text: str) -> str:
    """Return a path without a line number and a leading `./`."""
    return re.sub(r":\d+(?:-\d+)?$", "", text).removeprefix("./")


def _file(text: str, spans: list[str]) -> Checker | None:
    if re.search(rf"^{_SPAN}\s*(?:,|and|or|&|\+|/|→|->)\s*`", text):
        return None  # several in one line
    words = [word.rstrip(",:;") for word in text.split()[:1]]
    named = spans if text.startswith("`") else [word for word in words if _is_path(word)] or spans
    if not named:
        return None
    path = _path(named[0])
    is_path = re.fullmatch(_PATH, path) or path.startswith(("/", "~", ".."))
    is_pattern = re.search(r"\.\.\.|X{3}|Y{4}", path) is not None
    return Checker("file", path) if is_path and not is_pattern else None


def _test(spans: list[str]) -> Checker | None:
    if sum("::" in span for span in spans) > 1:
        return None
    for span in spans:
        path, _, name = span.partition("::")
        if name and _is_path(path):
            return Checker("test", re.sub(r"\[.*$", "", name), _path(path))
    names = [span for span in spans if re.fullmatch(_TEST_NAME, span)]
    files = [_path(span) for span in spans if re.fullmatch(_TEST_FILE, _path(span))]
    if len(names) > 1 or len(files) > 1:
        return None
    if names:
        return Checker("test", names[0], files[0] if files else _place(spans))
    if not files:
        return None
    titles = [span for span in spans if " " in span and not re.match(_ENDPOINT, span)]
    is_script = re.search(r"\.[cm]?[jt]sx?$", files[0]) is not None
    if is_script and len(titles) == 1 == len(spans) - 1:
        return Checker("test", titles[0], files[0])
    return Checker("test", files[0])


def _criterion(label: str | None, text: str, spans: list[str]) -> Checker | None:
    """Return the checker of a criterion that says no more than a checker can see."""
    if label == "command" and spans and text.startswith("`"):
        return Checker("command", spans[0])
    found = re.match(_SPAN, text)
    if found is None or label is not None:
        return None
    span, rest = found[1].strip(), text[found.end() :]
    if re.match(_PASSES, rest) and not re.search(_DOUBT, rest) and "`" not in rest:
        return _passing(span)
    if re.fullmatch(_ENDPOINT, span) and re.fullmatch(_ANSWERS, rest):
        return Checker("endpoint", _endpoint(span))
    if _is_path(span) and re.fullmatch(r"(?i)\s*exists\W*", rest):
        return Checker("file", _path(span))
    return None


def _passing(span: str) -> Checker | None:
    """Return the checker of what is said to pass: a test, or a command."""
    if " " not in span and re.fullmatch(rf"{_TEST_NAME}|{_TEST_FILE}|{_PYTHON_TEST}", span):
        return _test([span])
    is_command = " " in span or re.fullmatch(rf"\./\S+|{_RUNNERS}", span)
    return Checker("command", span) if is_command and not re.match(_ENDPOINT, span) else None

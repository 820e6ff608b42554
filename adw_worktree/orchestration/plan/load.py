"""Loading the document of a feature: a plan in Markdown, or a feature file in TOML."""

from __future__ import annotations

from pathlib import Path, PurePath
from shlex import quote
from typing import NamedTuple

from adw_worktree.errors import PlanInvalid
from adw_worktree.orchestration.plan.check import Checked, check_plan, shown
from adw_worktree.orchestration.plan.feature_file import parse_feature
from adw_worktree.orchestration.plan.phases import PlannedFeature
from adw_worktree.orchestration.plan.plan import Plan
from adw_worktree.system.records import read_file

_MOST_BYTES = 4 * 1024 * 1024
_MOST_SHOWN = 50
_MARKDOWN = (".md", ".markdown", ".mdown")


class Loaded(NamedTuple):
    """The document of a feature, read."""

    path: str
    text: str
    planned: PlannedFeature
    plan: Plan | None = None
    """None of a feature file."""


def is_plan(name: str) -> bool:
    """Return whether a file of that name is a plan in Markdown."""
    return PurePath(name).suffix.casefold() in _MARKDOWN


def read_document(file: Path) -> bytes:
    """Return a document as it is. Raises PlanInvalid."""
    try:
        data = read_file(file)
    except OSError as exc:
        raise PlanInvalid(
            f"{file} cannot be read: {exc.strerror}",
            hint="name a plan (.md), or a TOML file with a feature and its phases",
        ) from exc
    if len(data) > _MOST_BYTES:
        raise PlanInvalid(f"{file} is larger than 4 MiB", hint="split the feature into several")
    return data


def load_document(file: Path) -> Loaded:
    """Return the document of a feature. Raises PlanInvalid, naming each line that is wrong."""
    return load_data(read_document(file), str(file))


def load_data(data: bytes, name: str) -> Loaded:
    """Return a document that was read from the file `name`. Raises PlanInvalid."""
    if is_plan(name):
        checked = check_plan(data, PurePath(name).name)
        document = _loaded(checked, data, name)
        if document is None:
            raise _refusal(checked, name)
        return document
    planned = parse_document(data, name)
    return Loaded(name, data.decode("utf-8-sig"), planned)


def checked_document(file: Path) -> tuple[Checked, Loaded | None]:
    """Return everything that is wrong with a plan, and its document if it describes a feature.

    Raises PlanInvalid if it cannot be read.
    """
    data = read_document(file)
    checked = check_plan(data, file.name)
    return checked, _loaded(checked, data, str(file))


def _loaded(checked: Checked, data: bytes, name: str) -> Loaded | None:
    if checked.feature is None:
        return None
    return Loaded(name, data.decode("utf-8-sig"), checked.feature, checked.plan)


def parse_document(data: bytes, name: str) -> PlannedFeature:
    """Return the feature of a document; `name` is the file's. Raises PlanInvalid."""
    if is_plan(name):
        checked = check_plan(data, PurePath(name).name)
        if checked.feature is None:
            raise _refusal(checked, name)
        return checked.feature
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise PlanInvalid(f"{name} is not UTF-8: {exc}", hint="save it as UTF-8") from exc
    return PlannedFeature(parse_feature(text, name), {})


def require_right(checked: Checked, name: str) -> Plan:
    """Return the plan of a document without errors. Raises PlanInvalid."""
    if checked.plan is None or checked.errors:
        raise _refusal(checked, name)
    return checked.plan


def _refusal(checked: Checked, name: str) -> PlanInvalid:
    """Return what says why a document cannot be run."""
    errors = [one for one in checked.findings if one.level == "error"]
    lines = shown(errors[:_MOST_SHOWN], PurePath(name).name)
    if len(errors) > _MOST_SHOWN:
        lines.append(f"and {len(errors) - _MOST_SHOWN} more")
    return PlanInvalid(
        "\n".join([f"{name} describes no feature that can run:", *lines]),
        hint=f"adw-worktree plan check {quote(name)}",
    )

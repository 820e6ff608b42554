"""Write the parts of the documentation that the code knows: `python -m scripts.docs.reference`.

`--check` writes nothing, and exits 1 if something is not up to date; a test does the same.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from adw_worktree import errors
from adw_worktree.adw_id import PATTERN
from adw_worktree.documents.table import DOCUMENTS
from adw_worktree.documents.table import schema as documents_schema
from adw_worktree.pool.lease import SCHEMA_VERSION, Lease
from adw_worktree.pool.lease_record import lease_record
from adw_worktree.settings import check as settings_check
from adw_worktree.settings.model import Settings
from adw_worktree.settings.rules import WRITERS

from .architecture import pictures

DOCS = Path(__file__).resolve().parents[2] / "docs"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MARKS = "<!-- {name}: made by scripts/docs/reference.py -->", "<!-- end of {name} -->"

_SEE = {
    "worktree_path": "[Paths](#paths)",
    "template": "[Template](#template)",
    "values": "[Values](#values)",
    "write": "[programs](programs.md)",
    "container_ports": "[docker compose](docker-compose.md)",
    "services": "[Services](#services-and-slots)",
    "spares": "[spares](spares.md)",
    "include": "[files that git does not carry](include.md)",
    "link": "[files that git does not carry](include.md)",
    "postgres": "[a database for each ADW](postgres.md)",
    "trash_days": "[the trash](reliability.md#the-trash)",
    "hooks": "[Hooks](#hooks)",
    "agents": "[agents](agents.md)",
    "stages": "[workflows](workflows.md)",
    "workflows": "[workflows](workflows.md)",
    "land": "[workflows](workflows.md#when-all-is-done)",
    "checklist": "[gates](gates.md)",
    "issues": "[issues on GitHub](github-issues.md)",
    "max_running": "[features and phases](phases.md)",
    "notify_url": "[events](phases.md#be-told)",
}
"""Where there is more to read about a setting."""


def generated() -> dict[Path, str]:
    """Return the files that are made of the code alone, and the pages with such parts in them."""
    schemas = DOCS / "schemas"
    files = {
        schemas / "settings.json": _json(settings_schema()),
        schemas / "ledger.json": _json(ledger_schema()),
        schemas / "output.json": _json(output_schema()),
    }
    files |= {DOCS / "pictures" / name: text for name, text in pictures().items()}
    for page, name, text in (
        ("settings.md", "keys", settings_table()),
        ("exit-codes.md", "codes", error_table()),
        ("json.md", "documents", documents_table()),
    ):
        path = DOCS / page
        files[path] = _with_part(path.read_text(), name, text)
    return files


def _with_part(page: str, name: str, text: str) -> str:
    start, end = (mark.format(name=name) for mark in _MARKS)
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n{text}\n{end}{after}"


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# ---- settings ------------------------------------------------------------------------------------


def settings_table() -> str:
    """Return a row for each key."""
    rows = []
    for key, takes in settings_check.TAKES.items():
        meaning, default = _told(key)
        see = f"; see {_SEE[key]}" if key in _SEE else ""
        rows.append([f"`{key}`", _in_code(takes), default, f"{meaning}{see}"])
    return _rows(["key", "takes", "default", "meaning"], rows)


def _told(key: str) -> tuple[str, str]:
    """Return what a setting means, and its default, as the code's docstring and value say."""
    meaning, _, absent = _docstrings(Settings)[key].rstrip(".").partition("; without it, ")
    meaning = meaning[0].lower() + meaning[1:]
    value = Settings._field_defaults[key]
    return meaning, absent or _default(value)


def _default(value: object) -> str:
    if value in (None, (), {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and value.is_integer():
        return f"`{int(value)}`"
    if hasattr(value, "items"):
        return ", ".join(f"`{name} = {number}`" for name, number in value.items())
    return f"`{value}`"


def _in_code(text: str) -> str:
    """Return a sentence with what stands for itself marked as code."""
    return re.sub(r"\{\w+\}|\b\w+ = (\d+|\"[^\"]*\")", r"`\g<0>`", text)


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of a settings file."""
    found = settings_check._layer_model().model_json_schema()
    for key, one in found["properties"].items():
        one.pop("title", None)
        default = one.pop("default", None)
        meaning, _ = _told(key)
        one["description"] = f"{meaning}: {settings_check.TAKES[key]}"
        given = Settings._field_defaults[key]
        if isinstance(given, (str, int, float)) and default is not None:
            one["default"] = given
    names = "|".join(WRITERS)
    found["properties"]["write"]["items"]["pattern"] = f"^({names})(:.+)?$"
    command = {"type": "string", "minLength": 1}
    words = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    asked = {"anyOf": [command, {"type": "array", "items": {"anyOf": [command, words]}}]}
    hooks = found["$defs"]["Hooks"]
    hooks["properties"] = dict.fromkeys(settings_check.MOMENTS, asked)
    for one in (found, hooks):
        one.pop("title", None)
    return {"$schema": _DIALECT, "title": "Settings of adw-worktree", **found}


# ---- ledger and documents ------------------------------------------------------------------------


def ledger_schema() -> dict[str, Any]:
    """Return the JSON Schema of a ledger."""
    record = lease_record().model_json_schema()
    record.pop("title")
    told = _docstrings(Lease)
    for name, one in record["properties"].items():
        one.pop("title", None)
        if name in told:
            one["description"] = told[name]
    return {
        "$schema": _DIALECT,
        "title": "Ledger of adw-worktree: leases by ADW id",
        "type": "object",
        "required": ["_schema"],
        "properties": {
            "_schema": {
                "type": "object",
                "required": ["version"],
                "properties": {"version": {"const": SCHEMA_VERSION}},
            }
        },
        "patternProperties": {f"^{PATTERN}$": {"$ref": "#/$defs/Lease"}},
        "additionalProperties": False,
        "$defs": {"Lease": record},
    }


def output_schema() -> dict[str, Any]:
    """Return the JSON Schema of what `--json` prints."""
    return {"$schema": _DIALECT, "title": "What adw-worktree --json prints", **documents_schema()}


def documents_table() -> str:
    """Return the keys of each document, beside those that all have."""
    rows = []
    for one in DOCUMENTS:
        keys = [
            field.alias or name
            for name, field in one.model_fields.items()
            if name not in ("schema_version", "ok")
        ]
        told = inspect.getdoc(one) or ""
        name = one.__name__
        rows.append([told, ", ".join(f"`{key}`" for key in keys), f"`#/$defs/{name}`"])
    return _rows(["document of", "keys", "schema"], rows)


# ---- errors --------------------------------------------------------------------------------------


def error_table() -> str:
    """Return a row for each code, by exit code."""
    found = sorted(error_kinds(), key=_order)
    rows = [[str(one.exit_code), f"`{one.code}`", _first_sentence(one)] for one in found]
    return _rows(["exit code", "`error.code`", "means"], rows)


def error_kinds() -> list[type[errors.AdwError]]:
    """Return every kind of failure, once for each code; but for those of `run`'s command."""
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    kinds = [one for one in classes if issubclass(one, errors.AdwError)]
    return [one for one in kinds if one is not errors.AdwError and one.exit_code < 100]


def _first_sentence(one: type[errors.AdwError]) -> str:
    return re.split(r"\.\s", inspect.getdoc(one) or "")[0].rstrip(".").replace("\n", " ") + "."


def _order(one: type[errors.AdwError]) -> tuple[int, int, str]:
    return one.exit_code, len(one.__mro__), one.code


def _docstrings(cls: type) -> dict[str, str]:
    """Return what stands under each field of a class."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        is_told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_told:
            text = after.value.value  # type: ignore[attr-defined]
            found[field.target.id] = " ".join(inspect.cleandoc(text).split())
    return found


def outdated() -> list[str]:
    """Return the files that are not what the code gives."""
    return [
        path.name
        for path, text in generated().items()
        if not path.is_file() or path.read_text() != text
    ]


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        names = outdated()
        if names:
            sys.exit(f"error: not up to date: {', '.join(names)}\nhint: nox -s docs")
        return
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()

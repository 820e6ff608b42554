"""Exports of the older queue: taken whole, in every shape that it had, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw

ROW = {"queue_id": "q1", "feature_id": 7, "phase_number": 1, "status": "completed", "extra": 1}


def export(adw: Adw, rows: Any) -> str:
    file = adw.directory.parent / "export.json"
    file.write_text(json.dumps(rows))
    return str(file)


@pytest.mark.parametrize(
    "needs",
    [
        {"depends_on_phase": 1},
        {"depends_on_phases": [1]},
        {"depends_on_phases": "[1]"},
        {"depends_on_phases": "1"},
        {"depends_on_phases": " 1 "},
    ],
)
def test_a_dependency_is_read_in_every_shape(adw: Adw, needs: dict[str, object]) -> None:
    second = {**ROW, "phase_number": 2, "status": "queued", "issue_number": 12} | needs
    adw("import-queue", export(adw, [ROW, second]))
    first, waiting = adw.json("feature", "show", "queue-7")["phases"]
    assert (first["status"], waiting["status"]) == ("completed", "paused")
    assert waiting["depends_on_phases"] == [1]


def test_nothing_of_it_starts_until_it_is_resumed(adw: Adw) -> None:
    rows = [ROW, {**ROW, "phase_number": 2, "status": "running", "phase_data": '{"title": "B"}'}]
    adw("import-queue", export(adw, {"rows": rows}))
    adw("work", "--until-idle")
    _, second = adw.json("phase", "list", "--all")["phases"]
    assert (second["status"], second["title"]) == ("failed", "B")
    adw("phase", "retry", "queue-7.2")
    adw("work", "--until-idle")
    assert adw.json("phase", "show", "queue-7.2")["phase"]["status"] == "review"


def test_it_is_taken_once(adw: Adw) -> None:
    file = export(adw, [ROW])
    adw("import-queue", file)
    assert adw.json("import-queue", file, code=7)["error"]["code"] == "feature-exists"


@pytest.mark.parametrize(
    "rows",
    [
        {"no": "rows"},
        [{"feature_id": 1}],
        [{**ROW, "phase_number": 0}],
        [{**ROW, "depends_on_phases": "one"}],
        [{**ROW, "depends_on_phases": [9]}],
        [ROW, ROW],
        "rows",
    ],
)
def test_what_is_no_export_is_refused_whole(adw: Adw, rows: Any) -> None:
    assert adw.json("import-queue", export(adw, rows), code=2)["error"]["code"] == "plan-invalid"
    assert adw.json("feature", "list")["features"] == []


def test_what_is_no_json_is_said(adw: Adw, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff{")
    assert (
        "is not JSON"
        in adw.json("import-queue", str(tmp_path / "file"), code=2)["error"]["message"]
    )

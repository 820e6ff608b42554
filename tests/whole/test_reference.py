"""What the documentation has from the code: up to date, and true of what commands print."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pydantic
import pytest

from adw_worktree.errors import SettingsError
from adw_worktree.settings.check import TAKES, Layer, checked
from scripts.docs.reference import error_kinds, outdated
from tests.support.board import BoardProcess
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw, user_hook
from tests.support.docblocks import PAGES, blocks
from tests.support.features import phase, write_feature

SCHEMAS = CHECKOUT / "docs" / "schemas"


@cache
def sound_schema(name: str) -> Any:
    """Return the schema; that it is one takes a second to check."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def validator(name: str, part: str = "") -> Any:
    schema = sound_schema(name)
    if part:
        schema = {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.skipif(
    tuple(map(int, pydantic.VERSION.split(".")[:2])) < (2, 10),
    reason="older versions of pydantic write schemas in other words",
)
def test_what_is_made_from_the_code_is_up_to_date() -> None:
    assert outdated() == [], "python -m scripts.docs.reference"


def test_readme_and_page_say_the_same_of_what_is_created() -> None:
    def rows(name: str) -> list[str]:
        text = (CHECKOUT / name).read_text().replace("](docs/", "](")
        return re.findall(r"^\| .*\| .*\| .*\|$", text.partition("| place |")[2], re.MULTILINE)

    assert rows("README.md")
    assert rows("README.md") == rows("docs/what-it-creates.md")


def test_readme_has_every_exit_code() -> None:
    told = (CHECKOUT / "README.md").read_text().partition("## Exit codes")[2]
    for kind in error_kinds():
        assert f" {kind.exit_code} " in told.partition("`run`")[0]


def test_pictures_and_schemas_that_pages_name_are_there() -> None:
    for page in PAGES:
        named = re.findall(r'(?:src|srcset)="([^"]+)"|\]\((schemas/[^)]+)\)', page.read_text())
        for name in (one or other for one, other in named):
            assert (page.parent / name).is_file(), f"{page.name}: {name}"


# ---- documents -----------------------------------------------------------------------------------


def test_documents_are_what_commands_print(adw: Adw, sealed_env: Path) -> None:
    """Keys that the schema has not, or has in vain, would mislead programs."""

    def holds(part: str, *words: str, code: int = 0) -> None:
        document = adw.json(*words, code=code)
        validator("output", part).validate(document)
        validator("output").validate(document)

    holds("Create", "create", "a")
    holds("Create", "create", "a")
    holds("Create", "create", "b", "--detach")
    holds("Reserve", "reserve", "c")
    holds("Rename", "rename", "a", "d")
    holds("List", "list", "--all")
    holds("Status", "status")
    holds("Lock", "lock", "b", "--reason", "demo")
    holds("Failed", "remove", "b", code=7)
    holds("Lock", "unlock", "b")
    holds("Path", "path", "d")
    holds("Env", "env", "d")
    holds("Doctor", "doctor")
    holds("Reconcile", "reconcile", "--dry-run")
    holds("Release", "release", "c")
    holds("Create", "create", "e")
    holds("Finish", "finish", "e", "--keep")
    holds("Finish", "finish", "e")
    (adw.directory / "trees" / "d" / "file").write_text("work\n")
    holds("RemoveSeveral", "remove", "d", "b", "--yes", code=7)
    holds("Remove", "remove", "d", "--force", "-D")
    holds("RestoreList", "restore")
    holds("Restored", "restore", "d")
    holds("Remove", "remove", "d", "--force")
    holds("Discarded", "restore", "d", "--discard")
    holds("Hooks", "hooks", "status")
    holds("SparesStatus", "spares", "status")
    holds("SparesFilled", "spares", "fill", "--wait")
    holds("SparesStarted", "spares", "fill")
    holds("SparesDropped", "spares", "drop")
    holds("ShellInit", "shell-init", "bash")
    holds("Help", "help", "settings")
    user_hook("post-create", "true")
    holds("Trust", "trust")


def test_documents_of_phases_are_what_commands_print(adw: Adw) -> None:
    def holds(part: str, *words: str, code: int = 0) -> None:
        validator("output", part).validate(adw.json(*words, code=code))

    file = write_feature(adw, "f", phase(1), phase(2, "false", needs=[1]), phase(3, needs=[2]))
    holds("FeatureShow", "feature", "start", str(file), "--yes")
    holds("Work", "work", "--until-idle")
    for words in (("show", "f"), ("pause", "f"), ("resume", "f"), ("priority", "f", "10")):
        holds("FeatureShow", "feature", *words)
    holds("FeatureList", "feature", "list")
    holds("AgentList", "agents")
    document = adw.json("agents", "check", code=None)
    validator("output", "AgentCheck").validate(document)
    holds("PhaseList", "phase", "list")
    holds("PhaseShow", "phase", "show", "f.1")
    holds("PhaseShow", "phase", "retry", "f.2")
    holds("Work", "work", "--until-idle")
    holds("PhaseLog", "phase", "log", "f.2")
    holds("PhaseDiff", "phase", "diff", "f.1")
    holds("Failed", "phase", "done", "--attempt", "0" * 32, code=7)
    rows = [{"feature_id": 1, "phase_number": 1}]
    (adw.directory / "export.json").write_text(json.dumps(rows))
    holds("ImportQueue", "import-queue", "export.json")
    holds("FeatureShow", "feature", "cancel", "f")


def test_documents_of_the_claude_hook_are_what_it_prints(adw: Adw) -> None:
    def told(action: str, **asked: str) -> dict[str, str]:
        command = [*adw.command, "claude-hook", action, "--json"]
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
        document: dict[str, str] = json.loads(done.stdout)
        return document

    made = told("create", name="a", cwd=str(adw.directory))
    validator("output", "ClaudeCreated").validate(made)
    removed = told("remove", worktree_path=made["path"], cwd=str(adw.directory))
    validator("output", "ClaudeRemoved").validate(removed)


def test_events_are_what_the_watcher_prints(adw: Adw) -> None:
    pytest.importorskip("watchdog")
    adw("create", "a")
    watcher = adw.start("watch", "--json")
    assert watcher.stdout is not None
    try:
        validator("output", "Watching").validate(json.loads(watcher.stdout.readline()))
        shutil.rmtree(adw.directory / "trees" / "a")
        validator("output", "Freed").validate(json.loads(watcher.stdout.readline()))
    finally:
        watcher.kill()
        watcher.communicate()


def test_the_link_to_a_board_is_what_it_prints(board: BoardProcess, adw: Adw) -> None:
    validator("output", "BoardLink").validate(board.document)
    validator("output", "BoardLink").validate(adw.json("board"))
    validator("output", "BoardToken").validate(adw.json("board", "token"))
    validator("output", "BoardHookSecret").validate(adw.json("board", "hook-secret"))


def test_a_ledger_fits_its_schema(adw: Adw) -> None:
    adw("create", "a")
    adw("reserve", "b")
    ledger = json.loads((adw.directory / "agents" / "port_allocations.json").read_text())
    validator("ledger").validate(ledger)
    ledger["a"]["slot"] = "0"
    assert not validator("ledger").is_valid(ledger)


# ---- settings ------------------------------------------------------------------------------------


def test_settings_of_every_page_fit_the_schema() -> None:
    found = 0
    for page in PAGES:
        for block in blocks(page.read_text()):
            table = tomllib.loads(block.text) if block.language == "toml" else {}
            if table.keys() <= TAKES.keys() and table:
                validator("settings").validate(table)
                found += 1
    assert found > 10


@pytest.mark.parametrize(
    "text",
    [
        'slots = "many"',
        "slots = 0",
        "spares = 101",
        "adopt = 1",
        'include = ".env"',
        "unknown = 1",
        "lock_timeout = 0",
        'write = ["emacs"]',
        "services = { backend = 80 }",
        "container_ports = { backend = 70000 }",
        "[hooks]\nlater = 'true'",
        "[hooks]\npost-create = 1",
        "[values]\nPORT = 1",
    ],
)
def test_what_settings_refuse_the_schema_refuses(text: str) -> None:
    table = tomllib.loads(text)
    with pytest.raises(SettingsError):
        checked(Layer("here", table))
    assert not validator("settings").is_valid(table)

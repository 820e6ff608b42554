"""Values of a slot beyond its ports: the setting `values`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import branches


def of_user(text: str) -> None:
    """Write the user's own settings."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)


def of_repository(adw: Adw, text: str) -> None:
    (adw.directory / "adw-worktree.toml").write_text(text)


def variables(adw: Adw, adw_id: str = "a") -> dict[str, str]:
    found: dict[str, str] = adw.json("env", adw_id)["variables"]
    return found


def test_values_are_lines_of_the_env_file_and_set_by_run(adw: Adw) -> None:
    of_user(
        "[values]\n"
        'DATABASE_URL = "postgresql:///app_{slot}?user={adw_id}"\n'
        'API = "http://localhost:{ports.backend}/{{v1}}"\n'
        'TOPIC = "{repo}/{branch}"\n'
        'NOTE = "it\'s in {path}"\n'
        'EMPTY = ""\n'
    )
    made = adw.json("create", "a", "--branch", "feature/x-y")
    slot, tree = made["slot"], Path(made["path"])
    expected = {
        "DATABASE_URL": f"postgresql:///app_{slot}?user=a",
        "API": f"http://localhost:{made['ports']['backend']}/{{v1}}",
        "TOPIC": "repo/feature/x-y",
        "NOTE": f"it's in {tree}",
        "EMPTY": "",
    }
    assert expected.items() <= variables(adw).items()
    script = 'printf \'%s|\' "$DATABASE_URL" "$API" "$TOPIC" "$NOTE" "$EMPTY"'
    wanted = "|".join(expected.values()) + "|"
    assert adw("run", "a", "--", "sh", "-c", script).stdout == wanted
    text = (tree / ".env.ports").read_text()
    assert f"TOPIC='repo/feature/x-y'\nNOTE=\"it's in {tree}\"\nEMPTY=''\n" in text


def test_values_of_the_repository_need_approval_before_anything_is_made(adw: Adw) -> None:
    """A variable such as LD_PRELOAD runs code in whatever is started with it."""
    of_repository(adw, "[values]\nLD_PRELOAD = '{path}/evil.so'\nADMIN_PORT = '9300'\n")
    refused = adw.json("create", "a", code=9)["error"]
    assert refused["code"] == "hook-untrusted"
    assert refused["message"].endswith("nobody has approved: LD_PRELOAD")
    assert branches(adw.directory) == {"main"}
    assert not (adw.directory / "trees").exists()
    problems = [one["code"] for one in adw.json("doctor", code=10)["problems"]]
    assert problems == ["template-untrusted"]
    assert adw.json("trust", "--yes")["variables"] == ["LD_PRELOAD='{path}/evil.so'"]
    adw("create", "a")
    assert variables(adw)["ADMIN_PORT"] == "9300"
    of_repository(adw, "[values]\nLD_PRELOAD = '{path}/other.so'\n")
    adw("env", "a", code=9)


def test_the_users_value_of_a_name_stands_and_needs_no_approval(adw: Adw) -> None:
    of_user("[values]\nCACHE = 'mine-{slot}'\n")
    of_repository(adw, "[values]\nCACHE = 'theirs'\n")
    slot = adw.json("create", "a")["slot"]
    assert variables(adw)["CACHE"] == f"mine-{slot}"


def test_create_again_brings_the_env_file_up_to_date(adw: Adw) -> None:
    tree = Path(adw.json("create", "a")["path"])
    of_user("[values]\nCACHE = 'c-{slot}'\n")
    assert "CACHE" not in (tree / ".env.ports").read_text()
    assert adw.json("create", "a")["created"] is False
    assert "CACHE='c-" in (tree / ".env.ports").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A = 'costs $5'", "values.A"),
        ("A = '{slots}'", "unknown placeholder {slots}"),
        ("A = '''both ' and \"'''", "values.A"),
        ("A = '{ports.cache}'", "unknown placeholder {ports.cache}"),
        ("BACKEND_PORT = '1'", "BACKEND_PORT"),
        ("ADW_ID = 'b'", "ADW_ID"),
        ("BASH_ENV = 'x'", "belongs to the shell"),
    ],
)
def test_a_value_that_readers_could_take_differently_is_refused(
    adw: Adw, text: str, said: str
) -> None:
    of_user(f"[values]\n{text}\n")
    refused = adw.json("create", "a", code=3)["error"]
    assert refused["code"] == "settings"
    assert said in refused["message"]
    assert branches(adw.directory) == {"main"}
    assert not (adw.directory / "trees").exists()
    of_user("")
    adw("create", "a")


def test_a_branch_with_a_quote_in_it_is_refused_or_quoted(adw: Adw) -> None:
    of_user("[values]\nTOPIC = '{branch}'\n")
    refused = adw.json("create", "a", "--branch", "it's", code=3)["error"]
    assert "TOPIC" in refused["message"]
    assert branches(adw.directory) == {"main"}

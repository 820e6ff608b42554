"""Claude Code's protocol, its settings file and AGENTS.md, as it and a person use them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import branches, git, worktrees


def call(adw: Adw, action: str, asked: Any, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Call the hook as Claude Code does: from anywhere, with a document on stdin."""
    text = asked if isinstance(asked, str) else json.dumps(asked)
    done = subprocess.run(
        [*adw.command, "claude-hook", action],
        cwd="/",
        input=text,
        capture_output=True,
        text=True,
        env=os.environ.copy(),
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def create(adw: Adw, name: str, cwd: Path | None = None) -> Path:
    asked = {"hook_event_name": "WorktreeCreate", "cwd": str(cwd or adw.directory), "name": name}
    return Path(call(adw, "create", asked).stdout.splitlines()[-1])


def remove(adw: Adw, path: Path) -> str:
    asked = {"worktree_path": str(path), "cwd": str(adw.directory)}
    done = call(adw, "remove", asked)
    assert done.stdout == ""
    return done.stderr


def test_a_session_gets_a_worktree_and_gives_it_back(adw: Adw) -> None:
    path = create(adw, "fix-login")
    assert (path / "README").exists()
    assert "BACKEND_PORT=" in (path / ".env.ports").read_text()
    assert create(adw, "fix-login") == path
    remove(adw, path)
    assert not path.exists()
    assert worktrees(adw.directory) == [str(adw.directory)]
    assert branches(adw.directory) == {"main"}
    assert not adw.json("status")["allocations"]
    assert "gone already" in remove(adw, path)


def test_hooks_that_print_do_not_get_between_claude_and_the_path(adw: Adw, tmp_path: Path) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[hooks]\npost-create = "echo chatter"\n')
    asked = {"cwd": str(adw.directory), "name": "a"}
    done = call(adw, "create", asked)
    assert done.stdout == f"{adw.directory}/trees/a\n"
    assert "chatter" in done.stderr


@pytest.mark.parametrize("name", ["feature/login", "ä b", "..", "-x", "a" * 300, "x.lock", "'; rm"])
def test_any_name_of_a_session_gives_a_worktree_of_its_own(adw: Adw, name: str) -> None:
    path = create(adw, name)
    assert path.parent == adw.directory / "trees"
    assert create(adw, name) == path
    other = create(adw, f"{name}/")
    assert other != path


def test_a_session_in_a_worktree_starts_from_there(adw: Adw) -> None:
    first = create(adw, "a")
    git("commit", "--quiet", "--allow-empty", "-m", "further", cwd=first)
    second = create(adw, "b", cwd=first)
    assert git("rev-parse", "HEAD", cwd=second) == git("rev-parse", "HEAD", cwd=first)
    assert second.parent == adw.directory / "trees"


def test_uncommitted_work_can_be_had_back(adw: Adw) -> None:
    path = create(adw, "a")
    (path / "work").write_text("of hours\n")
    told = remove(adw, path)
    assert not path.exists()
    assert "adw-worktree restore a" in told
    adw("restore", "a")
    assert (path / "work").read_text() == "of hours\n"


def test_uncommitted_work_stays_where_there_is_no_trash(
    adw: Adw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADW_TRASH_DAYS", "0")
    path = create(adw, "a")
    (path / "work").write_text("of hours\n")
    call(adw, "remove", {"worktree_path": str(path)}, code=7)
    assert (path / "work").exists()


def test_commits_keep_their_branch(adw: Adw) -> None:
    path = create(adw, "a")
    git("commit", "--quiet", "--allow-empty", "-m", "work", cwd=path)
    (path / "file").write_text("work\n")
    git("add", "file", cwd=path)
    git("commit", "--quiet", "-m", "more", cwd=path)
    remove(adw, path)
    assert branches(adw.directory) == {"main", "a"}


def test_worktree_that_was_deleted_by_hand_is_a_success(adw: Adw) -> None:
    path = create(adw, "a")
    subprocess.run(["rm", "-rf", str(path)], check=True)
    remove(adw, path)
    assert not adw.json("status")["allocations"]


def test_the_main_worktree_is_never_removed(adw: Adw) -> None:
    call(adw, "remove", {"worktree_path": str(adw.directory)}, code=2)
    assert (adw.directory / "README").exists()


@pytest.mark.parametrize(
    "asked",
    ["", "no JSON", "[]", "{}", '{"name": 3}', '{"name": ""}', '{"name": "a\\u0000"}',
     '{"name": "a", "cwd": 3}', "[" * 100_000],
)  # fmt: skip
def test_what_is_not_the_protocol_is_a_clear_error(adw: Adw, asked: str) -> None:
    for action in ("create", "remove"):
        assert "error: " in call(adw, action, asked, code=2).stderr


# ---- .claude/settings.json ---------------------------------------------------------------------


@pytest.fixture
def settings(adw: Adw) -> Path:
    return adw.directory / ".claude" / "settings.json"


def state(adw: Adw, name: str) -> str:
    hooks = adw.json("hooks", "status")["hooks"]
    return str(next(one["state"] for one in hooks if one["event"] == name))


BEFORE = [
    None,
    b"{}\n",
    b'{"permissions": {"allow": ["Bash(ls:*)"]}}',
    b'{\n    "hooks": {\n        "Stop": [{"hooks": [{"type": "command"}]}]\n    }\n}',
    b'{\n\t"model": "opus",\n\t"hooks": {"WorktreeCreate": [{"hooks": []}], "Stop": []}\n}\n\n',
    '{"greeting": "grüß dich"}\n'.encode(),
]


@pytest.mark.parametrize("before", BEFORE)
def test_settings_are_merged_and_come_back_byte_for_byte(
    adw: Adw, settings: Path, before: bytes | None
) -> None:
    if before is not None:
        settings.parent.mkdir()
        settings.write_bytes(before)
    assert state(adw, "claude") == "absent"
    for _ in range(2):
        adw("hooks", "install", "--claude")
    document = json.loads(settings.read_bytes())
    for event in ("WorktreeCreate", "WorktreeRemove"):
        ours = [one for one in document["hooks"][event] if "claude-hook" in json.dumps(one)]
        assert len(ours) == 1
    for key, value in json.loads(before or b"{}").items():
        assert key == "hooks" or document[key] == value
    assert state(adw, "claude") == "installed"
    adw("hooks", "uninstall", "--claude")
    assert (settings.read_bytes() if settings.exists() else None) == before
    assert settings.parent.exists() == (before is not None)
    assert git("status", "--porcelain", "--ignored", "agents", cwd=adw.directory) == ""


def test_what_was_changed_meanwhile_stays(adw: Adw, settings: Path) -> None:
    adw("hooks", "install", "--claude")
    document = json.loads(settings.read_bytes())
    document["model"] = "opus"
    document["hooks"]["WorktreeCreate"].append({"hooks": [{"type": "command", "command": "mine"}]})
    settings.write_text(json.dumps(document))
    adw("hooks", "uninstall", "--claude")
    left = json.loads(settings.read_bytes())
    assert left == {
        "model": "opus",
        "hooks": {"WorktreeCreate": [{"hooks": [{"type": "command", "command": "mine"}]}]},
    }


@pytest.mark.parametrize(
    "text", ["", "{half", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}', "// x\n{}"]
)
def test_settings_that_are_none_are_left_alone(adw: Adw, settings: Path, text: str) -> None:
    settings.parent.mkdir()
    settings.write_text(text)
    error = adw.json("hooks", "install", "--claude", code=3)["error"]
    assert str(settings) in error["message"]
    assert settings.read_text() == text
    assert state(adw, "claude") == "damaged"
    assert str(settings) in adw("hooks", "status").stdout


def test_claude_calls_what_was_put_in(adw: Adw, settings: Path) -> None:
    """The command of the file, run by a shell, as Claude Code does."""
    adw("hooks", "install", "--claude")
    (group,) = json.loads(settings.read_bytes())["hooks"]["WorktreeCreate"]
    command = group["hooks"][0]["command"]
    words = " ".join(adw.command)
    done = subprocess.run(
        command.replace("adw-worktree claude-hook", f"{words} claude-hook"),
        shell=True,
        cwd=adw.directory,
        input=json.dumps({"cwd": str(adw.directory), "name": "a"}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.splitlines()[-1], "README").exists()


# ---- AGENTS.md ---------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, "", "# Ours\n\nText.\n", "no end of line"])
def test_section_in_agents_md_comes_and_goes(adw: Adw, before: str | None) -> None:
    file = adw.directory / "AGENTS.md"
    if before is not None:
        file.write_text(before)
    for _ in range(2):
        adw("hooks", "install", "--agents-md")
    assert state(adw, "agents-md") == "installed"
    text = file.read_text()
    assert text.startswith(before or "")
    assert text.count("adw-worktree create") == 1
    adw("hooks", "uninstall", "--agents-md")
    assert (file.read_text() if file.exists() else None) == before


def test_text_around_the_section_stays(adw: Adw) -> None:
    file = adw.directory / "AGENTS.md"
    file.write_text("before\n")
    adw("hooks", "install", "--agents-md")
    file.write_text(f"first\n{file.read_text()}last\n")
    adw("hooks", "uninstall", "--agents-md")
    assert file.read_text() == "first\nbefore\nlast\n"

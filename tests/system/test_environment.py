"""The environment that git and hooks get: nothing of another repository, all that authenticates."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from adw_worktree.system.environment import clean_environment
from adw_worktree.system.inherited_settings import is_kept
from tests.support.command_line import Adw, user_hook
from tests.support.repositories import git, make_repo

KEPT = {
    "safe.directory": "*", "safe.bareRepository": "explicit", "protocol.file.allow": "always",
    "http.https://example.com/a=b.extraHeader": "AUTHORIZATION: basic x", "http.proxy": "http://p",
    "credential.helper": "!f() { echo it's=me!; }; f", "credential.https://x.helper": "store",
    "url.https://token@example.com/.insteadOf": "https://example.com/",
    "core.sshCommand": "ssh -i key", "core.askPass": "ask", "gpg.program": "gpg2",
    "transfer.fsckObjects": "true", "user.name": "It's me!", "core.autocrlf": "input",
    "checkout.defaultRemote": "up", "worktree.useRelativePaths": "true", "remote.up.proxy": "",
    # What switches something off.
    "core.hooksPath": "/dev/null", "core.fsmonitor": "false", "filter.lfs.smudge": "",
    "filter.lfs.required": "false", "submodule.lib.path": "",
}  # fmt: skip
DROPPED = {
    "core.worktree": "/tmp", "CORE.Bare": "true", "extensions.worktreeConfig": "true",
    "include.path": "/missing", "includeIf.gitdir:/x.y/.path": "/x", "remote.origin.url": "/x",
    "submodule.lib.url": "/x", "alias.status": "!touch ran", "alias.a.b": "!touch ran",
    "core.fsmonitor": "touch ran", "core.hooksPath": "hooks", "core.editor": "vi",
    "diff.external": "touch ran", "diff.x.textconv": "touch ran", "filter.lfs.smudge": "touch ran",
    "filter.a.b.PROCESS": "touch ran", "merge.x.driver": "touch ran", "hook.x.command": "touch ran",
    "mergetool.x.cmd": "touch ran", "tar.x.command": "touch ran", "submodule.x.update": "!ran",
    "remote.x.uploadpack": "touch ran", "pager.log": "touch ran", "init.templateDir": "/x",
}  # fmt: skip


@pytest.mark.parametrize("key", KEPT)
def test_setting_that_authenticates_protects_or_runs_nothing_is_passed_on(key: str) -> None:
    assert is_kept(key, KEPT[key])


@pytest.mark.parametrize("key", DROPPED)
def test_setting_that_leads_elsewhere_or_runs_a_command_is_dropped(key: str) -> None:
    assert not is_kept(key, DROPPED[key])


def numbered(settings: dict[str, str]) -> dict[str, str]:
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def parameters(settings: dict[str, str], directory: Path) -> dict[str, str]:
    """Return what git itself notes of `-c` for what it starts."""
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    show = ["-c", "alias.show-it=!printenv GIT_CONFIG_PARAMETERS", "show-it"]
    return {"GIT_CONFIG_PARAMETERS": git(*options, *show, cwd=directory).removesuffix("\n")}


def told(environ: dict[str, str], directory: Path) -> list[tuple[str, str]]:
    """Return the settings that git takes from the environment."""
    listed = subprocess.run(
        ["git", "config", "--show-scope", "-z", "--list"],
        cwd=directory, env={**os.environ, **environ}, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    found = [text.partition("\n") for scope, text in zip(listed[::2], listed[1::2], strict=False)
             if scope == "command"]  # fmt: skip
    return [(key, value) for key, _, value in found]


def lower(settings: dict[str, str]) -> list[tuple[str, str]]:
    def plain(key: str) -> str:
        section, _, rest = key.partition(".")
        between, dot, name = rest.rpartition(".")
        return f"{section.lower()}.{between}{dot}{name.lower()}"

    return [(plain(key), value) for key, value in settings.items()]


@pytest.mark.parametrize("how", ["numbered", "parameters"])
def test_what_is_kept_reaches_git_as_it_was_given(repo: Path, how: str) -> None:
    mixed = {key: KEPT[key] for key in KEPT if "a=b" not in key}  # `-c` ends the key at its `=`
    dropped = {key: value for key, value in DROPPED.items() if key not in KEPT}
    both = dict(pair for two in zip(mixed.items(), dropped.items(), strict=False) for pair in two)
    kept = {key: value for key, value in both.items() if key in mixed}
    given = numbered(both) if how == "numbered" else parameters(both, repo)
    cleaned = clean_environment({"PATH": "x", **given})
    assert cleaned.pop("PATH") == "x"
    assert told(cleaned, repo) == lower(kept)
    assert clean_environment(cleaned) == cleaned


@pytest.mark.parametrize("text", [
    "'safe.directory=*'", "'safe.directory'='*' ", "'safe.directory=*' 'core.bare=true'",
    "'core.worktree'='/it'\\''s' 'safe.directory'='*'", "'alias.x' 'safe.directory'='*'",
])  # fmt: skip
def test_what_older_gits_note_is_read_too(repo: Path, text: str) -> None:
    cleaned = clean_environment({"GIT_CONFIG_PARAMETERS": text})
    assert told(cleaned, repo) == [("safe.directory", "*")]


@pytest.mark.parametrize("given", [
    {"GIT_CONFIG_PARAMETERS": "'safe.directory'='*' nonsense"},
    {"GIT_CONFIG_PARAMETERS": "safe.directory=*"},
    {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
    {"GIT_CONFIG_COUNT": "-1"}, {"GIT_CONFIG_COUNT": "many"}, {"GIT_CONFIG_COUNT": ""},
])  # fmt: skip
def test_what_git_would_not_take_is_dropped_whole(given: dict[str, str]) -> None:
    assert clean_environment(given) == {}


Give = Callable[[dict[str, str]], None]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Return the way to set variables for the rest of the test."""

    def give(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("how", ["numbered", "parameters"])
def test_safe_directory_by_the_environment_counts(adw: Adw, give: Give, how: str) -> None:
    """So containers say that a repository of somebody else's may be used."""
    adw("create", "a")
    safe = {"safe.directory": "*"}
    given = numbered(safe) if how == "numbered" else parameters(safe, adw.directory)
    subprocess.run(["chown", "-R", "nobody", str(adw.directory)], check=True)
    assert "safe.directory" in adw.json("list", code=4)["error"]["hint"]
    give(given)
    assert len(adw.json("list")["worktrees"]) == 2
    assert adw.json("create", "b")["created"] is True


def test_a_request_is_fetched_from_the_address_that_the_environment_gives(
    adw: Adw, give: Give, tmp_path: Path
) -> None:
    theirs = make_repo(tmp_path / "theirs")
    git("update-ref", "refs/pull/7/head", "HEAD", cwd=theirs)
    git("remote", "add", "origin", "https://example.invalid/app", cwd=adw.directory)
    give(numbered({f"url.{theirs}.insteadOf": "https://example.invalid/app"}))
    assert adw.json("create", "a", "--pr", "7")["created"] is True


def test_no_hook_runs_that_the_environment_switches_off(adw: Adw, give: Give) -> None:
    hook = adw.directory / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    assert (Path(adw.json("create", "a")["path"]) / "ran").exists()
    give(numbered({"core.hooksPath": "/dev/null"}))
    assert not (Path(adw.json("create", "b")["path"]) / "ran").exists()


def test_hooks_and_commands_find_what_is_passed_on_and_no_more(adw: Adw, give: Give) -> None:
    user_hook("post-create", "git config --get-all safe.directory >safe; printenv >environment")
    give(numbered({"core.worktree": "/", "safe.directory": "x", "alias.x": "!true"}))
    path = Path(adw.json("create", "a")["path"])
    assert (path / "safe").read_text() == "x\n"
    environment = (path / "environment").read_text()
    assert "GIT_CONFIG_COUNT=1\n" in environment and "core.worktree" not in environment
    assert adw("run", "a", "--", "printenv", "GIT_CONFIG_COUNT").stdout == "1\n"

"""The command line: exact JSON keys, exit codes, help, and who prints where."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from adw_worktree.cli.command_table import COMMANDS
from adw_worktree.cli.main import _ISSUES
from adw_worktree.cli.mistyped import OTHER_NAMES
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw, user_hook
from tests.support.repositories import git

ENVELOPE = {"schema_version", "ok"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(adw: Adw, command: str) -> None:
    text = adw(command, "--help").stdout
    assert "example" in text
    assert f"adw-worktree {command}" in text
    assert "--json" in text


def test_our_own_mistakes_are_reported_where_the_project_is() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert f"{project['urls']['Source']}/issues" == _ISSUES


def test_no_command_prints_help(adw: Adw) -> None:
    assert "create" in adw().stdout


def test_version(adw: Adw) -> None:
    from adw_worktree import __version__

    assert adw("--version").stdout == f"adw-worktree {__version__}\n"


def test_unknown_command_suggests_the_near_one(adw: Adw) -> None:
    ran = adw("creat", "x", code=2)
    assert "hint: adw-worktree create --help" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("typed", "said", "hint"),
    [
        ("delet a", "'delet' is not a command", "delete --help"),
        ("rnu a -- ls", "'rnu' is not a command", "run --help"),
        ("remove a --froce", "unrecognized arguments: --froce", "remove a --force"),
        ("list --al", "unrecognized arguments: --al", "list --all"),
        ("create a --brnch=b", "unrecognized arguments: --brnch=b", "create a --branch=b"),
        ("list a", "unrecognized arguments: a", "list --help"),
        ("list -C there", "-C goes before the command", "-C there list"),
        ("path -C there a", "-C goes before the command", "-C there path a"),
        ("run -C 'a b' a -- ls", "-C goes before the command", "-C 'a b' run a -- ls"),
        ("run a ls -l", "the command to run stands behind --", "run a -- ls -l"),
        ("run a", "no command to run", "run a -- CMD…"),
        ("hooks", "the following arguments are required: {install,uninstall,status}", "hooks -"),
        ("create a --slot x", "argument --slot: takes a whole number, not 'x'", "create --help"),
        ("reconcile --max-age x", "--max-age: takes a number, not 'x'", "reconcile --help"),
        ("create a --pr -1", "no pull or merge request has the number -1", "give "),
    ],
)
def test_what_cannot_be_understood_says_what_may_be_meant(
    adw: Adw, typed: str, said: str, hint: str
) -> None:
    told = adw(*shlex.split(typed), code=2).stderr
    assert said in told
    assert f"hint: adw-worktree {hint}" in told or f"hint: {hint}" in told


@pytest.mark.parametrize(
    ("alias", "name"),
    [(alias, name) for name, (_, aliases) in COMMANDS.items() for alias in aliases],
)
def test_aliases_reach_their_command(adw: Adw, alias: str, name: str) -> None:
    assert f"adw-worktree {name}" in adw(alias, "--help").stdout


def test_errors_in_json_are_one_document(adw: Adw) -> None:
    ran = adw("path", "nope", "--json", code=6)
    assert ran.stderr == ""
    document = json.loads(ran.stdout)
    assert document.keys() == {*ENVELOPE, "error"}
    assert document["error"].keys() == {"code", "message", "hint"}
    assert adw.json("create", code=2)["ok"] is False
    assert adw.json("nonsense", code=2)["error"]["code"] == "usage"


def test_errors_in_text_leave_stdout_empty(adw: Adw) -> None:
    ran = adw("path", "nope", code=6)
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")
    assert "\nhint: " in ran.stderr


def test_json_keys_of_every_command(adw: Adw) -> None:
    adw("create", "a")
    expected = {
        ("status",): {
            "allocated", "available", "total", "utilization_percent", "allocations", "elsewhere",
            "blocked",
        },
        ("list",): {"worktrees"},
        ("reserve", "r"): {"created", "adw_id", "slot", "ports"},
        ("release", "r"): {"adw_id", "released"},
        ("reconcile",): {"error", "dry_run", "released", "kept", "repaired", "adopted", "failed"},
        ("env", "a"): {"adw_id", "variables"},
        ("path", "a"): {"adw_id", "path"},
        ("hooks", "status"): {"action", "hooks"},
        ("doctor",): {"problems"},
        ("trust",): {"trusted", "commands", "variables", "approved"},
        ("restore",): {"kept"},
        ("remove", "a"): {
            "removed", "adw_id", "path", "released", "branch_deleted", "database_dropped",
            "stopped", "listening", "kept_until",
        },
    }  # fmt: skip
    for command, keys in expected.items():
        assert adw.json(*command).keys() == {*ENVELOPE, *keys}, command


def test_list_rows_have_exactly_these_keys(adw: Adw) -> None:
    adw("create", "a")
    adw("reserve", "r")
    git("worktree", "add", "--quiet", "plain", cwd=adw.directory)
    rows = adw.json("list")["worktrees"]
    keys = {
        "adw_id", "slot", "ports", "path", "branch", "state", "main", "locked", "reason",
        "allocated_at", "repository", "listening",
    }  # fmt: skip
    assert all(row.keys() == keys for row in rows)
    assert [(row["adw_id"], row["state"], row["main"]) for row in rows] == [
        (None, "unmanaged", True),
        ("a", "active", False),
        ("r", "reserved", False),
        (None, "unmanaged", False),
    ]


def test_list_all_shows_other_repositories(adw: Adw, tmp_path: Path) -> None:
    from tests.support.repositories import make_repo

    adw("create", "a")
    second = Adw(make_repo(tmp_path / "second"))
    second("create", "z")
    found = {row["adw_id"]: row["repository"] for row in second.json("list", "--all")["worktrees"]}
    assert found["a"] == str(adw.directory)
    assert found["z"] == str(second.directory)
    assert set(adw.json("status")["elsewhere"][str(second.directory)]) == {"z"}


def test_status_counts_the_machine(adw: Adw) -> None:
    adw("create", "a")
    adw("reserve", "r")
    status = adw.json("status")
    assert (status["allocated"], status["total"], status["utilization_percent"]) == (2, 100, 2.0)
    assert (
        status["allocated"] + status["available"] + len({b["slot"] for b in status["blocked"]})
        == 100
    )
    assert status["allocations"]["r"]["state"] == "reserved"


def test_a_slot_with_both_ports_blocked_is_one_slot_less(adw: Adw) -> None:
    bases = [int(one.partition("=")[2]) for one in os.environ["ADW_SERVICES"].split(",")]
    servers = [socket.create_server(("127.0.0.1", base + 7)) for base in bases]
    status = adw.json("status")
    for server in servers:
        server.close()
    assert [one["slot"] for one in status["blocked"]].count(7) == 2
    assert status["available"] == 100 - len({one["slot"] for one in status["blocked"]})


def test_reserve_again_returns_the_same_slot(adw: Adw) -> None:
    first = adw.json("reserve", "r")
    second = adw.json("reserve", "r")
    assert (second["created"], second["slot"]) == (False, first["slot"])
    adw("reserve", "s", "--slot", "50")
    assert adw.json("reserve", "r", "--slot", "50", code=5)["error"]["code"] == "slot-unavailable"
    refused = adw.json("reserve", "r", "--slot", "51", code=2)["error"]
    assert refused["hint"] == "adw-worktree release r && adw-worktree reserve r --slot 51"


def test_release_refuses_a_worktrees_lease(adw: Adw) -> None:
    """The ports of a living worktree would be given away."""
    adw("create", "a")
    assert adw.json("release", "a", code=7)["error"]["code"] == "worktree-unavailable"
    adw("release", "nope", code=6)


def test_env_formats_say_the_same(adw: Adw) -> None:
    adw("create", "a")
    as_json = json.loads(adw("env", "a", "--format", "json").stdout)
    dotenv = dict(line.split("=", 1) for line in adw("env", "a").stdout.splitlines())
    shell = adw("env", "a", "--format", "shell").stdout
    sourced = subprocess.run(
        ["sh", "-c", f"{shell}\nenv"], capture_output=True, text=True, check=True
    ).stdout
    assert as_json == dotenv == adw.json("env", "a")["variables"]
    assert all(f"{name}={value}\n" in sourced for name, value in as_json.items())
    assert as_json.keys() == {
        "ADW_ID", "ADW_SLOT", "BACKEND_PORT", "FRONTEND_PORT", "VITE_BACKEND_URL",
        "COMPOSE_PROJECT_NAME",
    }  # fmt: skip


def test_env_and_run_know_the_worktree_they_are_in(adw: Adw) -> None:
    path = Path(adw.json("create", "a")["path"])
    (path / "sub").mkdir()
    assert adw.json("env", cwd=path / "sub")["adw_id"] == "a"
    ran = adw("run", "--", "sh", "-c", "echo $ADW_ID; pwd", cwd=path / "sub")
    assert ran.stdout.split() == ["a", str(path / "sub")]
    adw("env", code=6)


def test_run_becomes_the_command(adw: Adw) -> None:
    path = adw.json("create", "a")["path"]
    ran = adw("run", "a", "--", "sh", "-c", 'echo "$BACKEND_PORT $PWD"; exit 42', code=42)
    assert ran.stdout.split()[1] == path
    assert adw("run", "a", "--", "no-such-command", code=127).stderr.startswith("error: no-such")
    adw("run", "a", "--", "/etc/passwd", code=126)
    adw("run", "a", code=2)
    adw("run", "nope", "--", "true", code=6)
    assert adw("run", "a", "--", "printf", "%s|", "--json", "a b").stdout == "--json|a b|"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("none", 127, "none: command not found"),
        ("", 127, "'': command not found"),
        ("./none", 127, "./none: there is no such file"),
        ("./README/none", 127, "./README/none: there is no such file"),
        ("./tools", 126, "tools is a directory"),
        ("./README", 126, "hint: chmod +x "),
        ("./tools/bad", 126, "its first line (#!) names"),
        ("./tools/bare", 126, "such as #!/bin/sh"),
        ("bare", 126, "such as #!/bin/sh"),
    ],
)
def test_a_command_that_cannot_be_run_is_told_from_one_that_is_not_there(
    adw: Adw, tmp_path: Path, command: str, code: int, said: str
) -> None:
    tools = Path(adw.json("create", "a")["path"]) / "tools"
    tools.mkdir()
    for name, text in (("bad", "#!/none/sh\n"), ("bare", "exit\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    search = os.pathsep.join([str(closed), str(tools), os.environ["PATH"]])
    assert said in adw("run", "a", "--", command, code=code, PATH=search).stderr


def test_path_prints_the_path_alone(adw: Adw) -> None:
    made = adw.json("create", "a")
    assert adw("path", "a").stdout == f"{made['path']}\n"
    adw("reserve", "r")
    adw("path", "r", code=6)


def test_dash_c_works_in_another_directory(adw: Adw, tmp_path: Path) -> None:
    adw("-C", str(adw.directory), "create", "a", cwd=tmp_path)
    assert adw("-C", "repo", "path", "a", cwd=tmp_path).stdout.endswith("/repo/trees/a\n")
    adw("-C", "missing", "list", cwd=tmp_path, code=4)


def test_what_comes_next_can_be_typed_from_elsewhere(adw: Adw, tmp_path: Path) -> None:
    there = ("-C", os.path.relpath(adw.directory, tmp_path))
    told = f"adw-worktree -C {there[1]}"
    path = Path(adw.json("create", "a")["path"])
    (path / ".env.ports").unlink()
    assert f"mend: {told} reconcile\n" in adw(*there, "doctor", cwd=tmp_path, code=10).stdout
    problems = adw.json(*there, "doctor", cwd=tmp_path, code=10)["problems"]
    assert problems[0]["fix"] == f"{told} reconcile"
    (path / "new").write_text("work\n")
    ran = adw(*there, "remove", "a", "--force", cwd=tmp_path)
    assert f": {told} restore a\n" in ran.stderr
    for command in (there, (f"-C{there[1]}",)):
        assert f"hint: {told} list\n" in adw(*command, "path", "b", cwd=tmp_path, code=6).stderr
    failed = adw.json(*there, "path", "b", cwd=tmp_path, code=6)
    assert failed["error"]["hint"] == f"{told} list"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell that reads $'…'")
@pytest.mark.parametrize("name", ["tr\nee", "a\tb\x1bc", "it's\n\\n", "\x85\u2028", "\udcff1\n"])
def test_a_hint_can_be_pasted_whatever_is_in_a_name(adw: Adw, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    git("worktree", "add", "--quiet", "--detach", os.fsdecode(path), cwd=adw.directory)
    (path / "new").write_text("work\n")
    told = adw("remove", str(path), code=7).stderr
    hint = told.rpartition("hint: commit it, or ")[2].rstrip("\n").partition("; ")[0]
    command = hint.partition("force")[0] + "force"
    asked = subprocess.run(
        ["bash", "-c", f"adw-worktree() {{ printf '%s\\0' \"$@\"; }}; {command}"],
        capture_output=True,
        check=True,
    )
    assert os.fsencode(path) in asked.stdout.split(b"\0")


def test_the_hundred_and_first_adw_is_told_who_holds_the_slots(adw: Adw) -> None:
    services = os.environ["ADW_SERVICES"]
    assert services
    for number in range(3):
        adw("reserve", f"r{number}", ADW_SLOTS="4")
    adw("create", "a", ADW_SLOTS="4")
    ran = adw("create", "b", code=5, ADW_SLOTS="4")
    assert "Port pool exhausted" in ran.stderr
    for holder in ("r0", "r1", "r2", "a"):
        assert f"{holder} in {adw.directory}" in ran.stderr
    assert str(adw.directory / "trees" / "a") in ran.stderr
    assert "hint: adw-worktree" in ran.stderr
    assert not (adw.directory / "trees" / "b").exists()


def test_the_command_that_would_free_the_most_frees_something(adw: Adw, tmp_path: Path) -> None:
    import shlex

    from tests.support.repositories import make_repo

    def proposed() -> str:
        hint: str = adw.json("create", "b", code=5, ADW_SLOTS="1")["error"]["hint"]
        return hint

    def free(hint: str) -> None:
        adw(*shlex.split(hint.partition(" (")[0])[1:])

    adw("reserve", "r", ADW_SLOTS="1")
    assert "release r" in proposed()
    free(proposed())
    second = Adw(make_repo(tmp_path / "second"))
    second("create", "z", "--slot", "2")  # of no use to a pool of one
    adw("create", "a", ADW_SLOTS="1")
    assert "remove a" in proposed()
    free(proposed())


def test_exhausted_pool_takes_back_what_is_gone_elsewhere(adw: Adw, tmp_path: Path) -> None:
    """Nobody has to run a command in the other repository first."""
    import shutil

    from tests.support.repositories import make_repo

    second = Adw(make_repo(tmp_path / "second"))
    path = second.json("create", "z", ADW_SLOTS="1")["path"]
    adw("create", "a", code=5, ADW_SLOTS="1")
    shutil.rmtree(path)
    adw("create", "a", ADW_SLOTS="1")


def test_a_slot_or_port_is_never_shared_across_repositories_with_other_bases(
    adw: Adw, tmp_path: Path
) -> None:
    """Another base may reach into the same ports under another slot's number."""
    from tests.support.repositories import make_repo

    base = int(os.environ["ADW_SERVICES"].split("=")[1].split(",")[0])
    first = adw.json("reserve", "a", "--slot", "5")
    second = Adw(make_repo(tmp_path / "second"))
    shifted = f"backend={base + 5},frontend={base + 200}"
    other = second.json("reserve", "z", ADW_SERVICES=shifted)
    assert not set(first["ports"].values()) & set(other["ports"].values())
    assert first["slot"] != other["slot"]


def test_unusable_settings_exit_3(adw: Adw) -> None:
    (adw.directory / "adw-worktree.toml").write_text("slotz = 1\n")
    error = adw.json("list", code=3)["error"]
    assert "slotz" in error["message"]
    assert "slots" in error["hint"]


def test_lock_held_too_long_exits_8(adw: Adw) -> None:
    from adw_worktree.system.locks import held

    adw("create", "a")
    state = Path(os.environ["XDG_STATE_HOME"]) / "adw-worktree"
    with held(state / "machine.lock", 1, "test"):
        error = adw.json("create", "b", code=8, ADW_LOCK_TIMEOUT="0.2")["error"]
    assert "ADW_LOCK_TIMEOUT" in error["hint"]
    assert not (adw.directory / "trees" / "b").exists()


def test_unapproved_hooks_of_the_repository_do_not_run(adw: Adw) -> None:
    """A repository's own files must not run anything before somebody said so."""
    (adw.directory / "adw-worktree.toml").write_text('[hooks]\npost-create = ["touch ../../ran"]\n')
    error = adw.json("create", "a", code=9)["error"]
    assert error["code"] == "hook-untrusted"
    assert not (adw.directory / "ran").exists()
    assert not (adw.directory / "trees").exists()
    assert adw.json("trust", code=2)["error"]["code"] == "usage"
    assert adw.json("trust", "--yes")["trusted"] is True
    adw("create", "a")
    assert (adw.directory / "ran").exists()
    (adw.directory / "adw-worktree.toml").write_text(
        '[hooks]\npost-create = ["touch ../../more"]\n'
    )
    adw("create", "b", code=9)
    assert not (adw.directory / "more").exists()


def test_hooks_find_their_variables_and_print_to_stderr(adw: Adw) -> None:
    user_hook(
        "post-create",
        "echo $ADW_ID $ADW_BRANCH $ADW_WORKTREE $ADW_REPO $FRONTEND_PORT; cat .env.ports",
    )
    ran = adw("create", "a", "--branch", "topic", "--json")
    path = adw.directory / "trees" / "a"
    assert json.loads(ran.stdout)["branch"] == "topic"
    assert f"a topic {path} {adw.directory} " in ran.stderr
    assert "FRONTEND_PORT=" in ran.stderr


@pytest.mark.parametrize("moment", ["pre-create", "post-create"])
def test_failing_hook_undoes_the_creation(adw: Adw, moment: str) -> None:
    user_hook(moment, "exit 3")
    adw("create", "a", code=9)
    assert not (adw.directory / "trees").exists()
    assert git("branch", "--list", "a", cwd=adw.directory) == ""
    assert adw.json("status")["allocated"] == 0


def test_failing_post_create_is_kept_if_asked(adw: Adw) -> None:
    user_hook("post-create", "exit 3")
    ran = adw("create", "a", "--keep")
    assert "kept" in ran.stderr
    assert (adw.directory / "trees" / "a" / "README").exists()


def test_doctor_finds_and_reconcile_mends(adw: Adw) -> None:
    path = Path(adw.json("create", "a")["path"])
    adw("doctor")
    (path / ".env.ports").unlink()
    problems = adw.json("doctor", code=10)["problems"]
    assert [one["code"] for one in problems] == ["needs-env"]
    assert problems[0]["fix"] == "adw-worktree reconcile"
    adw("reconcile")
    adw("doctor")


def test_broken_pipe_is_quiet(adw: Adw) -> None:
    command = [sys.executable, "-m", "adw_worktree", "status"]
    done = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", *command],
        cwd=adw.directory,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


def test_names_cannot_move_the_cursor(adw: Adw) -> None:
    git("branch", "a\x9bb", cwd=adw.directory, check=False)
    git("worktree", "add", "--quiet", "--detach", "x\ty", cwd=adw.directory)
    assert "x\\ty" in adw("list").stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("command", "code"),
    [("create a", 0), ("list", 0), ("--help", 0), ("path none", 6), ("path none --json", 6)],
)
def test_a_closed_stream_changes_nothing_but_what_is_shown(
    adw: Adw, closed: str, command: str, code: int
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *adw.command, *command.split()],
        cwd=adw.directory,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("create a", "what create does is done, but stdout cannot be written: No space"),
        ("create a --json", "what create does is done, but stdout cannot be written: No space"),
        ("--help", "stdout cannot be written: No space"),
        ("list --help", "stdout cannot be written: No space"),
        ("--version", "stdout cannot be written: No space"),
    ],
)
def test_output_that_is_lost_is_named(adw: Adw, command: str, said: str) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" >/dev/full', "sh", *adw.command, *command.split()],
        cwd=adw.directory,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {said}")
    assert "hint: send it elsewhere" in done.stderr


@pytest.mark.parametrize("word", OTHER_NAMES)
def test_the_names_of_other_tools_lead_to_the_command(adw: Adw, word: str) -> None:
    assert (
        adw.json(word, "a", code=2)["error"]["hint"] == f"adw-worktree {OTHER_NAMES[word]} --help"
    )


def test_a_mistyped_id_names_the_one_that_was_meant(adw: Adw) -> None:
    adw("create", "fix-login")
    adw("create", "topic", "--branch", "feature/topic")
    error = adw.json("path", "fix-logn", code=6)["error"]
    assert error["message"].endswith("; did you mean fix-login?")
    assert adw.json("path", "feature/topic", code=6)["error"]["message"].endswith("mean topic?")
    assert "mean" not in adw.json("path", "something-else", code=6)["error"]["message"]
    assert adw.json("path", "no/such", code=2)["error"]["code"] == "invalid-adw-id"


def test_a_branch_in_place_of_an_id_becomes_the_branch_of_one(adw: Adw) -> None:
    error = adw.json("create", "feature/login", code=2)["error"]
    assert error["code"] == "invalid-adw-id"
    assert error["hint"] == "adw-worktree create feature-login --branch feature/login"
    assert adw.json(*error["hint"].split()[1:])["branch"] == "feature/login"

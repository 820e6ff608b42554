"""Hostile input runs nothing, leads nowhere and destroys nothing: names, files, ledgers, git.

Each test that runs a command looks for the trace that a command, had it been run, would leave.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adw_worktree.cli.main import main
from adw_worktree.errors import LedgerError
from adw_worktree.pool.document import DocumentDamaged, decode_leases, encode_leases
from adw_worktree.pool.lease import Lease
from adw_worktree.project import open_project
from adw_worktree.settings.approvals import is_trusted, trust
from adw_worktree.system.atomic import write_atomically
from adw_worktree.system.environment import clean_environment
from adw_worktree.system.locks import held
from adw_worktree.worktrees import trash
from adw_worktree.worktrees.files.env_file import further_lines
from tests.support.command_line import Adw, Ran, managed_hook, user_hook
from tests.support.repositories import anywhere, branches, git, make_repo, worktrees

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's files")

VALUES = {
    "newline": "a\nhint: touch ran",
    "quotes": "\"a\"'b'",
    "substitution": "$(touch ran)",
    "backticks": "`touch ran`",
    "semicolon": "a;touch ran",
    "dash": "-x",
    "upload-pack": "--upload-pack=touch ran",
    "output": "--output=ran",
    "config": "-c core.fsmonitor=touch",
    "long": "a" * 4000,
    "dots": "..",
    "outside": "../../outside",
    "terminal": "a\x1b]0;owned\x07\x1b[31m",
    "bidi": "a\u202eb",
    "bytes": os.fsdecode(b"a\xff"),
    "nobody's home": "~nobody-of-this-name/x",
}
hostile = pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())


def raw(text: str) -> list[str]:
    """Return what of `text` a terminal would obey, or show in another order."""
    return [ascii(char) for char in text if not char.isprintable() and char != "\n"]


def call(capsys: pytest.CaptureFixture[str], repo: Path, *words: str) -> tuple[int, str, str]:
    """Run the command line in this process: what a start of Python costs is not the point."""
    code = main(["-C", str(repo), *words])
    printed = capsys.readouterr()
    assert "unexpected" not in printed.err, printed.err
    return code, printed.out, printed.err


class Here(Adw):
    """Runs the command line in this process, but for what becomes another program."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(directory)
        self.capsys = capsys

    def __call__(
        self, *args: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> Ran:
        if args[0] == "run" or "GIT_DIR" in env:
            return super().__call__(*args, cwd=cwd, code=code, **env)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            patch.chdir(cwd or self.directory)
            ran = Ran(main(args), *self.capsys.readouterr())
        assert code is None or ran.code == code, f"{args}: exit {ran.code}\n{ran}"
        assert "unexpected" not in ran.stderr, ran.stderr
        return ran


@pytest.fixture
def adw(repo: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(repo, capsys)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Give back the handlers that the command line sets."""
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in watched]
    yield
    for number, handler in zip(watched, before, strict=True):
        signal.signal(number, handler)


WHEN = datetime.now(UTC)


def lease(adw_id: str, **fields: Any) -> Lease:
    made = Lease(adw_id, 3, {"backend": 31003, "frontend": 31103}, WHEN, "active",
                 "0123456789abcdef" * 2)  # fmt: skip
    return made._replace(**fields)


def bring_ledger(repo: Path, *leases: Lease) -> Path:
    """Commit a ledger as a foreign repository may bring one, every field well-formed."""
    path = repo / "agents" / "port_allocations.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode_leases(leases))
    git("add", "-f", str(path), cwd=repo)
    git("commit", "--quiet", "-m", "ledger", cwd=repo)
    return path


def bring(repo: Path, name: str, text: str) -> None:
    (repo / name).write_text(text)
    git("add", "-f", name, cwd=repo)
    git("commit", "--quiet", "-m", name, cwd=repo)


# ---- names -------------------------------------------------------------------------------------

AN_ID = [
    (["create"], []),
    (["reserve"], []),
    (["release"], []),
    (["path"], []),
    (["env"], []),
    (["run"], ["--", "touch", "ran"]),
]


@hostile
def test_hostile_ids_are_refused_and_leave_nothing(
    repo: Path, capsys: pytest.CaptureFixture[str], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo)
    before = branches(repo), worktrees(repo), sorted(os.listdir(repo.parent))
    for words, more in AN_ID:
        code, _, err = call(capsys, repo, *words, value, *more)
        assert code == 2, (words, err)
        assert raw(err) == []
        assert all(line.startswith(("error:", "hint:", "  ")) for line in err.splitlines())
        assert "\nhint: touch ran" not in err
    for words, expected in (
        (["restore", "a", f"--as={value}"], 2),
        (["remove", "--", value], 6),
        (["restore", "--", value], 6),
        (["hooks", value], 2),
        (["trust", "--", value], 2),
        (["create", "a", f"--slot={value}"], 2),
        (["create", "a", f"--pr={value}"], 2),
        ([value], 2),
    ):
        code, _, err = call(capsys, repo, *words)
        assert code == expected or (value == ".." and words[0] == "remove"), (words, err)
        assert raw(err) == []
        assert "\nhint: touch ran" not in err
    assert (branches(repo), worktrees(repo), sorted(os.listdir(repo.parent))) == before
    assert not (repo / "ran").exists()


@hostile
def test_hostile_branches_and_refs_are_only_names(
    repo: Path, capsys: pytest.CaptureFixture[str], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo)
    for option in ("--branch", "--from"):
        code, out, err = call(capsys, repo, "create", "a", f"{option}={value}")
        assert code in (0, 4), err
        assert raw(err) == [] and raw(out) == []
        if code == 0:  # git takes quotes, and an id beyond ASCII, for the name of a branch
            header = (repo / "trees" / "a" / ".env.ports").read_text()
            assert len(header.splitlines()) == 8
            assert call(capsys, repo, "remove", "a", "-D")[0] == 0
        assert branches(repo) == {"main"}
    assert not (repo / "ran").exists()


@hostile
def test_hostile_paths_are_taken_to_the_letter(
    repo: Path, capsys: pytest.CaptureFixture[str], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo)
    (repo / "in").mkdir()
    code, out, err = call(capsys, repo, "create", "a", f"--path=in/w{value}")
    assert code in (0, 2, 7), err
    assert raw(err) == [] and raw(out) == []
    if code == 0:
        for command in (["list"], ["list", "--json"], ["reconcile"], ["status"], ["doctor"]):
            _, out, err = call(capsys, repo, *command)
            assert raw(out) == [] and raw(err) == []
        assert call(capsys, repo, "remove", "a", "-D")[0] == 0
    assert call(capsys, repo / value / "x", "list")[0] == 4
    assert branches(repo) == {"main"}
    assert not (repo / "ran").exists()


def test_path_prints_every_byte_of_a_name_to_a_pipe(adw: Adw) -> None:
    name = os.fsdecode(b"w\xff\x1b[31m")
    adw("create", "a", f"--path={name}")
    printed = os.fsencode(Adw(adw.directory)("path", "a").stdout)
    assert printed == os.fsencode(adw.directory / name) + b"\n"


def test_path_inside_of_gits_own_directory_is_refused(adw: Adw) -> None:
    adw("create", "a", "--path=.git/hooks/a", code=2)
    assert not (adw.directory / ".git" / "hooks" / "a").exists()


def test_hint_quotes_what_it_asks_to_paste(adw: Adw, tmp_path: Path) -> None:
    tree = tmp_path / "$(touch ran)"
    git("worktree", "add", "--quiet", "-b", "x", str(tree), cwd=adw.directory)
    (tree / "work").write_text("mine")
    hint = adw.json("remove", str(tree), code=7)["error"]["hint"]
    command = hint.split("or ")[1].split(";")[0].replace("adw-worktree remove", "echo")
    said = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout == f"{tree} --force\n"
    assert not (tmp_path / "ran").exists()


def test_remote_is_a_name_and_no_address(adw: Adw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:ext")
    bring(adw.directory, "adw-worktree.toml", 'remote = "ext::touch ran"\n')
    adw("create", "a", "--pr", "1", code=4)
    git("config", "remote.--upload-pack=touch ran.url", "../nowhere", cwd=adw.directory)
    bring(adw.directory, "adw-worktree.toml", "slots = 9\n")
    adw("create", "a", "--pr", "1", code=4)
    assert not (adw.directory / "ran").exists()


# ---- what a repository brings ------------------------------------------------------------------

LOADING = [
    "PATH=.:/bin",
    "LD_PRELOAD=./x.so",
    "NODE_OPTIONS=--require=./x.js",
    "GIT_SSH_COMMAND=./x",
    "PYTHONSTARTUP=x.py",
    "ADW_STATE_HOME=/tmp/x",
    "HTTPS_PROXY=http://localhost:1",
    "PORT=./x",
]


@pytest.mark.parametrize("line", LOADING)
def test_template_that_sets_more_than_ports_is_asked_about(line: str) -> None:
    assert further_lines("{header}\nADW_ID={adw_id}\n# X=1\nPORT={ports.backend}\n") == []
    assert further_lines(f"{line}\nAPI_PORT='9100'\n{{service_ports}}\n") == [line]


def test_template_runs_nothing_before_trust(adw: Adw) -> None:
    """A template can put its own programs first on the PATH of whatever is started with it."""
    repo = adw.directory
    (repo / "bin").mkdir()
    bring(repo, "bin/ls", "#!/bin/sh\ntouch ran\n")
    (repo / "bin" / "ls").chmod(0o755)
    adw("create", "early")
    bring(repo, "t", f"PATH={repo}/bin:/usr/bin:/bin\n")
    bring(repo, "adw-worktree.toml", 'template = "t"\n')
    for words in (["create", "a"], ["env", "early"], ["run", "early", "--", "ls"]):
        refused = adw.json(*words[:2], code=9) if words[0] != "run" else adw(*words, code=9)
        assert isinstance(refused, dict) is (words[0] != "run")
    (repo / "trees" / "early" / ".env.ports").unlink()
    adw("reconcile", code=9)
    assert not (repo / "trees" / "early" / ".env.ports").exists()
    assert branches(repo) == {"main", "early"}
    assert "template-untrusted" in [one["code"] for one in adw.json("doctor", code=10)["problems"]]
    assert "PATH=" in adw("trust", code=2).stderr
    assert adw.json("trust", "--yes")["variables"] == [f"PATH={repo}/bin:/usr/bin:/bin"]
    adw("run", "early", "--", "ls")
    assert (repo / "trees" / "early" / "ran").exists()
    bring(repo, "t", f"PATH={repo}/bin\n")
    adw("env", "early", code=9)


def test_hooks_of_a_repository_run_in_no_command_before_trust(adw: Adw) -> None:
    repo = adw.directory
    adw("create", "old")
    hooks = "".join(f'{moment}-{what} = "touch {repo}/ran"\n'
                    for moment in ("pre", "post") for what in ("create", "remove"))  # fmt: skip
    aside = repo.parent / "settings"
    aside.write_text(f"[hooks]\n{hooks}")
    (repo / "adw-worktree.toml").symlink_to(aside)
    adw("create", "a", code=9)
    adw("remove", "old", code=9)
    adw("reconcile")
    adw("hooks", "install")
    git("branch", "b", cwd=repo)
    adw("reconcile", "--background")
    adw("trust", code=2)
    assert not (repo / "ran").exists()
    adw("trust", "--yes")
    aside.write_text(f"[hooks]\n{hooks.replace('ran', 'other')}")  # changed after the approval
    adw("create", "a", code=9)
    # The same text in another repository has its own approval.
    other = make_repo(repo.parent / "clone")
    (other / "adw-worktree.toml").write_text(f"[hooks]\n{hooks}")
    adw("create", "a", cwd=other, code=9)
    assert not (repo / "ran").exists() and not (repo / "other").exists()


@pytest.mark.parametrize("name", ["trees", "agents"])
def test_link_that_a_repository_brings_leads_nowhere(adw: Adw, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (adw.directory / name).symlink_to(outside)
    git("add", "-f", name, cwd=adw.directory)
    git("commit", "--quiet", "-m", "link", cwd=adw.directory)
    adw("create", "a", code=3)
    for command in ("list", "reconcile", "status"):
        adw(command, code=3 if name == "agents" else 0)
    assert list(outside.iterdir()) == []
    assert branches(adw.directory) == {"main"}


def test_restore_follows_no_link_that_came_meanwhile(adw: Adw, tmp_path: Path) -> None:
    """The directory of all worktrees goes with the last one, and leaves room for a link."""
    tree = Path(adw.json("create", "a")["path"])
    (tree / "work").write_text("mine")
    adw("remove", "a", "-f")
    outside = tmp_path / "outside"
    outside.mkdir()
    (adw.directory / "trees").symlink_to(outside)
    git("add", "-f", "trees", cwd=adw.directory)
    adw("restore", "a", code=3)
    assert list(outside.iterdir()) == []
    git("rm", "-f", "--quiet", "trees", cwd=adw.directory)
    adw("restore", "a")
    assert (tree / "work").read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        '[submodule "x"\n path = ../..\n',
        '[submodule "x"]\n path = ../..\n url = --upload-pack=touch ran\n[include]\n path = /x\n',
        '[submodule "../../x"]\n path = sub\n url = ext::touch ran\n update = !touch ran\n',
        "\0\x1b[31m",
    ],
    ids=["cut short", "include", "commands", "no text"],
)
def test_submodules_that_a_commit_brings_run_nothing(adw: Adw, text: str) -> None:
    bring(adw.directory, ".gitmodules", text)
    commit = git("rev-parse", "HEAD", cwd=adw.directory).strip()
    git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub", cwd=adw.directory)
    git("commit", "--quiet", "-m", "sub", cwd=adw.directory)
    make_repo(adw.directory / "sub")
    adw("create", "a", code=None)
    if "a" in branches(adw.directory):
        adw("remove", "a", "-D", code=None)
    assert not anywhere(adw.directory, "ran")


def test_commits_in_a_submodule_count_whatever_gitmodules_says(adw: Adw) -> None:
    bring(adw.directory, ".gitmodules", "[cut short")
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub", cwd=adw.directory)
    git("commit", "--quiet", "-m", "sub", cwd=adw.directory)
    tree = Path(adw.json("create", "a")["path"])
    (tree / "sub").rmdir()
    make_repo(tree / "sub")
    adw("remove", "a", code=None)
    assert (tree / "sub" / "README").exists()


def test_link_of_ones_own_may_lead_to_another_disk(adw: Adw, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (adw.directory / "trees").symlink_to(tmp_path / "disk")
    assert adw.json("create", "a")["path"] == str(tmp_path / "disk" / "a")


@pytest.mark.parametrize("name", [".env.ports", "agents/port_allocations.json"])
def test_link_in_place_of_a_file_is_never_written_through(
    adw: Adw, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / "authorized_keys"
    precious.write_text("mine")
    link = adw.directory / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(precious)
    git("add", "-f", name, cwd=adw.directory)
    git("commit", "--quiet", "-m", "link", cwd=adw.directory)
    adw("create", "a", code=3)
    adw("reconcile", code=None)
    adw("list", code=None)
    assert precious.read_text() == "mine"


def test_env_file_that_became_a_link_is_replaced(adw: Adw, tmp_path: Path) -> None:
    env_file = Path(adw.json("create", "a")["env_file"])
    precious = tmp_path / "precious"
    precious.write_text("mine")
    env_file.unlink()
    env_file.symlink_to(precious)
    adw("reconcile")
    assert "ADW_ID=a\n" in env_file.read_text() and not env_file.is_symlink()
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    "template",
    ["{tmp}/plugins/{{adw_id}}", "../../{{adw_id}}", "../.vim/pack/{{adw_id}}/start/x",
     "{{home}}/../../{{adw_id}}"],
)  # fmt: skip
def test_repository_places_no_worktree_far_away(tmp_path: Path, template: str, adw: Here) -> None:
    adw.directory = make_repo(tmp_path / "deep" / "repo")
    place = template.format(tmp=tmp_path)
    bring(adw.directory, "adw-worktree.toml", f'worktree_path = "{place}"\n')
    adw("create", "a", code=3)
    assert branches(adw.directory) == {"main"}
    assert sorted(os.listdir(tmp_path)) == ["deep", "repo"]


def test_own_settings_place_worktrees_anywhere(adw: Adw, tmp_path: Path) -> None:
    made = adw.json("create", "a", ADW_WORKTREE_PATH=f"{tmp_path}/.far/{{adw_id}}")
    assert made["path"] == str(tmp_path / ".far" / "a")


# ---- a ledger that somebody else wrote ---------------------------------------------------------


@pytest.mark.parametrize("command", ["list", "reconcile", "status"])
def test_pending_lease_of_a_foreign_ledger_destroys_nothing(adw: Adw, command: str) -> None:
    """Undoing it would force away a worktree that the user made with git, and a branch."""
    repo = adw.directory
    git("branch", "work", cwd=repo)
    git("worktree", "add", "--quiet", "mine", "work", cwd=repo)
    (repo / "mine" / "hours").write_text("of work")
    git("branch", "other", cwd=repo)
    commit = git("rev-parse", "other", cwd=repo).strip()
    pending = {"state": "pending", "new_branch_at": commit}
    bring_ledger(
        repo,
        lease("a", path=str(repo / "mine"), branch="other", **pending),
        lease("b", path=str(repo / "nothing"), branch="other", slot=4, token="b" * 32, **pending),
    )
    adw(command)
    adw(command)
    assert (repo / "mine" / "hours").read_text() == "of work"
    assert branches(repo) == {"main", "work", "other"}
    assert adw.json("status")["allocations"] == {}


@pytest.mark.parametrize(
    "field",
    [
        {"token": "../../heads/main"},
        {"token": "x\n"},
        {"admin_id": "../.."},
        {"admin_id": ".."},
        {"path": "../outside"},
        {"path": "/a\0b"},
        {"slot": -1},
        {"slot": "3"},
        {"state": "dead"},
        {"new_branch_at": "--stdin"},
        {"ports": {"backend": 0, "frontend": 31103}},
        {"ports": {"backend": 31003, "frontend": 31103, "x;$(touch ran)": 31203}},
        {"adw_id": "../a"},
        {"inode": "1"},
        {"database": "app?host=elsewhere"},
    ],
    ids=str,
)
def test_no_wrong_field_is_believed(field: dict[str, Any]) -> None:
    """A token is part of names of files and refs."""
    assert decode_leases(encode_leases([lease("a")]))[0] == {"a": lease("a")}
    with pytest.raises(DocumentDamaged):
        decode_leases(encode_leases([lease("a")._replace(**field)]))


def test_foreign_ledger_moves_and_deletes_no_worktree_of_others(adw: Adw, tmp_path: Path) -> None:
    repo = adw.directory
    other = make_repo(tmp_path / "other")
    theirs = Path(adw.json("create", "theirs", cwd=other)["path"])
    found = theirs.stat()
    bring_ledger(
        repo,
        lease("a", path=str(theirs), admin_id="theirs", branch="-D", inode=found.st_ino),
        lease("b", path=str(tmp_path), admin_id="x", slot=4, token="b" * 32),
        lease("c", path=str(repo), admin_id="y", slot=5, token="c" * 32),
    )
    for words in (["list"], ["reconcile"], ["remove", "a", "-f", "-D"], ["remove", "b", "-f"],
                  ["remove", "c", "-f"], ["path", "b"], ["run", "b", "--", "true"]):  # fmt: skip
        adw(*words, code=None)
    assert (theirs / "README").exists() and (repo / "README").exists()
    assert len(worktrees(other)) == 2
    assert adw.json("list", cwd=other)["worktrees"][1]["state"] == "active"


def test_place_and_inode_that_another_repository_got_hold_no_slot(adw: Adw, tmp_path: Path) -> None:
    """A new directory often has the inode of the one just deleted."""
    other = make_repo(tmp_path / "other")
    tree = Path(adw.json("create", "a")["path"])
    shutil.rmtree(tree)
    git("worktree", "add", "--quiet", "-b", "x", str(tree), cwd=other)
    ledger = adw.directory / "agents" / "port_allocations.json"
    document = json.loads(ledger.read_text())
    document["a"]["inode"] = tree.stat().st_ino
    ledger.write_text(json.dumps(document))
    assert adw.json("status")["allocations"] == {}
    assert (tree / "README").exists()


def test_worktree_whose_git_file_names_another_takes_that_nowhere(adw: Adw) -> None:
    """Whoever works in a worktree can write its `.git` file."""
    repo = adw.directory
    one, two = (Path(adw.json("create", name)["path"]) for name in ("one", "two"))
    (two / "hours").write_text("of work")
    git("add", "hours", cwd=two)
    (one / ".git").write_text(f"gitdir: {repo}/.git/worktrees/two\n")
    adw("remove", "one", "-f", "-D", code=7)
    assert "A  hours" in git("status", "--porcelain", cwd=two)


RECORD = {
    "schema_version": 1, "name": "a-1", "path": "/nowhere/a", "admin_id": "a", "commit": None,
    "branch": "main", "adw_id": "a", "token": None, "slot": None, "branch_dropped_at": None,
    "upstream": None, "removed_at": "2026-01-01T00:00:00+00:00", "kept": True,
}  # fmt: skip


@pytest.mark.parametrize(
    "field",
    [
        {"path": 7},
        {"path": "nowhere"},
        {"path": "/a\0b"},
        {"admin_id": "../.."},
        {"admin_id": 7},
        {"adw_id": "../a"},
        {"slot": "7"},
        {"kept": "yes"},
        {"name": "../a-1"},
        {"branch": 7},
        {"branch_dropped_at": "--stdin"},
        {"removed_at": "2026-01-01"},
        {"removed_at": None},
    ],
    ids=str,
)
def test_foreign_record_in_the_trash_is_none(tmp_path: Path, field: dict[str, Any]) -> None:
    directory = tmp_path / "a-1"
    directory.mkdir()
    record = directory / "entry.json"
    record.write_text(json.dumps(RECORD))
    assert trash.load(directory) is not None
    record.write_text(json.dumps(RECORD | field))
    assert trash.load(directory) is None


def test_interrupted_removal_that_nobody_began_touches_nothing(adw: Adw, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    head = git("rev-parse", "HEAD", cwd=adw.directory).strip()
    for name, way, commit in (("a-1", "removing", "0" * 40), ("a-2", "removing", head),
                              ("a-3", "restoring", head)):  # fmt: skip
        directory = adw.directory / ".git" / "adw-worktree" / "trash" / f"{name}.{way}"
        (directory / "admin").mkdir(parents=True)
        record = RECORD | {"name": name, "path": str(precious), "branch_dropped_at": commit}
        (directory / "entry.json").write_text(json.dumps(record))
    adw("list")
    assert precious.is_dir()
    assert branches(adw.directory) == {"main"}


def test_foreign_files_beside_the_locks_are_names_alone(adw: Adw, tmp_path: Path) -> None:
    """The name of a lock is part of the name of a ref that is deleted."""
    adw("reserve", "a")
    creating = adw.directory / ".git" / "adw-worktree" / "creating"
    creating.mkdir(exist_ok=True)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("..", "-d", "$(touch ran)", "a\nb", "@{-1}", "x^{commit}", "\x1b[31m"):
        (creating / f"{name}.lock").touch()
    (creating / "link.lock").symlink_to(precious)
    (creating / "git.lock").touch()
    (creating / "git.git").symlink_to(precious)
    ran = adw("list", code=None)
    assert raw(ran.stderr) == []
    assert precious.read_text() == "mine" and branches(adw.directory) == {"main"}
    assert not (adw.directory / "ran").exists()


@pytest.mark.parametrize("there", [True, False])
def test_foreign_entry_in_the_registry_overwrites_nothing(
    adw: Adw, sealed_env: Path, tmp_path: Path, there: bool
) -> None:
    """A full pool looks into every repository that the registry names, to release what is gone."""
    precious = tmp_path / "precious"
    precious.write_text('{"mine": 1}')
    adw("reserve", "a")
    (file,) = (sealed_env / "state" / "adw-worktree" / "ledgers").iterdir()
    entry = json.loads(file.read_text())
    other = make_repo(tmp_path / "other")
    found = (other / ".git").stat()
    gone = lease("gone", path=str(tmp_path / "nothing"), admin_id="x", slot=9)
    entry |= {
        "ledger": str(precious), "common_dir": str(other / ".git" if there else tmp_path / "no"),
        "inode": found.st_ino, "device": found.st_dev, "identity": "",
        "leases": json.loads(encode_leases([gone])),
    }  # fmt: skip
    file.with_name("f" * 32 + ".json").write_text(json.dumps(entry))
    for words in (["reconcile"], ["list", "--all"], ["status"], ["reserve", "b", "--slot", "9"]):
        adw(*words, code=None)
    assert precious.read_text() == '{"mine": 1}'


def test_header_that_a_commit_brings_takes_nobodys_slot(adw: Adw, tmp_path: Path) -> None:
    made = adw.json("create", "victim")
    header = Path(made["env_file"]).read_text().replace("worktree=victim", "worktree=thief")
    git("checkout", "--quiet", "-b", "evil", cwd=adw.directory)
    bring(adw.directory, ".env.ports", header)
    git("checkout", "--quiet", "main", cwd=adw.directory)
    git("worktree", "add", "--quiet", "thief", "evil", cwd=adw.directory)
    adw("reconcile", code=None)
    rows = {one["path"]: one for one in adw.json("list")["worktrees"]}
    assert rows[made["path"]]["slot"] == made["slot"]
    assert rows[made["path"]]["adw_id"] == "victim"
    slots = [one["slot"] for one in rows.values() if one["slot"] is not None]
    assert len(slots) == len(set(slots))


# ---- git's output ------------------------------------------------------------------------------


def test_every_command_lives_with_hostile_worktrees(adw: Adw, tmp_path: Path) -> None:
    repo = adw.directory
    names = ["a\n*\n!b", "$(touch ran)", "'\"", "\x1b[31m", "-x"]
    for number, name in enumerate(names):
        git("update-ref", f"refs/heads/-b'$(touch${{IFS}}ran){number}", "HEAD", cwd=repo)
        git("worktree", "add", "--quiet", "--", f"{tmp_path}/{name}",
            f"refs/heads/-b'$(touch${{IFS}}ran){number}", cwd=repo)  # fmt: skip
        git("symbolic-ref", "HEAD", f"refs/heads/-b'$(touch${{IFS}}ran){number}",
            cwd=tmp_path / name)  # fmt: skip
    git("worktree", "lock", "--reason", "x\nhint: \x1b[31mrun", f"{tmp_path}/-x", cwd=repo)
    adw("hooks", "install")
    adw("reconcile", ADW_ADOPT="1", code=None)
    for words in (["list"], ["status"], ["doctor"], ["reconcile"], ["hooks", "status"]):
        ran = adw(*words, code=None)
        assert ran.code in (0, 10), ran.stderr
        assert raw(ran.stdout) == [] and raw(ran.stderr) == []
    refused = adw("remove", f"{tmp_path}/-x", code=7).stderr
    assert raw(refused) == [] and "\nhint: \\x1b" not in refused
    found = [one["path"] for one in adw.json("list")["worktrees"]]
    assert {f"{tmp_path}/{name}" for name in names} <= set(found)
    for name in names[:-1]:
        adw("remove", f"{tmp_path}/{name}", "-f", "-D")
    assert sorted(os.listdir(tmp_path)) == ["-x", "repo"]
    assert not anywhere(tmp_path, "ran")


def test_worktree_with_line_breaks_in_its_path_hides_no_files(adw: Adw) -> None:
    """Adopted, its directory would be a line, or several, of info/exclude."""
    repo = adw.directory
    git("worktree", "add", "--quiet", "-b", "x", f"{repo}/a\nnew\n/x", cwd=repo)
    adw("reconcile", ADW_ADOPT="1", code=None)
    (repo / "new").write_text("")
    assert "?? new" in git("status", "--porcelain", cwd=repo)


def test_managed_hooks_do_not_break_on_what_git_hands_them(adw: Adw) -> None:
    repo = adw.directory
    adw("hooks", "install")
    hook = managed_hook(adw, "reference-transaction")
    stdin = b"$(touch ran)\0\xff;`touch ran`\n" * 20_000
    done = subprocess.run(
        [str(hook), "committed; touch ran", "$(touch ran)"], input=stdin, cwd=repo,
        capture_output=True, env={**os.environ, "GIT_DIR": "/x/$(touch ran)"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    git("update-ref", "refs/heads/$(touch-ran);`touch`", "HEAD", cwd=repo)
    assert not (repo / "ran").exists()


# ---- who may read and write --------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_private_files_are_private_under_any_umask(adw: Adw, sealed_env: Path, mask: int) -> None:
    bring(adw.directory, "adw-worktree.toml", '[hooks]\npost-create = "true"\n')
    before = os.umask(mask)
    try:
        adw("trust", "--yes")
        tree = Path(adw.json("create", "a")["path"])
        (tree / "work").write_text("mine")
        adw("remove", "a", "-f")
        adw("create", "b")
    finally:
        os.umask(before)
    state = sealed_env / "state" / "adw-worktree"
    ours = adw.directory / ".git"
    private = [state, state / "ledgers", state / "trust.json", *(state / "ledgers").iterdir(),
               *(ours / "adw-worktree" / "trash").iterdir(),
               ours / "worktrees" / "b" / "adw-worktree.json"]  # fmt: skip
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for path in [*state.rglob("*"), *(adw.directory / "agents").glob("*.json")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0 or path.suffix == ".lock", path


def test_state_directory_that_everybody_writes_to_is_refused(adw: Adw, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    adw("reserve", "a", code=3, ADW_STATE_HOME=str(shared))
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("how", ["link", "writable", pytest.param("owner", marks=only_root)])
def test_record_that_others_could_have_written_approves_nothing(tmp_path: Path, how: str) -> None:
    common = tmp_path / ".git"
    common.mkdir()
    state = tmp_path / "state"
    trust(state, common, "d" * 64, lock_timeout=1)
    assert is_trusted(state, common, "d" * 64)
    record = state / "trust.json"
    if how == "link":
        record.rename(tmp_path / "theirs")
        record.symlink_to(tmp_path / "theirs")
    elif how == "writable":
        record.chmod(0o660)
    else:
        os.chown(record, 12345, 12345)
    assert not is_trusted(state, common, "d" * 64)
    trust(state, common, "d" * 64, lock_timeout=1)
    assert is_trusted(state, common, "d" * 64)


@only_root
def test_each_user_of_a_shared_directory_approves_for_himself(tmp_path: Path) -> None:
    common = tmp_path / ".git"
    common.mkdir()
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 12345, 0)
    (state / "trust.json").write_text("theirs")
    trust(state, common, "d" * 64, lock_timeout=1)
    assert is_trusted(state, common, "d" * 64)
    assert (state / "trust.json").read_text() == "theirs"


def test_link_in_place_of_a_temporary_or_lock_file_leads_nowhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".file.tmp").symlink_to(precious)
    (tmp_path / "file").symlink_to(precious)
    write_atomically(tmp_path / "file", b"ours")
    (tmp_path / "machine.lock").symlink_to(precious)
    with pytest.raises(LedgerError), held(tmp_path / "machine.lock", 1, "x"):
        pass
    assert precious.read_text() == "mine"
    assert (tmp_path / "file").read_bytes() == b"ours"


# ---- environment -------------------------------------------------------------------------------


def test_every_variable_of_a_repository_that_git_knows_is_dropped(repo: Path) -> None:
    names = git("rev-parse", "--local-env-vars", cwd=repo).split()
    numbered = ["GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"]
    assert clean_environment(dict.fromkeys([*names, *numbered, "GIT_SSH"], "x")) == {"GIT_SSH": "x"}


def test_hostile_environment_leads_to_no_other_repository(adw: Adw, tmp_path: Path) -> None:
    other = make_repo(tmp_path / "other")
    user_hook("post-create", "git rev-parse --show-toplevel >top")
    made = adw.json(
        "create", "a", GIT_DIR=f"{other}/.git", GIT_WORK_TREE=str(other),
        GIT_INDEX_FILE=f"{other}/.git/index", GIT_COMMON_DIR=f"{other}/.git",
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="core.fsmonitor",
        GIT_CONFIG_VALUE_0=f"touch {tmp_path}/ran", GIT_OBJECT_DIRECTORY=str(tmp_path),
    )  # fmt: skip
    assert (Path(made["path"]) / "top").read_text().strip() == made["path"]
    assert branches(other) == {"main"} and len(worktrees(other)) == 1
    assert not (tmp_path / "ran").exists()
    assert open_project(Path(made["path"])).repo.main == adw.directory

"""`shell-init` and completion, in the real shells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import Adw
from tests.support.repositories import git

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-c"],
    "zsh": ["zsh", "-f", "-c"],
    "fish": ["fish", "--no-config", "-c"],
}
LOADS = {
    "bash": 'eval "$(adw-worktree shell-init bash)"',
    "zsh": 'eval "$(adw-worktree shell-init zsh)"',
    "fish": "adw-worktree shell-init fish | source",
}
ASKS = {
    "bash": 'COMP_WORDS=(adw {words} "{current}"); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); '
    'COMPREPLY=(); _adw_complete; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "zsh": '_describe() {{ print -rl -- "${{(@P)2}}" }}; _files() {{ :; }}; '
    'words=(adw {words} "{current}"); CURRENT=$#words; _adw_complete',
    "fish": 'complete -C "adw {words} {current}"',
}


@pytest.fixture(params=[*SHELLS])
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here")
    return name


@pytest.fixture(autouse=True)
def on_path(adw: Adw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tool on PATH under its own name."""
    script = tmp_path / "bin" / "adw-worktree"
    script.parent.mkdir()
    words = " ".join(f"'{word}'" for word in adw.command)
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


def run(adw: Adw, shell: str, script: str, code: int = 0) -> str:
    """Run a script in the shell with `adw` loaded, and return what it prints."""
    done = subprocess.run(
        [*SHELLS[shell], f"{LOADS[shell]}\n{script}"],
        cwd=adw.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def candidates(adw: Adw, shell: str, words: str, current: str = "") -> set[str]:
    """Return what the shell offers after `adw WORDS CURRENT`."""
    told = run(adw, shell, ASKS[shell].format(words=words, current=current))
    ends = "\t" if shell == "fish" else ":"
    return {line.partition(ends)[0] for line in told.splitlines() if line}


def test_the_shell_goes_into_a_worktree(adw: Adw, shell: str) -> None:
    tree = adw.json("create", "a")["path"]
    assert run(adw, shell, "adw cd a\npwd").splitlines()[-1] == tree
    assert run(adw, shell, "adw cd none; pwd").splitlines()[-1] == str(adw.directory)


def test_cd_is_a_command_like_the_others(adw: Adw, shell: str, tmp_path: Path) -> None:
    tree = adw.json("create", "a")["path"]
    assert "usage: adw-worktree cd" in run(adw, shell, "adw cd --help")
    told = run(adw, shell, f"cd {tmp_path}\nadw -C repo cd a --json\npwd")
    document, place, _ = told.rpartition(f"{tree}\n")
    assert place
    assert json.loads(document)["path"] == tree
    error = adw.json("cd", "a", code=2)["error"]
    assert error["hint"] == 'eval "$(adw-worktree shell-init bash)"; adw cd a'


def test_the_shell_goes_into_what_it_made(adw: Adw, shell: str) -> None:
    told = run(adw, shell, "adw create 'a' --cd\npwd").splitlines()
    assert told[0].startswith("created a at ")
    assert told[-1] == f"{adw.directory}/trees/a"
    assert run(adw, shell, "adw create a --cd --slot 99; pwd").splitlines()[-1] == str(
        adw.directory
    )


def test_the_shell_goes_back_to_where_it_was(adw: Adw, shell: str) -> None:
    first, second = (adw.json("create", adw_id)["path"] for adw_id in "ab")
    # A script that only asks goes nowhere.
    script = "\n".join(["adw cd a", "adw cd b", "adw path a", "adw cd -", "pwd", "adw cd -", "pwd"])
    assert run(adw, shell, script).splitlines() == [first, first, second]
    removed = run(adw, shell, "adw cd -\nadw remove -\nadw cd -; pwd").splitlines()
    assert (removed[0], removed[-1]) == (f"removed {first}", second)


@pytest.mark.thorough
@pytest.mark.parametrize("words", ["remove", "rm a b --yes", "finish a", "-C ../.. remove a"])
def test_the_shell_leaves_a_worktree_that_goes(adw: Adw, shell: str, words: str) -> None:
    """In a directory that is gone every further command fails."""
    for name in ("a", "b", "c"):
        adw("create", name)
    told = run(adw, shell, f"adw cd a\nadw {words}\npwd\nadw path c").splitlines()
    assert told[-2:] == [str(adw.directory), f"{adw.directory}/trees/c"]


def test_the_shell_follows_a_worktree_that_is_renamed(adw: Adw, shell: str) -> None:
    (Path(adw.json("create", "a")["path"]) / "my lib").mkdir()
    told = run(adw, shell, "adw cd a\ncd 'my lib'\nadw rename a b\npwd").splitlines()
    assert told[-1] == f"{adw.directory}/trees/b/my lib"


def test_the_shell_stays_where_nothing_went(adw: Adw, shell: str) -> None:
    adw("create", "a")
    adw("create", "b")
    script = "adw cd a\nadw remove b\nadw remove none; pwd"
    assert run(adw, shell, script).splitlines()[-1] == f"{adw.directory}/trees/a"


def test_a_path_with_spaces_is_one_word(
    adw: Adw, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADW_WORKTREE_PATH", "my 'own' $trees/{adw_id}")
    tree = f"{adw.directory}/my 'own' $trees/a"
    assert run(adw, shell, "adw create a --cd\npwd").splitlines()[-1] == tree
    assert run(adw, shell, "adw cd a\npwd").splitlines()[-1] == tree


def test_exit_codes_and_words_of_others_pass_through(adw: Adw, shell: str) -> None:
    adw("create", "a")
    run(adw, shell, "adw path none", code=6)
    told = run(adw, shell, "adw run a -- sh -c 'echo \"$1\"; exit 3' sh --cd", code=3)
    assert told == "--cd\n"


def test_commands_flags_ids_and_branches_are_completed(adw: Adw, shell: str) -> None:
    adw("create", "fix-login")
    adw("create", "fix-logout")
    adw("create", "other")
    git("branch", "topic/ä", cwd=adw.directory)
    assert {"create", "remove", "cd"} <= candidates(adw, shell, "")
    assert candidates(adw, shell, "", "reconc") == {"reconcile"}
    assert candidates(adw, shell, "remove", "fix") == {"fix-login", "fix-logout"}
    assert candidates(adw, shell, "cd", "o") == {"other"}
    assert {"--force", "--unlock", "--stop"} <= candidates(adw, shell, "remove", "--")
    assert candidates(adw, shell, "hooks", "un") == {"uninstall"}
    assert {"main", "other"} <= candidates(adw, shell, "create x --from")
    assert "topic/" in "".join(candidates(adw, shell, "create x --from", "topic"))


@pytest.mark.parametrize("flag", ["--format ", "--format="])
def test_values_of_a_flag_are_completed(adw: Adw, shell: str, flag: str) -> None:
    words, current = (f"env {flag}", "js") if flag.endswith(" ") else ("env", f"{flag}js")
    found = candidates(adw, shell, words, current)
    assert found == {"json" if flag.endswith(" ") else "--format=json"}


def test_bash_makes_a_word_of_the_sign_before_a_value(adw: Adw) -> None:
    """`--format=js` comes as three words, and the last one is to be completed."""
    for words in (["--format", "=", "js"], ["--format", "="]):
        found = adw("complete", "--", "env", *words).stdout.split()
        assert "json" in found


def test_free_slots_are_completed(adw: Adw, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adw("create", "a", "--slot", "2")
    monkeypatch.setenv("ADW_SLOTS", "4")
    assert candidates(adw, shell, "create b --slot") == {"0", "1", "3"}
    assert candidates(adw, shell, "reserve b --slot") == {"0", "1", "3"}


def test_what_was_removed_is_completed_for_restore(adw: Adw, shell: str) -> None:
    for name in ("gone", "there"):
        (Path(adw.json("create", name)["path"]) / "new").write_text("work")
    adw("remove", "gone", "--force")
    assert candidates(adw, shell, "restore") == {"gone"}


def test_branches_without_a_worktree_are_completed_for_create(adw: Adw, shell: str) -> None:
    adw("create", "taken")
    for name in ("topic", "feature/x"):
        git("branch", name, cwd=adw.directory)
    git("update-ref", "refs/remotes/origin/pushed", "HEAD", cwd=adw.directory)
    git("update-ref", "refs/remotes/origin/topic", "HEAD", cwd=adw.directory)
    assert candidates(adw, shell, "create") == {"topic", "pushed"}
    assert "feature/x" in candidates(adw, shell, "create a --branch")


def test_arguments_that_are_given_are_not_proposed_again(adw: Adw, shell: str) -> None:
    for name in "abc":
        adw("create", name)
    assert candidates(adw, shell, "remove a --force b") == {"c"}
    assert "a" not in candidates(adw, shell, "rename a")
    assert candidates(adw, shell, "finish --into main", "c") == {"c"}


def test_words_of_a_command_are_completed_as_the_shell_does(adw: Adw, shell: str) -> None:
    if shell == "zsh":
        script = '_normal() { print -rl -- "$CURRENT" $words }; words=(adw run a -- ls "fi"); '
        told = run(adw, shell, f"{script} CURRENT=$#words; _adw_complete")
        assert told.splitlines() == ["2", "ls", "fi"]
        return
    adw("create", "a")
    (adw.directory / "file-here").touch()
    assert "sleep" in candidates(adw, shell, "run a --", "slee")
    assert "a" not in candidates(adw, shell, "run a -- ls", "a")
    if shell == "fish":
        assert candidates(adw, shell, "run a -- ls", "file-h") == {"file-here"}
    else:  # what its `-o default` completes
        assert candidates(adw, shell, "run a -- ls", "file-h") == set()


def test_bash_asks_the_completion_of_the_command(adw: Adw) -> None:
    asks = ASKS["bash"].format(words="run a -- git", current="")
    told = run(adw, "bash", f"_command_offset() {{ COMPREPLY=(from $1); }}; {asks}")
    assert told == "from\n4\n"


def test_git_completes_it_as_its_own(adw: Adw, shell: str, tmp_path: Path) -> None:
    (tmp_path / "bin" / "git-adw-worktree").symlink_to("adw-worktree")
    adw("create", "fix-login")
    words = "-c a.b=c adw-worktree remove"
    if shell == "bash":
        script = (
            ASKS["bash"].replace("(adw ", "(git ").replace("_adw_complete;", "_git_adw_worktree;")
        )
    elif shell == "zsh":
        script, words = ASKS["zsh"].replace("_adw_complete", "_git-adw-worktree"), "remove"
    else:
        script = ASKS["fish"].replace('"adw ', '"git ')
    told = run(adw, shell, script.format(words=words, current="fix"))
    assert [line.split("\t")[0].split(":")[0].strip() for line in told.splitlines()] == [
        "fix-login"
    ]


def test_completion_is_never_an_error(adw: Adw, tmp_path: Path) -> None:
    (adw.directory / "adw-worktree.toml").write_text("nonsense = 1\n")
    for words in (["remove", ""], ["nonsense", ""], ["-C"], ["-C", "/nowhere", "path", ""], []):
        assert adw("complete", "--", *words).stderr == ""
    assert adw("-C", str(tmp_path), "list", code=4).stdout == ""
    assert Adw(tmp_path)("complete", "--", "path", "").stdout == ""


def test_without_a_shell_that_follows_there_is_a_hint(adw: Adw) -> None:
    error = adw.json("create", "a", "--cd", code=2)["error"]
    assert "shell-init" in error["hint"]
    assert not adw.json("status")["allocations"]


def test_powershell_gets_its_text(adw: Adw) -> None:
    assert "Register-ArgumentCompleter" in adw("shell-init", "powershell").stdout

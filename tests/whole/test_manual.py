"""`help`, the man page, and that both say what the parsers and the code's tables say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from argparse import SUPPRESS
from datetime import UTC, datetime
from importlib import import_module
from itertools import product
from pathlib import Path
from pkgutil import walk_packages

import pytest

import adw_worktree
from adw_worktree import errors
from adw_worktree.cli.command_table import COMMANDS
from adw_worktree.cli.exit_codes import EXIT_CODES
from adw_worktree.cli.parser import build_parser
from adw_worktree.cli.topics import TOPICS
from adw_worktree.pool.lease import Lease
from adw_worktree.settings.check import MOMENTS, TAKES
from adw_worktree.settings.model import Settings
from adw_worktree.worktrees.files import env_file as envfile
from scripts.docs import manpage
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw

LEASE = Lease(
    adw_id="a",
    slot=0,
    ports={"backend": 9100, "frontend": 9200},
    allocated_at=datetime(2026, 1, 1, tzinfo=UTC),
    state="active",
    token="0" * 32,
    path="/src/app/trees/a",
    admin_id="a",
)
README = CHECKOUT / "README.md"


@pytest.fixture(scope="module")
def rendered() -> str:
    """Return the man page as a wide terminal shows it."""
    return render(manpage.page())


def need(program: str, version: str) -> None:
    """Skip the test where there is no `program`, or another one of that name."""
    if shutil.which(program) is not None:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        if told.stdout.startswith(version):
            return
    pytest.skip(f"there is no {version} here")


def render(roff: str) -> str:
    need("groff", "GNU groff version 1.2")
    done = subprocess.run(
        ["groff", "-ww", "-Kutf8", "-man", "-Tutf8", "-rLL=200n", "-rHY=0", "-P-cbou"],
        input=roff,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("command", ["create", "rm", "help"])
def test_help_of_a_command_is_what_its_flag_prints(adw: Adw, command: str) -> None:
    plain = adw(command, "--help").stdout
    assert adw("help", command, NO_COLOR="", FORCE_COLOR="1").stdout == plain


def test_help_lists_commands_and_topics(adw: Adw, tmp_path: Path) -> None:
    told = adw("help", cwd=tmp_path).stdout
    assert told.startswith(adw("--help").stdout)
    for topic in TOPICS:
        assert f"\n  {topic} " in told


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_explained_on_a_terminal_of_80_columns(
    adw: Adw, tmp_path: Path, topic: str
) -> None:
    document = adw.json("help", topic, cwd=tmp_path)
    assert document["topic"] == topic
    lines = document["text"].splitlines()
    assert lines
    assert all(len(line) <= 80 for line in lines if not line.startswith("    "))


def test_an_unknown_topic_is_refused_with_the_nearest(adw: Adw) -> None:
    error = adw.json("help", "exit-code", code=2)["error"]
    assert error["hint"] == "adw-worktree help exit-codes"
    assert adw.json("help", "42", code=2)["error"]["hint"] == "adw-worktree help"


def test_topics_are_completed(adw: Adw) -> None:
    told = adw("complete", "--", "help", "").stdout.splitlines()
    assert {line.split("\t")[0] for line in told} == {*TOPICS, *COMMANDS}


def test_the_settings_topic_explains_every_setting(adw: Adw) -> None:
    text = " ".join(adw("help", "settings").stdout.split())
    assert set(TAKES) == set(Settings._fields)
    for key, takes in TAKES.items():
        assert re.search(rf"\b{key} [A-Z0-9`][^.]+\..* Takes {re.escape(takes)}", text), key


def test_the_exit_codes_are_those_of_the_failures_and_of_the_readme() -> None:
    failures = [errors.AdwError]
    for one in failures:
        failures += one.__subclasses__()
    own = {one.exit_code for one in failures}
    assert own - {126, 127} <= set(EXIT_CODES)
    listed = " · ".join(f"{code} {what}" for code, what in EXIT_CODES.items())
    assert f"\n{listed}. `run` has" in README.read_text()


def test_the_json_topic_has_the_code_of_every_failure(adw: Adw) -> None:
    told = adw("help", "json").stdout
    for module in walk_packages(adw_worktree.__path__, "adw_worktree."):
        if module.name != "adw_worktree.__main__":
            import_module(module.name)
    failures = [errors.AdwError]
    for one in failures:
        failures += one.__subclasses__()
    for one in failures:
        assert f"\n  {one.code} " in told


def test_the_placeholders_that_are_explained_are_those_that_there_are() -> None:
    with pytest.raises(errors.SettingsError) as caught:
        envfile.render(LEASE, repo_name="app", template="{none}")
    told = re.findall(r"[\w.]+", str(caught.value.hint).split("are ")[1].split(";")[0])
    known = {name.replace("ports.backend", "ports.NAME") for name in told}
    assert known - {"ports.frontend"} == set(envfile.PLACEHOLDERS)


def test_the_page_has_every_command_with_all_that_it_takes(rendered: str) -> None:
    words = " ".join(rendered.split()).replace("`", "")
    parser = build_parser(chosen="*")
    for name in COMMANDS:
        sub = parser.commands.choices[name]
        said = [str(sub.description), *str(sub.epilog).splitlines()[1:]]
        for action in sub._actions:
            if action.help not in (None, SUPPRESS):
                said += [*action.option_strings, str(action.help)[1:]]
        for one in said:
            assert " ".join(one.split()).replace("`", "") in words


def test_the_page_has_every_topic(rendered: str) -> None:
    for topic in TOPICS.values():
        assert f"\n{topic.heading}\n" in rendered
    for word in (*TAKES, *MOMENTS, *EXIT_CODES.values()):
        assert word.replace("`", "") in rendered


def test_the_page_is_without_fault() -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("there is no mandoc here")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning"],
        input=manpage.page(),
        capture_output=True,
        text=True,
        check=False,
    )
    faults = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert faults == []


def test_any_text_comes_out_as_it_went_in() -> None:
    """An example with a backslash or a leading dot that is not shown cannot be typed."""
    odd = ["".join(one) for one in product(".'\\-`^~\"% Bf(", repeat=3)]
    lines = [line for line in odd if line == line.strip()]
    shown = render("\n".join([".TH A 1", ".SH B", *manpage.verbatim("\n".join(lines))]))
    body = [line.strip() for line in shown.split("\nB\n")[1].splitlines() if line.strip()]
    assert body[: len(lines)] == lines


def test_man_finds_the_page_under_both_names(tmp_path: Path) -> None:
    need("man", "man 2.")
    manpage.write_pages(tmp_path / "man1")
    for name in ("adw-worktree", "git-adw-worktree"):
        done = subprocess.run(
            ["man", "--warnings", name],
            env={**os.environ, "MANPATH": str(tmp_path), "MANPAGER": "cat"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        assert "for every agent work" in done.stdout

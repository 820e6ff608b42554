"""What README and docs show is what happens: every block of every page is run, in order."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from adw_worktree.cli.parser import build_parser
from adw_worktree.errors import UsageError
from adw_worktree.settings.check import Layer, checked
from tests.support.checkout import CHECKOUT
from tests.support.docblocks import PAGES, Block, Shell, Step, alike, blocks, sessions
from tests.support.free_ports import free_services
from tests.support.repositories import make_repo

NEEDS = {"docker compose", "jq", "PostgreSQL", "tmux", "vite"}
"""Programs that blocks may need. CI installs all that Debian and npm have."""
NEVER = {"network", "systemd", "container images"}
"""What no test has, whatever the machine has: it would change or cost something."""
NEVER_RUN = 11
"""How many blocks at most need such a thing, so that they are only parsed."""


def name_of(page: Path) -> str:
    return page.name


def bases() -> dict[int, int]:
    """Return free ports in place of those that pages speak of."""
    own = dict(pair.split("=") for pair in os.environ["ADW_SERVICES"].split(","))
    backend = int(own["backend"])
    further = backend
    while abs(further - backend) < 200:
        further = int(free_services().partition("=")[2].partition(",")[0])
    return {9100: backend, 9200: backend + 100, 9300: further, 9400: further + 100}


def steps_of(block: Block, shell: Shell) -> list[Step]:
    """Return what a block has the shell do; raise if it is wrong in itself."""
    if block.language == "toml":
        check_settings(block)
    if block.language == "json":
        json.loads(block.text)
    if block.file is not None and not block.file.startswith(".github/"):
        # Ledgers stand as they are: the ports in one are what it is about.
        is_ports = block.language in ("toml", "yaml")
        text = shell.for_real(block.text) if is_ports else block.text
        return [Step(block, shell.write(block.file, text), None, verbatim=True)]
    if block.language == "python":
        return [Step(block, f"python3 - <<'PYTHON'\n{block.text}PYTHON", None)]
    if block.language == "yaml":
        block = block._replace(language="sh", text="\n".join(workflow_commands(block)))
    if not all(need in NEEDS and shell.finds(need) for need in block.needs):
        parse_commands(block)
        return []
    return [Step(block, command, shown) for command, shown in block.commands()]


def check_settings(block: Block) -> None:
    """Raise if a block of settings cannot be used. Other programs' files name themselves."""
    table = tomllib.loads(block.text)
    if block.file is None or "adw-worktree" in block.file or block.file == "pyproject.toml":
        checked(Layer(f"line {block.line}", table.get("tool", {}).get("adw-worktree", table)))


def workflow_commands(block: Block) -> list[str]:
    """Return what a workflow of GitHub's runs, one step after another."""
    jobs = yaml.safe_load(block.text)["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def parse_commands(block: Block) -> None:
    """Raise if a command of ours in `block` cannot be parsed."""
    parser = build_parser(chosen="*")
    for command, _ in block.commands():
        for line in command.splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = [*takewhile(lambda word: word.strip("();<>|&") != "", lexer)]
            if words[:1] == ["adw-worktree"]:
                ours = words[1 : words.index("--")] if "--" in words else words[1:]
                parser.parse_args(ours)


def test_commands_that_are_not_run_are_parsed_as_the_shell_would() -> None:
    parse_commands(Block(1, "sh", "adw-worktree create 'a' --json >made.json || code=$?"))
    with pytest.raises(UsageError):
        parse_commands(Block(1, "sh", "adw-worktree create a --jso | jq ."))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_does_what_its_page_shows(page: Path, tmp_path: Path) -> None:
    for number, session in enumerate(sessions(page)):
        root = tmp_path / str(number)
        make_repo(root / "src" / "app")
        shell = Shell(root, bases())
        steps = [step for block in session for step in steps_of(block, shell)]
        results = shell.run(steps)
        for step, (status, printed) in zip(steps, results, strict=False):
            where = f"{page.name}:{step.block.line}: {step.command}\nprinted:\n{printed}"
            if step.shown is None:
                assert status == 0, where
            else:
                assert alike(step.shown, printed), where
        assert len(results) == len(steps), f"{page.name}: the shell ended early"


def test_nearly_every_block_is_run() -> None:
    needs = [set(block.needs) for page in PAGES for block in blocks(page.read_text())]
    assert set().union(*needs) == NEEDS | NEVER
    assert sum(bool(one & NEVER) for one in needs) == NEVER_RUN


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings, which GitHub and mkdocs make alike."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_links_lead_somewhere_on_github_as_on_the_site() -> None:
    for page in [*PAGES, CHECKOUT / "CHANGELOG.md", CHECKOUT / "CONTRIBUTING.md"]:
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text())["nav"]
    named = [page for part in navigation for pages in part.values() for page in pages]
    there = [str(page.relative_to(CHECKOUT / "docs")) for page in PAGES if page.name != "README.md"]
    assert sorted(name for one in named for name in one.values()) == sorted(there)


def test_the_index_names_every_page() -> None:
    index = (CHECKOUT / "docs" / "index.md").read_text()
    others = {page.name for page in PAGES} - {"README.md", "index.md"}
    assert {name for name in others if f"]({name})" not in index} == set()


def test_blocks_are_of_a_known_kind() -> None:
    """A misspelt language would go untested."""
    known = {
        "console", "sh", "hidden", "toml", "json", "python", "yaml", "gitignore", "text", "js",
        "dockerfile", "markdown", "procfile", "sql",
    }  # fmt: skip
    for page in PAGES:
        for block in blocks(page.read_text()):
            assert block.language in known, f"{page.name}:{block.line}: {block.language!r}"
            if block.language in ("yaml", "js", "gitignore"):
                assert block.file is not None, f"{page.name}:{block.line}: which file is it?"


def test_a_block_in_a_list_is_one() -> None:
    [block] = blocks(
        "- so:\n\n  <!-- needs: jq -->\n  ```sh\n  if true\n    then true; fi\n  ```\n"
    )
    assert (block.text, block.needs) == ("if true\n  then true; fi\n", ("jq",))


@pytest.mark.parametrize(
    ("commands", "status"),
    [("true\ntrue", 0), ("false\ntrue", 1), ("false || true", 0), ("(exit 3)", 1)],
)
def test_a_block_fails_with_any_of_its_commands(tmp_path: Path, commands: str, status: int) -> None:
    make_repo(tmp_path / "src" / "app")
    step = Step(Block(1, "sh", commands), commands, None)
    assert Shell(tmp_path, bases()).run([step, step]) == [(status, ""), (status, "")]


def test_what_a_page_shows_is_done_in_its_place(tmp_path: Path) -> None:
    make_repo(tmp_path / "src" / "app")
    step = Step(Block(1, "console", ""), "pwd; cd ..; echo port 9103; ls", "")
    other = Step(Block(1, "console", ""), "echo $?; echo 9203; test -d /src/app", "")
    results = Shell(tmp_path, bases()).run([step, other])
    assert results == [(0, "/src/app\nport 9103\napp\n"), (0, "0\n9203\n")]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a\n", "a\n"),
        ("…\nlast\n", "first\nsecond\nlast\n"),
        ("slot … of a\n", "slot 3 of a\n"),
        ("x  1\n", "x     1   \n"),
        ("(pid 4711)\n", "(pid 12)\n"),
        ("", "\n"),
    ],
)
def test_output_is_alike(shown: str, printed: str) -> None:
    assert alike(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"), [("a\n", "b\n"), ("a\n", "a\nb\n"), ("", "error\n"), ("slot 1", "slot 2")]
)
def test_output_is_not_alike(shown: str, printed: str) -> None:
    assert not alike(shown, printed)

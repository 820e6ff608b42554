"""Every command that a hint, a note, `--help` or the documentation names can be typed as it stands.

Those in the code are found in its syntax tree, whatever has to go wrong for them to be shown; those
of some failures are taken from real runs.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from argparse import SUPPRESS
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest

from adw_worktree.cli.command_table import COMMANDS
from adw_worktree.cli.elsewhere import Elsewhere
from adw_worktree.cli.parser import build_parser
from adw_worktree.cli.topics import TOPICS
from adw_worktree.errors import AdwError, UsageError
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw, user_hook
from tests.support.repositories import git, make_repo

MODULES = sorted((CHECKOUT / "adw_worktree").rglob("*.py"))
DOCUMENTS = [
    path
    for path in [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
    if path.is_file()
]
PARSER = build_parser(chosen="*")
VALUE = "7"
"""Stands for whatever a hint puts in: an ADW id, a path and a number at once."""
NAMES = {name for name, (_, aliases) in COMMANDS.items() for name in (name, *aliases)}


def commands_in(text: str, *, program: str = "adw-worktree") -> Iterator[list[str]]:
    """Yield the words of each command that `text` names, up to where a reader sees its end."""
    for found in re.finditer(rf"(?<![\w./@-]){program}(?= |$|[`,;])", text):
        before = text[: found.start()][-1:]
        ends = rf"|{before}" if before in ("'", '"') else ""
        line = re.split(rf"[`\n]|, |; | \(|[.:]?${ends}", text[found.end() :])[0]
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        yield _before_punctuation(words)


def _before_punctuation(words: Iterator[str]) -> list[str]:
    taken: list[str] = []
    try:
        for word in words:
            if re.fullmatch(r"[|&;()<>]+", word):
                break
            taken.append(word)
    except ValueError:  # the quote that a surrounding command ends with
        taken[-1:] = [taken[-1].rstrip('"')] if taken else []
    return [word for word in taken if word != "…"]


def parsed(words: list[str]) -> list[str]:
    """Parse the words as the command line does; return those that are no flags or their values."""
    if "--" in words:
        assert words[words.index("--") + 1 :], f"no command after --: {words}"
        words = words[: words.index("--")]
    words = [VALUE if word == "N" else word for word in words]
    if words[:1] == [VALUE]:  # a command that only a run knows
        words = ["list", *words[1:]]
    try:
        given = PARSER.parse_args(words)
    except SystemExit as done:  # --help and --version
        assert done.code in (None, 0), words
        return []
    return positionals(given.command, vars(given)) if given.command else []


def positionals(command: str, given: dict[str, object]) -> list[str]:
    values: list[str] = []
    for action in PARSER.commands.choices[command]._actions:
        value = given.get(action.dest)
        if not action.option_strings and not action.choices and action.help != SUPPRESS:
            values += [str(one) for one in (value if isinstance(value, list) else [value]) if value]
    return values


def texts(node: ast.AST, names: dict[str, ast.expr]) -> list[str]:
    """Return what an expression can come to, with VALUE for what only a run knows."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(one) for one in product(*(texts(part, names) for part in node.values))]
    if isinstance(node, ast.FormattedValue):
        inner = node.value
        if isinstance(inner, ast.Name) and inner.id in names:
            return texts(names[inner.id], names) or [VALUE]
        return texts(inner, names) if isinstance(inner, ast.IfExp) else [VALUE]
    if isinstance(node, ast.IfExp):
        return texts(node.body, names) + texts(node.orelse, names)
    if isinstance(node, ast.BoolOp):
        return [text for one in node.values for text in texts(one, names)]
    if isinstance(node, ast.Name) and node.id in names:
        return texts(names[node.id], names)
    return []


def strings(path: Path) -> Iterator[str]:
    """Yield what each string of a module can come to, but for docstrings."""
    tree = ast.parse(path.read_text())
    names = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names = {name: value for name, value in names.items() if not _mentions(value, name)}
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Expr)
        for part in ast.walk(node)
        if part is not node and not (isinstance(node, ast.Expr) and not _is_docstring(node))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in parts:
            yield from texts(node, names)


def _is_docstring(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant)


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def is_command(words: list[str]) -> bool:
    """Whether "adw-worktree" and these words are a command, and not our name in a sentence."""
    return bool(words) and (words[0] in NAMES or words[0].startswith("-"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_command_that_the_code_names_parses(path: Path) -> None:
    for text in strings(path):
        for words in commands_in(text):
            if is_command(words) and "[-h]" not in words:
                parsed(words)


def hints() -> Iterator[tuple[str, str]]:
    """Yield where each hint or fix of the code is, and what it can come to."""
    for path in MODULES:
        tree = ast.parse(path.read_text())
        names = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            given = [one.value for one in node.keywords if one.arg == "hint"]
            if isinstance(node.func, ast.Name) and node.func.id == "Problem":
                given += node.args[2:3]
            for one in given:
                for text in texts(one, names):
                    yield f"{path.stem}:{one.lineno}", text


HINTS = sorted(set(hints()))


def test_hints_are_found() -> None:
    told = {text for _, text in HINTS}
    assert len(told) > 90
    assert f"adw-worktree unlock {VALUE}" in told
    assert f"adw-worktree restore {VALUE} --as ADW_ID" in told
    assert "adw-worktree trust" in told


SPEAK_FOR_THEMSELVES = {
    ("remove", "UsageError"),  # a person said no
    ("trust", "UsageError"),
    ("watch", "AdwError"),  # what was noticed, for the log
    ("postgres", "Changed"),  # looked at again, and told by a DatabaseFailed
    ("database", "Changed"),
}


def test_every_failure_says_what_to_do_next() -> None:
    for path in MODULES:
        import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
    failures = [AdwError]
    for failure in failures:
        failures += failure.__subclasses__()
    names = {failure.__name__ for failure in failures}
    silent = {
        (path.stem, node.func.id)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
        if not any(keyword.arg == "hint" for keyword in node.keywords)
    }
    assert silent == SPEAK_FOR_THEMSELVES


@pytest.mark.parametrize(("where", "hint"), HINTS, ids=[where for where, _ in HINTS])
def test_a_command_in_a_hint_can_be_pasted(where: str, hint: str) -> None:
    """What follows it would be taken for its arguments: `remove X to give it up` removes `up`."""
    for words in commands_in(hint):
        assert all(
            re.fullmatch(r"7(\.7)?|[A-Z_]+", one) or one in TOPICS for one in parsed(words)
        ), hint
    for words in commands_in(hint, program="git"):
        words = words[2:] if words[:1] == ["-C"] else words
        if words and not words[0][0].isdigit():  # as in "git 2.36 or later"
            assert words[0] in GIT_COMMANDS, hint


@pytest.mark.parametrize(("where", "hint"), HINTS, ids=[where for where, _ in HINTS])
def test_a_command_in_a_hint_goes_where_dash_c_went(where: str, hint: str) -> None:
    told = Elsewhere("a directory", NAMES).text(hint)
    assert told.replace(" -C 'a directory'", "") == hint
    for words in commands_in(told):
        anywhere = {"help", "shell-init", "watch", "--help"} & set(words)
        assert words[:1] == ["-C"] or anywhere or not is_command(words), told
    for words in commands_in(told, program="git"):
        assert words[:1] in ([], ["-C"]) or re.match(r"version|\d", words[0]), told


@pytest.mark.parametrize("sentence", [
    "git worktree list failed: fatal: no",
    "there is a database a that adw-worktree did not make",
    "git config --global --add safe.directory DIR",
    "adw-worktree -C other list",
    "adw-worktree remove --help",
    "start it by adw-worktree run -- overmind start",
    "upgrade adw-worktree",
])  # fmt: skip
def test_what_is_no_command_of_the_repository_stays(sentence: str) -> None:
    assert Elsewhere("dir", NAMES).text(sentence) == sentence


GIT_COMMANDS = set(git("--list-cmds=builtins", cwd=CHECKOUT).split())


@pytest.mark.parametrize("text", [
    "adw-worktree remove 7 to give it up",
    "adw-worktree remov 7",
    "adw-worktree remove 7 --froce",
    "adw-worktree create",
    "adw-worktree reconcile --max-age soon",
    "adw-worktree run 7 --",
    "wait, or adw-worktree 7 -D",
])  # fmt: skip
def test_a_command_that_cannot_be_typed_is_noticed(text: str) -> None:
    with pytest.raises((UsageError, AssertionError)):
        test_a_command_in_a_hint_can_be_pasted("here", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_command_of_the_documentation_parses(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"(?ms)^ *```(?:sh|console|toml)?\n(.*?)^ *```", text))
    quoted = "\n".join(re.findall(r"`+([^`\n]*adw-worktree [^`\n]*)`", text))
    found = [words for words in commands_in(f"{blocks}\n{quoted}") if is_command(words)]
    for words in found:
        parsed(words)
    assert found or path.stem != "README"


def dirty(adw: Adw) -> list[str]:
    tree = adw.directory.parent / "a tree; with 'quotes'"
    git("worktree", "add", "--quiet", "-b", "topic", str(tree), cwd=adw.directory)
    (tree / "new").write_text("work\n")
    return ["remove", str(tree)]


def unmerged(adw: Adw) -> list[str]:
    tree = Path(adw.json("create", "a")["path"])
    (tree / "README").write_text("work\n")
    git("commit", "--quiet", "-am", "work", cwd=tree)
    return ["remove", "a", "-d"]


def locked_and_gone(adw: Adw) -> list[str]:
    tree = Path(adw.json("create", "a")["path"])
    adw("lock", "a")
    shutil.rmtree(tree)
    return ["path", "a"]


def leased(adw: Adw) -> list[str]:
    adw("create", "a", "--slot", "3")
    return ["create", "a", "--slot", "4"]


def a_worktree(adw: Adw) -> list[str]:
    adw("create", "a")
    return ["release", "a"]


def no_slot(adw: Adw) -> list[str]:
    (adw.directory / "adw-worktree.toml").write_text("slots = 1\n")
    adw("create", "a")
    return ["create", "b"]


def nobody_approved(adw: Adw) -> list[str]:
    (adw.directory / "adw-worktree.toml").write_text("[hooks]\npost-create = 'true'\n")
    return ["create", "a"]


def a_hook_fails(adw: Adw) -> list[str]:
    user_hook("post-create", "false")
    return ["create", "a"]


def nothing(*command: str) -> Callable[[Adw], list[str]]:
    """Return a failure for which nothing has to be prepared."""

    def prepare(_: Adw) -> list[str]:
        return [*command]

    prepare.__name__ = "-".join(re.findall(r"\w+", " ".join(command)))
    return prepare


FAILURES = [
    dirty, unmerged, locked_and_gone, leased, a_worktree, no_slot, nobody_approved, a_hook_fails,
    nothing("remove", "none"), nothing("restore", "none"), nothing("creat", "a"),
    nothing("trust", "--no"), nothing("-C", "/none", "list"),
]  # fmt: skip


@pytest.mark.parametrize("prepare", FAILURES, ids=lambda prepare: prepare.__name__)
def test_a_failure_says_what_to_type_next(
    tmp_path: Path, prepare: Callable[[Adw], list[str]]
) -> None:
    adw = Adw(make_repo(tmp_path / "a repository"))
    ran = adw(*prepare(adw), "--json", code=None)
    assert ran.code in range(2, 10)
    hint = ran.json["error"]["hint"]
    for words in commands_in(hint):
        assert is_command(words), hint
        for one in parsed(words):
            assert Path(one).exists() or re.fullmatch(r"a|none|[A-Z_]+", one), hint

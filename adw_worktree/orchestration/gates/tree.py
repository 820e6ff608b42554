"""The files of a worktree at its commit, as checks look into them.

What holds here: only tracked files are read, none outside of the worktree, no link, and none that
is over 1 MB or no text. What was found once is kept, so that many items cost little more than one.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from adw_worktree.orchestration.gates.finding import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeVar

    Language = Literal["python", "script", "other", "prose", "data"]
    T = TypeVar("T")

_MOST_BYTES = 1024 * 1024
_MOST_TEXTS = 4096
_MOST_OF_A_WORD = 100
_SCRIPT = frozenset(
    {"js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts", "vue", "svelte", "astro", "mdx"}
)  # fmt: skip
_OTHER = frozenset(
    {"go", "rs", "rb", "java", "kt", "kts", "scala", "php", "cs", "fs", "swift", "ex", "exs", "c",
     "h", "cc", "cpp", "hpp", "dart", "clj", "lua", "pl", "erl", "zig", "proto", "graphql", "gql"}
)  # fmt: skip
_PROSE = frozenset({"md", "rst", "txt", "adoc", "org", "markdown"})
_FOREIGN = frozenset(
    {"node_modules", "site-packages", ".venv", "venv", "vendor", "third_party", "bower_components"}
)  # fmt: skip
_TEST_FOLDERS = frozenset(
    {"test", "tests", "__tests__", "__mocks__", "spec", "specs", "e2e", "cypress", "fixtures",
     "testdata", "stories"}
)  # fmt: skip
_TEST_NAME = (
    r"test_.*|.*_tests?\.\w+|tests?\.py|conftest\.py|.*[.-](?:test|spec|stories|story|cy)\.\w+"
    r"|.*_spec\.rb|.*Tests?\.(?:java|kt|cs|php|swift)"
)
# A string stays as it is. What opens a comment that is never closed opens none: image/*.
_COMMENT = (
    r"""("(?:\\.|[^"\\\n])*+(?:"|$)|'(?:\\.|[^'\\\n])*+(?:'|$)|`(?:\\.|[^`\\])*+(?:`|\Z))"""
    # A literal of a regular expression stands where no number can stand before the slash.
    r"""|((?:(?<=[(,=:\[!&|?{};])|(?<=[(,=:\[!&|?{};]\x20)|(?<=return\x20))/(?![*/])"""
    r"""(?:\\.|\[(?:\\.|[^\]\\\n])*+\]|[^/\\\n\[])++/)"""
    r"""|/\*(?:[^*]|\*(?!/))*+\*/|<!--(?:[^-]|-(?!->))*+(?:-->|\Z)|(?<![:\\])//[^\n]*"""
)


class Tree:
    """The tracked files under `root`, by their paths from it."""

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        self.root = Path(os.path.realpath(root))
        self.files = tuple(sorted(set(files)))
        self.own = tuple(path for path in self.files if not _FOREIGN & set(path.split("/")))
        """Without what was copied in from elsewhere."""
        self._known = frozenset(self.files)
        self._texts = lru_cache(maxsize=_MOST_TEXTS)(self._read)
        self._codes = lru_cache(maxsize=_MOST_TEXTS)(self._without_comments)
        self._kept: dict[tuple[object, ...], Any] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._known

    def kept(self, make: Callable[..., T], *about: object) -> T:
        """Return `make(tree, *about)`, made once."""
        key = (make, *about)
        if key not in self._kept:
            self._kept[key] = make(self, *about)
        found: T = self._kept[key]
        return found

    def text(self, path: str) -> str | None:
        """Return a file's text; None if it is no text, too long, a link or not to be read."""
        return self._texts(path)

    def code(self, path: str) -> str:
        """Return a file's text with its comments blanked, line by line where it was."""
        return self._codes(path)

    def size(self, path: str) -> int | None:
        """Return the size of a plain file; None if it is none, or lies outside."""
        place = self._inside(path)
        try:
            return None if place is None else place.stat().st_size
        except OSError:
            return None

    def target(self, path: str) -> str | None:
        """Return the tracked file, or the folder of some, that a link leads to."""
        try:
            place = os.path.relpath(os.path.realpath(self.root / path), self.root)
        except (OSError, ValueError):
            return None
        is_folder = any(other.startswith(f"{place}/") for other in self.files)
        return place if is_folder or self.size(place) is not None else None

    def naming(self, name: str) -> list[str]:
        """Return the files of our own that have each word of `name`."""
        words = set(re.findall(r"[\w$]+", name))
        if not words:
            return []
        index = self.kept(_index)
        found = set.intersection(*(set(index.get(word, ())) for word in words))
        return sorted(found)

    def sources(self, *languages: Language, tests: bool = False) -> list[str]:
        """Return our own files in these languages, without those of tests unless they are asked."""
        return [
            path for path in self.own
            if language(path) in languages and (tests or not is_test(path))
        ]  # fmt: skip

    @property
    def searched(self) -> str:
        """How much was looked at, for evidence."""
        return f"searched {len(self.own)} files"

    def _inside(self, path: str) -> Path | None:
        """Return where a tracked file is, if it is a plain file inside of the worktree."""
        if path not in self._known or not is_inside(path):
            return None
        place = self.root / path
        try:
            parent = os.path.realpath(place.parent)
            within = os.path.commonpath([parent, self.root]) == str(self.root)
            return place if within and stat.S_ISREG(os.lstat(place).st_mode) else None
        except (OSError, ValueError):
            return None

    def _read(self, path: str) -> str | None:
        place = self._inside(path)
        if place is None:
            return None
        try:
            with open(place, "rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except OSError:
            return None
        if len(data) > _MOST_BYTES or b"\0" in data:
            return None
        return data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")

    def _without_comments(self, path: str) -> str:
        text = self.text(path) or ""
        if language(path) in ("script", "other"):
            text = re.sub(_COMMENT, _blanked, text, flags=re.DOTALL | re.MULTILINE)
        if language(path) not in ("script", "prose"):
            text = re.sub(r"(?m)^[ \t]*#(?!include|\[|!).*$", _blanked, text)
        return text


def _blanked(found: re.Match[str]) -> str:
    is_literal = any(group is not None for group in found.groups())
    return found[0] if is_literal else re.sub(r"[^\n]", " ", found[0])


def _index(tree: Tree) -> dict[str, list[str]]:
    """Return the files in which each word is."""
    index: dict[str, list[str]] = {}
    for path in tree.own:
        for word in set(re.findall(r"[\w$]+", tree.text(path) or "")):
            if len(word) <= _MOST_OF_A_WORD:
                index.setdefault(word, []).append(path)
    return index


def language(path: str) -> Language:
    """Return what kind of text a file has, by its name."""
    name = path.rpartition("/")[2]
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if suffix == "py":
        return "python"
    if suffix in _SCRIPT:
        return "script"
    if suffix in _OTHER:
        return "other"
    is_prose = suffix in _PROSE or re.match(r"(?i)(readme|changelog|licen[cs]e|todo)\b", name)
    return "prose" if is_prose else "data"


def is_test(path: str) -> bool:
    """Return whether a file is of tests, or shows a component in a story."""
    *folders, name = path.split("/")
    return bool(_TEST_FOLDERS & set(folders)) or re.fullmatch(_TEST_NAME, name) is not None


def is_inside(path: str) -> bool:
    """Return whether a path stays below the directory that it starts from."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts) and not path.startswith(("/", "~")) and ".." not in parts and "\0" not in path
    )


def place_of(path: str, text: str, offset: int) -> Place:
    """Return the line in which an offset is."""
    return Place(path, text.count("\n", 0, offset) + 1)


def first_place(path: str, text: str, name: str) -> Place:
    """Return the first line that has `name` as a word of its own."""
    found = re.search(word(name), text)
    return place_of(path, text, found.start() if found else 0)


def word(name: str) -> str:
    """Return a pattern for `name` as a word of its own."""
    return rf"(?<![\w$]){re.escape(name)}(?![\w$])"


def mentioned(tree: Tree, name: str, paths: Iterable[str]) -> str:
    """Return where `name` stands in these files, for evidence: nowhere, or in the first of them."""
    for path in paths:
        text = tree.text(path) or ""
        if re.search(word(name), text):
            return f"only {first_place(path, text, name)} mentions it ({tree.searched})"
    return f"nothing names it ({tree.searched})"

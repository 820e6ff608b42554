"""The fenced blocks of the documentation, and a shell that runs those of one page in order.

How a page is read:

- ```` ```console ```` holds commands after `$ `, and what they print beneath. A line `…` stands for
  any lines, `…` within a line for any text. ```` ```sh ```` holds commands that must succeed, and
  ```` ```sql ```` statements for psql that must.
- A block whose first line is a comment with a file's name is that file, and is written before what
  follows runs: `# adw-worktree.toml`. `<!-- file: NAME -->` before the block says so for formats
  without comments. Settings without a file's name are only checked.
- `<!-- needs: PROGRAM, PROGRAM -->` before a block, or before a hidden one: where one of them is
  missing, commands of ours in it are parsed, and nothing is run.
- `<!-- session`, lines, `-->` are commands that a reader need not see; what is long of them stands
  in `$EXAMPLES`, which is tests/whole/examples.
- `<!-- fresh repository -->` begins anew, in another repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support import npm_packages, postgres_server
from tests.support.checkout import CHECKOUT

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
SHOWN_PORTS = range(9100, 9500)
"""Ports that pages speak of; a session has others in their place, a hundred for each hundred."""
_SERVING = "$(adw-worktree list --json | grep -c '\"service\"')"
_UNTIL_IT_SERVES = f"""\
until [ {_SERVING} -gt $serving ]; do
  kill -0 $! 2>/dev/null || {{ status=1; break; }}
  sleep 0.05
done
disown
"""
"""A person would not have typed the next command sooner. Nor is bash to tell of its end."""
_PSQL = "psql --quiet --set ON_ERROR_STOP=1 --dbname postgres"
_NAMED = r"(?:#|//) ([~\w./-]*[\w-]\.\w+|\.\w[\w.]*|Procfile)(?:[ ,].*)?"


class Block(NamedTuple):
    """One fenced block, or a hidden one."""

    line: int
    language: str
    text: str
    needs: tuple[str, ...] = ()
    file: str | None = None
    """What the block is the content of."""
    fresh: bool = False
    """Whether another session begins with it."""

    def commands(self) -> list[tuple[str, str | None]]:
        """Return the commands, each with the output that the page shows; None if it shows none."""
        if self.language == "sql":
            return [(f"{_PSQL} <<'SQL'\n{self.text}SQL", None)]
        if self.language != "console":
            return [(self.text, None)] if self.language in ("sh", "hidden") else []
        found: list[tuple[str, str | None]] = []
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, shown = re.fullmatch(r"((?:.*\\\n)*.*)(\n?)((?:.*\n?)*)", part).groups()  # type: ignore[union-attr]
            found.append((command, shown))
        return found


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a page."""
    needs: tuple[str, ...] = ()
    file = None
    fresh = False
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, indented in lines:
        line = indented.lstrip(" ")
        indent = len(indented) - len(line)  # as in an item of a list
        if marker := re.fullmatch(r"<!-- (needs|file): (.+) -->", line):
            if marker[1] == "needs":
                needs = tuple(marker[2].split(", "))
            else:
                file = marker[2]
        elif line == "<!-- fresh repository -->":
            fresh = True
        elif line.startswith("```") or line == "<!-- session":
            end = "-->" if line.startswith("<") else "```"
            inner = []
            for _, one in lines:
                if one[indent:] == end:
                    break
                inner.append(one[indent:])
            language = "hidden" if end == "-->" else line.removeprefix("```")
            named = re.fullmatch(_NAMED, inner[0]) if inner and language != "console" else None
            file = file or (named[1] if named and language != "sh" else None)
            yield Block(number, language, "\n".join(inner) + "\n", needs, file, fresh)
            needs, file, fresh = (), None, False


def sessions(page: Path) -> list[list[Block]]:
    """Return the blocks of a page, one list for each repository."""
    found: list[list[Block]] = [[]]
    for block in blocks(page.read_text()):
        if block.fresh:
            found.append([])
        found[-1].append(block)
    return [session for session in found if session]


class Step(NamedTuple):
    """What the shell is given: a command, or a file to write."""

    block: Block
    command: str
    shown: str | None
    """The output on the page; None if any will do, as long as the command succeeds."""
    verbatim: bool = False
    """Whether it is given as it stands, with the ports and places that it has."""


class Shell:
    """A person's shell, in a repository that is `/src/app` to the reader of a page."""

    def __init__(self, root: Path, bases: Mapping[int, int]) -> None:
        self.root = root
        self.home = root / "home"
        self.bases = bases
        """By the first of a hundred ports that pages speak of: the first that is in its place."""
        beside = str(Path(sys.executable).parent)
        self.environment = {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / ".local" / "state"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "PATH": os.pathsep.join([str(self._programs()), beside, os.environ["PATH"]]),
            "EXAMPLES": str(CHECKOUT / "tests" / "whole" / "examples"),
        }

    def finds(self, need: str) -> bool:
        """Whether a program that a block needs is there; from then on, the session has it."""
        match need:
            case "docker compose":
                asked = ["docker", "compose", "version"]
                return (
                    self._which("docker")
                    and not subprocess.run(asked, capture_output=True).returncode
                )
            case "PostgreSQL":
                return self._has_postgres()
            case "vite":
                return self._has_vite()
        return self._which(need)

    def _which(self, name: str) -> bool:
        return shutil.which(name, path=self.environment["PATH"]) is not None

    def _has_postgres(self) -> bool:
        programs = postgres_server.programs()
        if programs is None:
            return False
        server = postgres_server.running()
        server.clear()
        self.environment |= {
            "PGHOST": str(server.directory),
            "PGUSER": "postgres",
            "PATH": f"{self.environment['PATH']}{os.pathsep}{programs}",
        }
        return True

    def _has_vite(self) -> bool:
        modules = npm_packages.modules()
        if modules is None:
            return False
        # Where node and npx find it from every repository of the session.
        there = self.root / "src" / "node_modules"
        if not there.is_symlink():
            there.symlink_to(modules)
        return True

    def run(self, steps: Sequence[Step]) -> list[tuple[int, str]]:
        """Run all in one shell; return each one's exit status and output, as a page shows it."""
        self.home.mkdir()
        script = self.root / "session.sh"
        script.write_text("".join(self._lines(steps)))
        with (self.root / "output").open("w+b") as output:
            process = subprocess.Popen(
                ["bash", "--norc", str(script)],
                cwd=self.root / "src" / "app",
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(timeout=120)
            finally:
                _end_group(process.pid)
        text = (self.root / "output").read_text(errors="surrogateescape")
        parts = re.split(r"\x1e(\d+)\n", text)[1:]
        statuses = [int(one) for one in parts[::2]]
        outputs = [self._as_shown(one) for one in parts[1::2]]
        # A status is told by the mark after the command.
        return list(zip(statuses[1:], outputs, strict=False))

    def _lines(self, steps: Iterable[Step]) -> Iterator[str]:
        yield "status=0\n"
        for step in steps:
            yield "printf '\\036%d\\n' $status; (exit $status)\n"
            command = step.command if step.verbatim else self.for_real(step.command)
            serves = re.search(r"^adw-worktree run .*&\s*$", command)
            if serves:
                yield f"serving={_SERVING}\n"
            if step.shown is None:  # then no command of it may fail
                command = f"failed=; trap failed=1 ERR\n{command}\ntrap - ERR; [ -z $failed ]"
            yield f"{command}\nstatus=$?\n"
            if serves:
                yield _UNTIL_IT_SERVES
        yield "printf '\\036%d\\n' $status\n"

    def write(self, name: str, text: str) -> str:
        """Return the command that writes a file which the page shows."""
        quoted = "'" + text.replace("'", "'\\''") + "'"
        place = name.replace("~/.config", '"$XDG_CONFIG_HOME"').replace("~", '"$HOME"')
        return f'mkdir -p "$(dirname {place})" && printf %s {quoted} >{place}'

    def _programs(self) -> Path:
        """Return a directory of commands of ours, which run this checkout."""
        programs = self.root / "bin"
        programs.mkdir(exist_ok=True)
        for name in ("adw-worktree", "git-adw-worktree"):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m adw_worktree "$@"\n')
            (programs / name).chmod(0o755)
        # Debian has python3 alone.
        (programs / "python").write_text('#!/bin/sh\necho "python: not found" >&2\nexit 127\n')
        (programs / "python").chmod(0o755)
        return programs

    def for_real(self, text: str) -> str:
        """Return a command or settings as they are to be here."""
        text = re.sub(r"(?<![\w./])/src\b", str(self.root / "src"), text)
        return re.sub(r"\b9[1-4]\d\d\b", lambda found: str(self._port(int(found[0]))), text)

    def _port(self, shown: int) -> int:
        first = shown - shown % 100
        return self.bases[first] + shown - first

    def _as_shown(self, text: str) -> str:
        text = text.replace(str(self.root / "src"), "/src").replace(str(self.home), "/home/you")
        text = text.replace(str(Path(sys.executable).parent) + "/", "/usr/bin/")
        return re.sub(r"\b\d{4,5}\b", lambda found: self._shown_port(int(found[0])), text)

    def _shown_port(self, port: int) -> str:
        for first, base in self.bases.items():
            if base <= port < base + 100:
                return str(first + port - base)
        return str(port)


def _end_group(leader: int) -> None:
    """End what a session left running."""
    import signal
    from contextlib import suppress

    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def alike(shown: str, printed: str) -> bool:
    """Whether a command printed what the page shows, but for what differs from run to run."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in normal(shown).splitlines()
    )
    return re.fullmatch(pattern, normal(printed)) is not None


def normal(text: str) -> str:
    """Return `text` with times, processes, tokens and the widths of columns made equal."""
    for pattern, name in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?", "TIME"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?", "TIME"),
        (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
        (r"\b\d{8}T\d{6}(\.\d+)?Z?\b", "TIME"),
        (r"\b(pid|kill) \d+", r"\1 N"),
        (r"\b[0-9a-f]{12,64}\b", "HEX"),
        (r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,11}\b", "HEX"),
        (r"\b\d+(\.\d+)? (ms|s|min|minutes?|seconds?)\b", "SPAN"),
        (r'"(device|inode|home_device)": \d+', r'"\1": N'),
        (r"^\S+: line \d+: +\d+ (Killed|Terminated).*$", r"\1"),  # as bash tells it in a script
        (r" {2,}", "  "),
        (r" +$", ""),
    ):
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text.strip("\n") + "\n"

"""What `list` and `status` show on a terminal: a real one (a pty), read as a terminal reads it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from adw_worktree.cli.output import Terminal as Size
from adw_worktree.cli.terminal.lines import Column, Span, cut, signs, table, width
from adw_worktree.cli.terminal.pool_map import bar
from adw_worktree.system.progress import follow, progress
from tests.support.command_line import Adw
from tests.support.repositories import git, make_repo
from tests.support.terminal import Terminal

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
# Root, too, may then not look where it must not.
DROP = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
POWERLESS = DROP if os.geteuid() == 0 else []
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")
LINK = re.compile(r"\x1b]8;[^;]*;([^\x1b]+)\x1b\\(?:\x1b\[[\d;]*m)*([^\x1b]*)")


Open = Callable[..., Terminal]


@pytest.fixture
def opened(adw: Adw) -> Iterator[Open]:
    """Return the way to run the command line in a terminal."""
    with ExitStack() as stack:

        def open_one(
            *args: str,
            before: Sequence[str] = (),
            columns: int = 80,
            lines: int = 50,
            **env: str,
        ) -> Terminal:
            command = [*before, *adw.command, *args]
            terminal = Terminal(command, adw.directory, columns, lines, env)
            stack.callback(terminal.close)
            return terminal

        yield open_one


@pytest.fixture
def shown(opened: Open) -> Open:
    """Return the way to run a command in a terminal to its end."""

    def show(*args: str, **wanted: Any) -> Terminal:
        terminal = opened(*args, **wanted)
        terminal.read(until=lambda: False)
        assert terminal.process.returncode == 0, terminal.text
        return terminal

    return show


@contextmanager
def listening(*ports: int) -> Iterator[None]:
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def row(terminal: Terminal, start: str) -> str:
    """Return the one line that begins so."""
    (found,) = [line for line in terminal.lines if line.split()[:1] == [start]]
    return found


# ---- list and status -------------------------------------------------------------------------


def test_nothing_is_wider_than_the_terminal(adw: Adw, shown: Open) -> None:
    long = "an-adw-id-of-as-many-characters-as-an-id-may-have-that-is-64-000"
    assert len(long) == 64
    adw("create", "fix-login")
    adw("create", long, "--path", str(adw.directory / "trees" / ("書" * 30)))
    port = adw.json("status")["allocations"]["fix-login"]["backend"]
    with listening(port):
        for columns in (20, 40, 80, 200):
            for command in ("list", "status"):
                terminal = shown(command, columns=columns)
                assert 0 < terminal.widest <= columns
                if columns >= 40:
                    assert "fix-login" in terminal.text
                    assert str(port) in terminal.text
                    assert long[:12] in terminal.text
                if columns == 200:
                    assert long in terminal.text


def test_a_column_that_has_to_go_takes_no_other_with_it(adw: Adw, shown: Open) -> None:
    services = "".join(f",s{number}={40000 + 1000 * number}" for number in range(6))
    services = os.environ["ADW_SERVICES"] + services
    adw("create", "a", ADW_SERVICES=services)
    for command in ("list", "status"):
        line = row(shown(command, columns=60), "SLOT" if command == "status" else "ADW")
        assert {"ADW", "SLOT", "STATE", "AGE"} <= set(line.split())
        assert "PORTS" not in line


def test_columns_give_by_their_width_and_weight() -> None:
    wide, narrow = Column("A", weight=10, least=4), Column("B", weight=5, least=4)
    cells = [[Span("a" * 60)], [Span("b" * 20)]]
    for columns, shown in (
        (50, ["a" * 31 + "…", "b" * 15 + "…"]),
        (72, ["a" * 49 + "…", "b" * 20]),
    ):
        lines = table([wide, narrow], [cells], Size(columns, 20))
        assert [span.text for span in lines[1] if span.text.strip()] == shown


@pytest.mark.parametrize("keeps", ["start", "path"])
@pytest.mark.parametrize("char", ["\u263a\ufe0f", "書", "e\u0301", "x"])
def test_what_is_cut_fits(char: str, keeps: Literal["start", "path"]) -> None:
    for cells in range(1, 20):
        assert cells - 2 <= width(cut([Span(char * 20)], cells, Size(80, 20), keeps)) <= cells


@pytest.mark.thorough
def test_what_the_locale_lacks_is_measured_as_it_is_written(adw: Adw, shown: Open) -> None:
    adw("create", "a", "--path", str(adw.directory / "trees" / ("書" * 12)))
    adw("create", "b", "--branch", "é" * 40)
    for command in ("list", "status"):
        terminal = shown(command, columns=70, PYTHONIOENCODING="ascii")
        assert terminal.widest <= 70
        assert terminal.said.isascii()
    assert "\\u66f8" in shown("list", columns=200, PYTHONIOENCODING="ascii").text


@pytest.mark.parametrize("command", ["list", "status"])
def test_ports_are_links_that_lead_to_them(adw: Adw, shown: Open, command: str) -> None:
    adw("create", "a")
    adw("create", "b")
    leases = adw.json("status")["allocations"].values()
    terminal = shown(command)
    links = dict(LINK.findall(terminal.said.decode()))
    wanted = {one[service] for one in leases for service in ("backend", "frontend")}
    shown_ports = {f"http://localhost:{port}": str(port) for port in wanted}
    assert shown_ports.items() <= links.items()
    assert sum(link.startswith("http") for link in links) == len(wanted)


@pytest.mark.thorough
def test_colours_follow_the_environment(adw: Adw, shown: Open) -> None:
    tree = Path(adw.json("create", "a")["path"])
    (tree / "README").write_text("changed\n")
    for command in ("list", "status"):
        coloured = shown(command, NO_COLOR="")
        plain = shown(command, NO_COLOR="1")
        assert COLOUR.search(coloured.said)
        assert not COLOUR.search(plain.said)
        assert LINK.search(plain.said.decode())
        assert plain.text == coloured.text
        dumb = shown(command, TERM="dumb")
        assert b"\x1b" not in dumb.said
        assert dumb.text == coloured.text
        assert shown(command, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0").said.isascii()


def test_names_are_shown_as_they_are(adw: Adw, shown: Open) -> None:
    """A path could colour the table, move the cursor, or pass for a link."""
    name = "[bold]x[/] \x1b[31m\x1b]8;;http://evil\x1b\\ :smile:"
    adw("create", "a", "--path", str(adw.directory / "trees" / name.replace("/", "|")))
    terminal = shown("list", columns=200)
    assert "[bold]x[|] \\x1b[31m\\x1b]8;;http:||evil\\x1b\\ :smile:" in terminal.text
    assert b"\x1b[31m" not in terminal.said
    assert b"\x1b]8;;http" not in terminal.said


@pytest.mark.thorough
def test_a_worktree_shows_its_work_and_its_distance(adw: Adw, shown: Open) -> None:
    tree = Path(adw.json("create", "busy")["path"])
    adw("create", "idle")
    for number in range(3):
        git("commit", "--quiet", "--allow-empty", "-m", f"work {number}", cwd=tree)
    for number in range(2):
        git("commit", "--quiet", "--allow-empty", "-m", f"main {number}", cwd=adw.directory)
    (tree / "README").write_text("changed\n")
    (tree / "staged").write_text("staged\n")
    git("add", "staged", cwd=tree)
    for name in "abcd":
        (tree / name).write_text("new\n")
    terminal = shown("list", columns=200)
    assert "+1 ~1 ?4  ↑3 ↓2" in row(terminal, "busy")
    assert "↓2" in row(terminal, "idle")
    assert not re.search(r"[+~?!]\d", row(terminal, "idle"))


@pytest.mark.skipif(
    bool(POWERLESS) and shutil.which("setpriv") is None, reason="root reads everything"
)
def test_list_shows_what_it_may_not_look_into(adw: Adw, shown: Open) -> None:
    trees = Path(adw.json("create", "hidden")["path"]).parent
    trees.chmod(0)
    try:
        terminal = shown("list", before=POWERLESS, columns=120)
    finally:
        trees.chmod(0o700)
    assert re.search(r"(?m)^hidden .* unknown ", terminal.text)
    assert "hidden is unknown: " in terminal.text


def test_what_git_cannot_say_does_not_pass_for_clean(adw: Adw, shown: Open) -> None:
    for name in ("broken", "vanished"):
        git("worktree", "add", "--quiet", str(adw.directory / "trees" / name), cwd=adw.directory)
    (adw.directory / ".git/worktrees/broken/index").write_text("garbage")
    shutil.rmtree(adw.directory / "trees" / "vanished")
    terminal = shown("list", columns=200)
    assert re.search(r"unmanaged .* failed", row(terminal, "broken"))
    assert re.search(r"gone .* missing", row(terminal, "vanished"))
    assert not re.search(r"failed|missing", row(terminal, "(main)"))
    (adw.directory / ".git/index").write_text("garbage")
    assert "failed" in row(shown("list", columns=200), "(main)")


@pytest.mark.thorough
def test_a_base_that_is_not_there_is_named(adw: Adw, shown: Open) -> None:
    adw("create", "a")
    terminal = shown("list", ADW_BASE="origin/main", columns=200)
    assert f"BASE is empty: origin/main is no commit in {adw.directory}" in terminal.text
    assert "BASE" not in shown("list").text


def test_a_worktree_in_the_making_shows_no_work(adw: Adw, shown: Open, tmp_path: Path) -> None:
    hook, go = adw.directory / ".git/hooks/post-checkout", tmp_path / "go"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nuntil [ -e '{go}' ]; do sleep 0.05; done\n")
    hook.chmod(0o755)
    create = adw.start("create", "slow", quiet=True)
    made = adw.directory / "trees" / "slow" / "README"
    try:
        deadline = time.monotonic() + 60
        while not made.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        made.write_text("changed\n")
        pending = row(shown("list"), "slow")
        assert "pending" in pending
        assert "~1" not in pending
    finally:
        go.touch()
        create.wait()


@pytest.mark.thorough
def test_a_branch_is_shown_where_it_tells_something(adw: Adw, shown: Open) -> None:
    adw("create", "same")
    adw("create", "other", "--branch", "feature/x")
    tree = Path(adw.json("create", "rebased", "--branch", "feature/y")["path"])
    for where, text in ((tree, "theirs"), (adw.directory, "ours")):
        (where / "README").write_text(text)
        git("commit", "--quiet", "--all", "--message", text, cwd=where)
    main = git("branch", "--show-current", cwd=adw.directory).strip()
    subprocess.run(["git", "rebase", "--quiet", main], cwd=tree, capture_output=True, check=False)
    terminal = shown("list", columns=200)
    assert main in row(terminal, "(main)").split()
    assert not re.search("active +same", row(terminal, "same"))
    assert "feature/x" in row(terminal, "other")
    assert re.search("feature/y .*rebase", row(terminal, "rebased"))
    assert "detached" not in terminal.text


def test_rows_of_all_repositories_stand_below_their_names(
    adw: Adw, shown: Open, tmp_path: Path
) -> None:
    other = Adw(make_repo(tmp_path / "other"))
    adw("reserve", "here")
    other("reserve", "there")
    lines = shown("list", "--all", columns=60).lines
    starts = [line.split()[0] for line in lines if line]
    here, there = ["(main)", "here"], ["(main)", "there"]
    assert starts[2:4] == here
    assert starts[5:7] == there
    assert adw.directory.name in starts[1]
    assert starts[4].endswith("/other")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a home")
def test_a_path_needs_no_home() -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from adw_worktree.cli.terminal.cells import path_cell\n"
        # First as who we are: that user may not be let in where modules are.
        "path_cell(Path('/src'))\n"
        "os.setuid(12345); os.environ.pop('HOME')\nprint(path_cell(Path('/src/app'))[0].text)\n"
    )
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert told == "/src/app\n"


@pytest.mark.thorough
def test_the_map_has_a_sign_for_each_slot(adw: Adw, shown: Open, tmp_path: Path) -> None:
    gone = adw.json("create", "gone")
    leased, heard, blocked, elsewhere = (f"slot-{number}" for number in range(4))
    for adw_id in (leased, heard, blocked):
        adw("create", adw_id)
    Adw(make_repo(tmp_path / "other"))("create", elsewhere)
    held = adw.json("status")["allocations"]
    adw("remove", blocked)
    shutil.rmtree(gone["path"])
    with listening(held[heard]["backend"], held[blocked]["frontend"]):
        terminal = shown("status")
        by_whom = [line for line in shown("status", columns=200).lines if "blocked  " in line]
    start = next(n for n, line in enumerate(terminal.lines) if line.startswith(" 0 "))
    rows = [line[: len("90  " + "· " * 10)].split() for line in terminal.lines[start:][:10]]
    signs = [sign for _, *ten in rows for sign in ten]
    assert [int(tens) for tens, *_ in rows] == list(range(0, 100, 10))
    assert "".join(signs) == "?■●×□" + 95 * "·"
    assert "3 of 100 slots leased (3 %), 1 blocked, 96 free" in terminal.text
    for meaning in (
        "×  1  blocked",
        "□  1  leased elsewhere",
        "· 95  free",
        "?  1  free, in doubt",
    ):
        assert meaning in terminal.text
    (line,) = by_whom
    assert f"{held[blocked]['backend']}  {held[blocked]['frontend']}×  blocked" in line
    assert f"{os.getpid()} python" in line


@pytest.mark.parametrize(
    ("leased", "blocked", "free", "cells"),
    [
        (5, 5, 0, (30, 30, 0)),
        (999, 0, 1, (59, 0, 1)),
        (1, 1, 998, (1, 1, 58)),
        (0, 0, 9, (0, 0, 60)),
    ],
)
def test_the_bar_has_a_cell_for_all_there_is(
    leased: int, blocked: int, free: int, cells: tuple[int, int, int]
) -> None:
    counts = {"leased": leased, "blocked": blocked, "free": free}
    spans = bar(counts, 60, signs(Size(80, 24)))
    assert tuple(len(span.text) for span in spans) == cells


def test_leases_beyond_the_pool_are_none_of_its(adw: Adw, shown: Open) -> None:
    for slot in (1, 7, 8):
        adw("create", f"slot-{slot}", "--slot", str(slot))
    status = adw.json("status", ADW_SLOTS="5")
    assert (status["allocated"], status["available"], status["total"]) == (1, 4, 5)
    assert status["utilization_percent"] == 20
    drawn = shown("status", ADW_SLOTS="5").text
    assert drawn.startswith("1 of 5 slots leased (20 %), 4 free, 2 beyond the pool\n")
    said = adw("status", ADW_SLOTS="5").stdout
    assert said.startswith("1 of 5 slots leased (20.0 %), 4 free, 2 beyond the pool\n")


def test_a_pipe_gets_what_it_always_got(adw: Adw) -> None:
    adw("create", "a")
    for command in ("list", "status"):
        plain = adw(command).stdout
        assert adw(command, FORCE_COLOR="1", NO_COLOR="", COLUMNS="20").stdout == plain
        assert "\x1b" not in plain
        assert re.search(r"(?m)^ADW +SLOT  (PORTS|BACKEND  FRONTEND) +STATE  ", plain)


# ---- status --watch --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "code"), [("q", 0), ("\x03", 128 + signal.SIGINT), ("kill", 128 + signal.SIGTERM)]
)
def test_watch_follows_and_leaves_the_terminal_as_it_was(
    adw: Adw, opened: Open, ending: str, code: int
) -> None:
    adw("create", "first")
    terminal = opened("status", "--watch", lines=30)
    terminal.read(until=lambda: "q quits" in terminal.text)
    assert "first" in terminal.text
    assert "second" not in terminal.text
    during = termios.tcgetattr(terminal.theirs)
    assert not during[3] & termios.ECHO
    adw("create", "second")
    terminal.read(until=lambda: "second" in terminal.text)
    shutil.rmtree(adw.directory / "trees" / "first")
    terminal.read(until=lambda: "first" not in terminal.text)
    assert "1 of 100 slots leased" in terminal.text
    if ending == "kill":
        terminal.process.terminate()
    else:
        terminal.type(ending)
    terminal.read(until=lambda: False)
    assert terminal.process.returncode == code
    assert terminal.said.count(ENTERED) == terminal.said.count(LEFT) == 1
    assert terminal.said.endswith(LEFT)
    assert terminal.said.count(b"\x1b[?25l") == terminal.said.count(b"\x1b[?25h") == 1
    assert termios.tcgetattr(terminal.theirs) == terminal.settings


@pytest.mark.parametrize("way", ["rm", "git"])
def test_watch_notices_what_vanishes_in_another_repository(
    adw: Adw, opened: Open, tmp_path: Path, way: str
) -> None:
    other = Adw(make_repo(tmp_path / "other"))
    tree = other.json("create", "far")["path"]
    adw("create", "near")
    terminal = opened("status", "--watch")
    terminal.read(until=lambda: "far" in terminal.text)
    if way == "rm":
        shutil.rmtree(tree)
    else:
        git("worktree", "remove", "--force", tree, cwd=other.directory)
    started = time.monotonic()
    terminal.read(until=lambda: "far" not in terminal.text)
    assert time.monotonic() - started < 15


def test_watch_is_not_ended_by_the_keys_that_would_leave_its_screen_behind(
    adw: Adw, opened: Open
) -> None:
    adw("create", "a")
    terminal = opened("status", "--watch")
    terminal.read(until=lambda: "q quits" in terminal.text)
    terminal.type("\x1c\x1a")
    adw("create", "b")
    terminal.read(until=lambda: "2 of 100" in terminal.text)
    assert terminal.process.poll() is None


def test_watch_draws_again_what_was_written_over(adw: Adw, opened: Open) -> None:
    adw("create", "a")
    terminal = opened("status", "--watch")
    terminal.read(until=lambda: "q quits" in terminal.text)
    os.write(terminal.theirs, b"\x1b[2J")
    terminal.read(until=lambda: not terminal.text)
    terminal.type("\x0c")
    terminal.read(until=lambda: "q quits" in terminal.text)
    terminal.process.send_signal(signal.SIGSTOP)
    termios.tcsetattr(terminal.theirs, termios.TCSANOW, terminal.settings)
    os.write(terminal.theirs, b"\x1b[?1049l\x1b[2J")  # as a shell might
    terminal.read(until=lambda: not terminal.text)
    terminal.process.send_signal(signal.SIGCONT)
    terminal.read(until=lambda: "q quits" in terminal.text)
    terminal.type("q")
    terminal.read(until=lambda: False)
    assert terminal.process.returncode == 0
    assert termios.tcgetattr(terminal.theirs) == terminal.settings


def test_watch_says_why_it_is_not_up_to_date_and_what_to_do(adw: Adw, opened: Open) -> None:
    adw("create", "a")
    terminal = opened("status", "--watch", columns=60)
    terminal.read(until=lambda: "q quits" in terminal.text)
    (adw.directory / "agents" / "port_allocations.json").write_text("garbage")
    terminal.read(until=lambda: "q quits" in terminal.text and "not up" in terminal.text)
    below = terminal.lines[terminal.lines.index("q quits") - 10 :]
    said = " ".join(" ".join(below).split())
    assert said.endswith("q quits")
    assert "hint: adw-worktree " in said, said
    assert terminal.widest <= 60


def test_watch_shows_leases_before_an_empty_map(adw: Adw, opened: Open) -> None:
    for number in range(12):
        adw("reserve", f"adw-{number}")
    terminal = opened("status", "--watch", lines=24)
    terminal.read(until=lambda: "q quits" in terminal.text)
    assert "adw-11" in terminal.text
    assert "20  ·" in terminal.text
    assert "30  ·" not in terminal.text


def test_watch_fits_a_small_window(adw: Adw, opened: Open) -> None:
    adw("create", "a")
    terminal = opened("status", "--watch", columns=30, lines=8, COLUMNS="60")
    terminal.read(until=lambda: "q quits" in terminal.text)
    assert len(terminal.text.splitlines()) <= 8
    assert terminal.widest <= 30


def test_watch_survives_its_repository_and_puts_nothing_in_its_place(
    adw: Adw, opened: Open
) -> None:
    """`rm -rf` would stumble over a new file, or leave half a repository behind."""
    adw("create", "a")
    terminal = opened("status", "--watch", columns=200)
    terminal.read(until=lambda: "q quits" in terminal.text)
    adw.directory.rename(adw.directory.with_name("elsewhere"))  # at once, unlike deleting it
    terminal.read(until=lambda: "not up to date" in terminal.text)
    assert not adw.directory.exists()
    terminal.type("q")
    terminal.read(until=lambda: False)
    assert terminal.process.returncode == 0
    assert not adw.directory.exists()


def test_watch_needs_a_terminal(adw: Adw) -> None:
    ran = adw("status", "--watch", code=2)
    assert "hint: adw-worktree status" in ran.stderr
    assert not ran.stdout
    assert adw.json("status", "--watch", code=2)["error"]["code"] == "usage"


def test_watch_reads_nothing_until_something_changed(adw: Adw) -> None:
    adw("create", "a")
    script = """
import sys
from pathlib import Path
from adw_worktree.cli.terminal import pool_live as livepool
from adw_worktree.project import open_project
from tests.support.command_line import Adw

read = []
sys.addaudithook(lambda event, args: event == "open" and read.append(str(args[0])))
sight = livepool._Sight(open_project(Path.cwd()))
sight.refresh()
assert any(path.endswith("port_allocations.json") for path in read), read
read.clear()
for _ in range(5):
    sight.refresh()
assert not [path for path in read if not path.startswith("/proc/")], read
Adw(Path.cwd())("reserve", "b")
read.clear()
sight.refresh()
assert any(path.endswith("port_allocations.json") for path in read), read
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], cwd=adw.directory, env=env, check=True)


# ---- progress --------------------------------------------------------------------------------


def test_lines_of_progress_are_passed_on_and_all_is_kept() -> None:
    said = "Updating files:  50%\rUpdating files: 100%\rUpdating files: 100%, done.\nfatal: no\n"
    told: list[str] = []
    with subprocess.Popen(["printf", "%s", said], stdout=subprocess.PIPE) as child:
        child.wait()
        assert child.stdout is not None
        assert follow(child, child.stdout.fileno(), told.append) == said
    assert told == ["Updating files: 100%"]


def test_progress_is_drawn_on_a_terminal_alone_and_leaves_nothing(tmp_path: Path) -> None:
    script = """
import time
from adw_worktree.system.progress import progress
with progress(1) as tell:
    for number in range(2000):
        tell(f"copying \\x1b[31m{number}")
        time.sleep(0.05)
        if tell.__self__._drawn:
            break
print("done")
"""
    with (tmp_path / "file").open("wb") as file, progress(file.fileno()) as nothing:
        assert nothing is None
    with progress(None) as nothing:
        assert nothing is None
    terminal = Terminal([sys.executable, "-c", script], Path.cwd(), 80, 20, {})
    with suppress(OSError):
        terminal.read(until=lambda: False)
    terminal.close()
    assert rb"copying \x1b[31m" in terminal.said
    assert terminal.text == "done"

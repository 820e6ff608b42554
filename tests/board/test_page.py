"""The page in a real browser: what a person sees, does, and is never harmed by."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import browser
from tests.support.board import BoardProcess
from tests.support.checkout import CHECKOUT
from tests.support.command_line import Adw
from tests.support.features import (
    COMMIT,
    kill_all,
    phase,
    start,
    statuses,
    until,
    until_there,
    work,
    write_feature,
)
from tests.support.machine import settle
from tests.support.scripted_agent import scripted

if TYPE_CHECKING:
    from playwright.sync_api import Page

PLAN = CHECKOUT / "tests" / "whole" / "examples" / "login.md"
FOREIGN = {
    "markup": "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>",
    "turned": "\u202edesrever \u202e olleh",
    "long": "x" * 4000,
    "quotes": "'\"`${1}{{2}}&lt;",
}


def shows(page: Page, text: str | re.Pattern[str]) -> None:
    page.get_by_text(text).first.wait_for()


def go(page: Page, board: BoardProcess, path: str) -> None:
    """Open another view, as a link from elsewhere does."""
    page.goto(board.address + path)
    page.get_by_role("heading", level=1).wait_for()


def has_state(page: Page, name: str, state: str) -> None:
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    row.get_by_text(state, exact=True).wait_for()


# ---- what is shown -----------------------------------------------------------------------------


def test_two_browsers_and_a_command_line_agree(
    page: Page, board: BoardProcess, adw: Adw, tmp_path: Path
) -> None:
    waits = f"touch {tmp_path}/there; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; {COMMIT}"
    with browser.opened(400, dark=True) as second:
        second.page.goto(board.new_link())
        shows(second.page, "live")
        start(adw, "x", phase(1, waits), phase(2, needs=[1]), title="Both see it")
        for one in (page, second.page):
            one.get_by_role("link", name="Both see it").click()
            has_state(one, "x.1", "running")
            has_state(one, "x.2", "queued")
        second.page.get_by_role("button", name="Pause").click()
        second.page.get_by_role("button", name="Resume").wait_for()
        page.get_by_role("button", name="Resume").wait_for()
        assert adw.json("feature", "show", "x")["feature"]["status"] == "paused"
        adw("feature", "resume", "x")
        second.page.get_by_role("button", name="Pause").wait_for()
        (tmp_path / "go").touch()
        for one in (page, second.page):
            has_state(one, "x.1", "completed")
            has_state(one, "x.2", "completed")
            shows(one, "2 of 2 phases")
    assert statuses(adw, "x") == {1: "completed", 2: "completed"}


@pytest.mark.thorough
def test_what_needs_a_person_comes_first(page: Page, adw: Adw) -> None:
    start(adw, "x", phase(1, "echo no such table >&2; exit 3", attempts=1))
    needs = page.get_by_role("region", name="Needs you").first
    needs.get_by_text("x.1", exact=True).wait_for()
    first = page.get_by_role("heading", level=2).first
    assert first.inner_text() == "Needs you"
    page.get_by_role("button", name="Retry x.1").click()
    until(adw, "x.1", "failed", "running")
    page.get_by_role("link", name="x.1").click()
    page.get_by_role("tab", name="Attempts").click()
    shows(page, "Attempt 2")


@pytest.mark.thorough
def test_phases_stand_as_they_depend_on_each_other(
    page: Page, board: BoardProcess, adw: Adw
) -> None:
    phases = [phase(1), phase(2, needs=[1]), phase(3, needs=[1]), phase(4, needs=[2, 3])]
    adw("feature", "add", str(write_feature(adw, "diamond", *phases)))
    go(page, board, "/features/diamond")
    places = [
        page.locator(f".graph a[href='/phases/diamond.{n}'] rect").bounding_box()
        for n in range(1, 5)
    ]
    [one, two, three, four] = [(box["x"], box["y"]) for box in places if box is not None]
    assert one[0] < two[0] == three[0] < four[0]
    assert two[1] != three[1]
    assert str(page.locator(".graph .edge").get_attribute("d")).count("M") == 4


@pytest.mark.thorough
def test_a_feature_of_two_hundred_phases(page: Page, board: BoardProcess, adw: Adw) -> None:
    phases = [phase(n, "true", needs=[n - 1] if n % 10 != 1 else []) for n in range(1, 201)]
    adw("feature", "add", str(write_feature(adw, "big", *phases)))
    go(page, board, "/features/big")
    page.get_by_role("link", name="big.200", exact=True).wait_for()
    assert page.locator(".graph rect").count() == 200
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.thorough
def test_an_agent_s_stream_is_read_as_text(page: Page, board: BoardProcess, adw: Adw) -> None:
    def message(**part: object) -> dict[str, object]:
        return {"type": "assistant", "message": {"content": [part]}}

    lines = [
        {"type": "system", "subtype": "init", "session_id": "s"},
        message(type="text", text="I look at the table first."),
        message(type="tool_use", name="Bash", input={"command": "ls secret-place"}),
        {"type": "result", "subtype": "success", "is_error": False, "result": "done"},
    ]
    file = adw.directory.parent / "stream"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    start(adw, "x", phase(1, f"cat {file}; printf '\\033[31mplain\\033[0m\\n'; {COMMIT}"))
    work(adw)
    go(page, board, "/phases/x.1")
    log = page.get_by_role("log")
    log.get_by_text("I look at the table first.").wait_for()
    log.get_by_text("plain", exact=True).wait_for()
    assert "session_id" not in log.inner_text()
    tool = log.get_by_text("Bash", exact=False).first
    assert not log.get_by_text("secret-place").last.is_visible() or tool.is_visible()
    tool.click()
    log.locator("details[open]").get_by_text("secret-place").last.wait_for()


@pytest.mark.thorough
def test_a_log_of_100_mb_is_followed_at_its_end(
    page: Page, board: BoardProcess, adw: Adw, tmp_path: Path
) -> None:
    script = (
        f"yes 'a line that is repeated very often in this log, for its length' | head -c 100000000;"
        f" echo; echo the-end; touch {tmp_path}/there;"
        f" while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo one-more; {COMMIT}"
    )
    start(adw, "x", phase(1, script))
    until_there(tmp_path / "there")
    go(page, board, "/phases/x.1")
    log = page.get_by_role("log")
    log.get_by_text("the-end").wait_for()
    (tmp_path / "go").touch()
    log.get_by_text("one-more").wait_for()
    size = page.evaluate("document.querySelector('.log').innerText.length")
    assert size < 1_000_000
    assert _at_end(page)
    page.evaluate("document.querySelector('.log').scrollTop = 0")
    page.get_by_role("button", name="Show what came before").click()
    longer = "document.querySelector('.log').innerText.length"
    settle(lambda: page.evaluate(longer) > size, "nothing comes before it")
    assert not _at_end(page), "who scrolls away stays there"


def _at_end(page: Page) -> bool:
    return bool(
        page.evaluate(
            "(() => { const log = document.querySelector('.log');"
            " return log.scrollHeight - log.scrollTop - log.clientHeight < 50; })()"
        )
    )


@pytest.mark.thorough
def test_slots_are_a_map(page: Page, board: BoardProcess, adw: Adw) -> None:
    adw("create", "mine", "--slot", "7")
    page.get_by_role("link", name="Slots").click()
    shows(page, "1 of 100 slots leased")
    assert page.locator(".slot.held[title='7: mine']").count() == 1
    page.get_by_role("row", name=re.compile("mine")).wait_for()


# ---- what is done ------------------------------------------------------------------------------


def test_a_plan_is_dropped_in_checked_added_and_started(
    page: Page, board: BoardProcess, adw: Adw, tmp_path: Path
) -> None:
    scripted(adw, "claude", COMMIT, COMMIT, COMMIT, last=COMMIT)
    broken = tmp_path / "broken.md"
    broken.write_text(PLAN.read_text().replace("Dependencies**: Task 1", "Dependencies**: Task 77"))
    _drop(page, broken)
    shows(page, "broken.md")
    page.get_by_text("Task 77").wait_for()
    assert page.get_by_role("button", name="Add it").count() == 0
    page.locator("input[type=file]").set_input_files(PLAN)
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("link", name="login", exact=True).click()
    page.get_by_role("button", name="Start").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("pytest").first.wait_for()
    assert adw.json("feature", "show", "login")["feature"]["status"] == "added"
    dialog.get_by_role("button", name="Approve and start").click()
    page.get_by_role("button", name="Pause").wait_for()
    assert adw.json("feature", "show", "login")["feature"]["status"] == "running"


def _drop(page: Page, file: Path) -> None:
    """Drop a file on the page, as a mouse does."""
    made = page.evaluate_handle(
        "([name, text]) => { const all = new DataTransfer();"
        " all.items.add(new File([text], name)); return all; }",
        [file.name, file.read_text()],
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": made})


@pytest.mark.thorough
def test_what_an_agent_has_done_is_rejected_and_approved(
    page: Page, board: BoardProcess, adw: Adw
) -> None:
    agent = scripted(adw, "one", last="date >>x; git add x; git commit -qm work")
    workflow = '[workflows.looked-at]\nstages = ["build", "look", "ship"]\n'
    stages = '[stages.build]\nkind = "agent"\nagents = ["one"]\n[stages.look]\nkind = "approve"\n'
    (adw.directory / "adw-worktree.toml").write_text(workflow + stages)
    adw("trust", "--yes")
    wanted = {"number": 1, "title": "One", "prompt": "Do it.", "workflow": "looked-at"}
    start(adw, "x", wanted)
    until(adw, "x.1", "review")
    go(page, board, "/phases/x.1")
    page.get_by_label("What is to change").fill("name it otherwise")
    page.get_by_role("button", name="Reject").click()
    page.get_by_role("button", name="Approve").wait_for(state="hidden")
    until(adw, "x.1", "review")
    page.get_by_role("button", name="Approve").click()
    until(adw, "x.1", "completed")
    shows(page, "completed")
    assert "name it otherwise" in agent.prompt(2)


@pytest.mark.thorough
def test_cancelling_asks_first(page: Page, board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    go(page, board, "/features/x")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert adw.json("feature", "show", "x")["feature"]["status"] == "running"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel x").click()
    shows(page, "cancelled")
    assert adw.json("feature", "show", "x")["feature"]["status"] == "cancelled"


@pytest.mark.thorough
def test_what_cannot_be_done_is_said_in_its_place(
    page: Page, board: BoardProcess, adw: Adw
) -> None:
    start(adw, "x", phase(1, "exit 1", attempts=1), phase(2, needs=[1]))
    until(adw, "x.1", "failed")
    go(page, board, "/phases/x.1")
    page.get_by_role("button", name="Retry").wait_for()
    page.route("**/retry", lambda route: route.abort())
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("alert").get_by_text("cannot be reached").wait_for()
    page.unroute("**/retry")


# ---- live --------------------------------------------------------------------------------------


def test_a_browser_that_was_cut_off_misses_nothing(
    board: BoardProcess, adw: Adw, tmp_path: Path
) -> None:
    with browser.opened(troubles_allowed=True) as opened:
        page = opened.page
        page.goto(board.link)
        shows(page, "live")
        page.get_by_role("heading", level=1).wait_for()  # until then it has nothing to lose
        board.kill()
        shows(page, "connecting again…")
        start(adw, "x", phase(1), title="While it was away")
        work(adw)
        board.start()
        page.get_by_role("link", name="While it was away").wait_for()
        shows(page, "1 of 1 phase")
        shows(page, "live")


@pytest.mark.thorough
def test_the_coordinator_is_killed_while_one_looks(
    page: Page, board: BoardProcess, adw: Adw, tmp_path: Path
) -> None:
    start(adw, "x", phase(1, f"touch {tmp_path}/there; sleep 2; {COMMIT}"), phase(2, needs=[1]))
    until_there(tmp_path / "there")
    go(page, board, "/features/x")
    has_state(page, "x.1", "running")
    kill_all()
    page.get_by_role("link", name="x.1", exact=True).click()  # the board sees to it that one lives
    page.get_by_role("heading", level=1).wait_for()
    page.go_back()
    has_state(page, "x.2", "completed")


@pytest.mark.thorough
def test_a_quiet_page_asks_for_nothing(page: Page, board: BoardProcess, adw: Adw) -> None:
    start(adw, "x", phase(1, "sleep 60"))
    has = page.get_by_role("link", name="X", exact=True)
    has.wait_for()
    time.sleep(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    time.sleep(6)
    assert asked == []


# ---- safety ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_texts_are_texts(
    page: Page, board: BoardProcess, adw: Adw, name: str, tmp_path: Path
) -> None:
    text = FOREIGN[name]
    printed = tmp_path / "printed"
    line = json.dumps(
        {"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}
    )
    printed.write_text(f"{text}\n{line}\n")
    start(
        adw,
        "x",
        {**phase(1, f"cat {printed}; exit 1", attempts=1), "title": text[:200]},
        title=text[:200],
        description=text,
    )
    until(adw, "x.1", "failed")
    for path in ("/", "/features/x", "/phases/x.1", "/insight"):
        go(page, board, path)
        shows(page, "live")
        assert page.title() != "taken"
        assert page.locator("main img, main script").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    page.goto(f"{board.address}/phases/x.1")
    visible = text[1:20].replace("\u202e", "\\u202e")
    page.get_by_role("log").get_by_text(visible).first.wait_for()


def test_no_script_runs_that_is_not_ours(board: BoardProcess) -> None:
    """The content security policy holds, even if something put markup into the page."""
    with browser.opened(troubles_allowed=True) as opened:
        page = opened.page
        page.goto(board.link)
        shows(page, "live")
        page.evaluate(
            """() => {
              document.body.insertAdjacentHTML("beforeend",
                "<img src=x onerror=\\"document.title='taken'\\">");
              const script = document.createElement("script");
              script.textContent = "document.title = 'taken'";
              document.body.append(script);
              const far = document.createElement("script");
              far.src = "http://evil.example/x.js";
              document.body.append(far);
            }"""
        )
        page.wait_for_timeout(500)
        assert page.title() != "taken"
        assert len([one for one in opened.troubles if "Content Security Policy" in one]) >= 3


@pytest.mark.thorough
def test_nothing_comes_from_another_host(board: BoardProcess) -> None:
    with browser.opened() as opened:
        hosts: set[str] = set()
        opened.page.on("request", lambda one: hosts.add(one.url.split("/")[2]))
        opened.page.goto(board.link)
        shows(opened.page, "live")
        for path in ("/slots", "/insight", "/docs"):
            go(opened.page, board, path)
    assert hosts == {board.address.partition("//")[2]}


# ---- everybody ---------------------------------------------------------------------------------


@pytest.fixture
def full(board: BoardProcess, adw: Adw) -> None:
    """Fill the board with a phase in many states."""
    adw("create", "mine", "--slot", "7")
    start(
        adw,
        "x",
        phase(1, COMMIT),
        phase(2, "echo printed; exit 1", needs=[1], attempts=1),
        phase(3, needs=[2]),
        title="A feature in many states",
        description="It is shown to everybody.",
    )
    adw("feature", "add", str(write_feature(adw, "later", phase(1))))
    until(adw, "x.2", "failed")


VIEWS = ("/", "/features/x", "/phases/x.2", "/slots", "/insight", "/docs")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200, 2000])
def test_everybody_can_use_every_view(
    board: BoardProcess, full: None, width: int, dark: bool
) -> None:
    """axe finds no violation, and nothing is cut off or has to be scrolled sideways."""
    axe = files("axe_playwright_python") / "axe.min.js"
    with browser.opened(width, dark=dark) as opened:
        page = opened.page
        page.goto(board.link)
        shows(page, "live")
        for path in VIEWS:
            go(page, board, path)
            shows(page, "live")
            page.wait_for_timeout(300)
            page.evaluate(axe.read_text())
            found = page.evaluate("axe.run().then((one) => one.violations)")
            said = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
            assert said == [], (path, width, dark)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


@pytest.mark.thorough
def test_the_keyboard_alone_is_enough(
    page: Page, board: BoardProcess, full: None, adw: Adw
) -> None:
    go(page, board, "/")
    page.keyboard.press("Tab")
    assert _focused(page)["text"] == "Skip to the content"
    _tab_to(page, lambda one: one["text"] == "A feature in many states")
    page.keyboard.press("Enter")
    shows(page, "Retry what failed")
    assert _focused(page)["tag"] == "H1", "who goes to another view begins at its title"
    _tab_to(page, lambda one: one["text"] == "x.2")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Log").wait_for()
    _tab_to(page, lambda one: one["text"] == "Log")
    page.keyboard.press("ArrowRight")
    shows(page, "Attempt 1")
    go(page, board, "/features/x")
    _tab_to(page, lambda one: one["text"] == "Cancel")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    _tab_to(page, lambda one: one["text"] == "Cancel x")
    page.keyboard.press("Enter")
    shows(page, "cancelled")
    assert adw.json("feature", "show", "x")["feature"]["status"] == "cancelled"


def _focused(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.evaluate(
        "({ tag: document.activeElement.tagName, text: document.activeElement.textContent.trim() })"
    )
    return found


def _tab_to(page: Page, holds: Callable[[dict[str, str]], bool]) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if holds(_focused(page)):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "where the keyboard is has to be seen"
            return
    pytest.fail("the keyboard does not come there")


@pytest.mark.thorough
def test_how_long_it_may_take_is_said_once_enough_have_run(
    page: Page, board: BoardProcess, adw: Adw, tmp_path: Path
) -> None:
    start(adw, "before", phase(1, "sleep 2", changes="none"), phase(2, "true", changes="none"))
    work(adw)
    start(adw, "y", phase(1, "sleep 60"))
    go(page, board, "/phases/y.1")
    shows(page, re.compile("in run"))
    assert page.get_by_text("left").count() == 0, "two are too few"
    adw("feature", "cancel", "y")
    start(adw, "more", phase(1, "sleep 2", changes="none"), phase(2, "sleep 2", changes="none"))
    work(adw)
    start(adw, "z", phase(1, "sleep 60"))
    go(page, board, "/phases/z.1")
    shows(page, re.compile("about . s left|longer than the usual"))
    shows(page, re.compile("longer than the usual 2 s"))

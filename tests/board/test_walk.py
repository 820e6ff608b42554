"""A new user, in a real browser: from an invitation to merged work, and what others see of it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support import browser
from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import kill_all, phase, start, until
from tests.support.people import PASSWORD, ask, own, register
from tests.support.repositories import git
from tests.support.walk import ADDRESS, PLAN, prepare, walk

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.skipif(browser.program() is None, reason="no Chromium is installed")


def log_in(page: Page, board: BoardProcess, address: str, path: str = "/") -> None:
    """Open a view, and log in where the board asks for it."""
    page.goto(board.address + path)
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("live", exact=True).wait_for()


def test_a_new_user_has_a_plan_merged(adw: Adw, tmp_path: Path) -> None:
    prepare(adw)
    plan = tmp_path / "shop.md"
    plan.write_text(PLAN)
    board = BoardProcess(adw, "--users")
    seen: list[str] = []
    try:
        register(board, adw, "admin", link=board.link)
        link = adw.json("board", "invite")["link"]
        with browser.opened() as opened:
            walk(opened.page, board, adw, link, plan, seen.append)
        assert seen == ["register", "login", "plan", "start", "approve", "landed"]
        assert "shop-p1" in git("ls-tree", "--name-only", "HEAD", cwd=adw.directory).split()
        assert board.get("/planned-features/shop")["owner"] == ADDRESS
    finally:
        board.end()
        kill_all()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200, 2000])
@pytest.mark.thorough
def test_everybody_can_use_the_views_of_users(
    users_board: BoardProcess, adw: Adw, width: int, dark: bool
) -> None:
    register(users_board, adw, "admin", link=users_board.link)
    start(adw, "x", phase(1, "sleep 60"))
    axe = (files("axe_playwright_python") / "axe.min.js").read_text()
    with browser.opened(width, dark=dark) as opened:
        page = opened.page

        def check(what: str) -> None:
            page.wait_for_timeout(300)
            page.evaluate(axe)
            found = page.evaluate("axe.run().then((one) => one.violations)")
            said = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
            assert said == [], what
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), what

        for path in ("/login", "/register?invitation=x"):
            page.goto(users_board.address + path)
            page.get_by_role("heading", level=1).wait_for()
            check(path)
        log_in(page, users_board, "admin@example.com", "/people")
        page.get_by_role("button", name="Make a link").click()
        page.get_by_text("/register?invitation=").wait_for()
        check("/people")
        page.goto(f"{users_board.address}/features/x")
        page.get_by_role("button", name="Share").click()
        page.get_by_role("dialog").get_by_text("nobody").wait_for()
        check("the dialog")


@pytest.mark.thorough
def test_a_feature_is_shared_and_taken_back_before_one_s_eyes(
    users_board: BoardProcess, adw: Adw
) -> None:
    register(users_board, adw, "admin", link=users_board.link)
    owner, other = register(users_board, adw, "owner"), register(users_board, adw, "other")
    start(adw, "x", phase(1, "sleep 60"), title="Theirs at first")
    until(adw, "x.1", "running")
    own(owner, "x")
    with browser.opened() as first, browser.opened() as second:
        log_in(first.page, users_board, owner.address, "/features/x")
        log_in(second.page, users_board, other.address)
        assert second.page.get_by_text("Theirs at first").count() == 0
        first.page.get_by_role("button", name="Share").click()
        dialog = first.page.get_by_role("dialog")
        dialog.get_by_label("Address").fill(other.address)
        dialog.get_by_role("button", name="Share it").click()
        dialog.get_by_role("listitem").filter(has_text=other.address).wait_for()
        second.page.get_by_role("link", name="Theirs at first").click()
        second.page.get_by_role("heading", name="Theirs at first").wait_for()
        second.page.get_by_text("owner@example.com").wait_for()
        assert second.page.get_by_role("button", name="Pause").count() == 0
        assert first.page.get_by_role("button", name="Pause", include_hidden=True).count() == 1
        second.page.get_by_role("link", name="Features").first.click()
        second.page.get_by_role("link", name="Theirs at first").wait_for()
        dialog.get_by_role("button", name="no more").click()
        second.page.get_by_role("link", name="Theirs at first").wait_for(state="hidden")


@pytest.mark.thorough
def test_who_is_logged_out_elsewhere_comes_to_the_log_in(
    users_board: BoardProcess, adw: Adw
) -> None:
    me = register(users_board, adw, "me", link=users_board.link)
    with browser.opened(troubles_allowed=True) as opened:
        page = opened.page
        log_in(page, users_board, me.address, "/slots")
        ask(users_board, "/auth/logout", who=me.program)
        page.get_by_role("heading", name="Log in").wait_for()
        page.get_by_label("Address").fill(me.address)
        page.get_by_label("Password").fill("a wrong password")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("alert").get_by_text("wrong").wait_for()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Slots").wait_for()
        for elsewhere in (
            "//evil.example/x",
            "/.//evil.example/x",
            "https://evil.example",
            "\\\\e",
            "/login",
            "http://[",
        ):
            page.goto(f"{users_board.address}/login?next={quote(elsewhere)}")
            page.get_by_label("Address").fill(me.address)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            page.get_by_text("live", exact=True).wait_for()
            assert page.url.startswith(users_board.address), elsewhere

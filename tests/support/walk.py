"""The walk of a new user, from an invitation to merged work, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.people import PASSWORD
from tests.support.plans import plan_text, task
from tests.support.repositories import git
from tests.support.scripted_agent import ScriptedAgent, scripted

if TYPE_CHECKING:
    from playwright.sync_api import Page

ADDRESS = "ada@example.com"
_WORKFLOW = """\
[workflows.looked-at]
stages = ["build", "look", "ship"]

[stages.build]
kind = "agent"
agents = ["one"]

[stages.look]
kind = "approve"
"""
PLAN = plan_text(
    [task(1, name="Prices are shown"), task(2, name="Orders can be placed")],
    title="Shop",
    front="land: merge\nworkflow: looked-at",
)


def prepare(adw: Adw) -> ScriptedAgent:
    """Make a repository whose phases a person looks at before they are merged."""
    (adw.directory / "adw-worktree.toml").write_text(_WORKFLOW)
    git("add", "adw-worktree.toml", cwd=adw.directory)
    git("commit", "--quiet", "-m", "settings", cwd=adw.directory)
    adw("trust", "--yes")
    return scripted(adw, "one", last="echo work >$ADW_ID; git add $ADW_ID; git commit -qm work")


def walk(
    page: Page, board: BoardProcess, adw: Adw, link: str, plan: Path, show: Callable[[str], None]
) -> None:
    """Go the way of a new user; `show` is called at each view, with a name for it."""
    page.goto(link)
    page.get_by_label("Address").fill(ADDRESS)
    page.get_by_label("Password").fill(PASSWORD)
    show("register")
    page.get_by_role("button", name="Register").click()
    page.get_by_text("live", exact=True).wait_for()
    page.get_by_role("link", name="People").click()
    page.get_by_role("button", name="Log out everywhere").click()

    page.get_by_role("heading", name="Log in").wait_for()
    page.get_by_label("Address").fill(ADDRESS)
    page.get_by_label("Password").fill(PASSWORD)
    show("login")
    page.get_by_role("button", name="Log in").click()

    page.get_by_text("live", exact=True).wait_for()
    page.locator("input[type=file]").set_input_files(plan)
    page.get_by_role("button", name="Add it").wait_for()
    show("plan")
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("link", name="shop", exact=True).click()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve and start").wait_for()
    show("start")
    page.get_by_role("button", name="Approve and start").click()

    for name in ("shop.1", "shop.2"):
        page.get_by_role("link", name="Features").first.click()
        page.get_by_role("heading", name="Needs you").first.wait_for()
        page.get_by_role("link", name=name, exact=True).click(timeout=60_000)
        page.get_by_role("button", name="Approve").wait_for()
        if name == "shop.1":
            show("approve")
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("button", name="Approve").wait_for(state="hidden")
    page.get_by_role("link", name="Shop").click()
    page.get_by_text("It has landed.").wait_for(timeout=60_000)
    show("landed")

"""Take the pictures of the board for docs: `python -m scripts.docs.board_pictures`.

A real board in a scratch repository, with a feature whose agents follow a script, in a real
Chromium.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import browser
from tests.support.board import BoardProcess
from tests.support.command_line import Adw
from tests.support.features import COMMIT, kill_all, phase, start, until, write_feature
from tests.support.people import register
from tests.support.repositories import make_repo
from tests.support.scripted_agent import say, scripted
from tests.support.sealed import sealed
from tests.support.walk import PLAN, prepare, walk

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_WIDTH = 1100
_VIEWS = {
    "board": "/",
    "board-feature": "/features/shop",
    "board-phase": "/phases/shop.2",
    "board-slots": "/slots",
}


def main() -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as scratch, sealed(Path(scratch)):
        adw = Adw(make_repo(Path(scratch) / "shop"))
        _fill(adw)
        board = BoardProcess(adw)
        try:
            for theme in ("light", "dark"):
                _take(board, dark=theme == "dark")
        finally:
            board.end()
            kill_all()
    for theme in ("light", "dark"):
        _walk(dark=theme == "dark")
    browser.discard_all()


def _walk(*, dark: bool) -> None:
    """Take the pictures of a new user's way."""
    with tempfile.TemporaryDirectory() as scratch, sealed(Path(scratch)):
        adw = Adw(make_repo(Path(scratch) / "shop"))
        prepare(adw)
        plan = Path(scratch) / "shop.md"
        plan.write_text(PLAN)
        board = BoardProcess(adw, "--users")
        try:
            register(board, adw, "admin", link=board.link)
            link = adw.json("board", "invite")["link"]
            with browser.opened(_WIDTH, dark=dark) as opened:
                shoot = partial(_shoot, opened.page, dark)
                walk(opened.page, board, adw, link, plan, lambda name: shoot(f"walk-{name}"))
        finally:
            board.end()
            kill_all()


def _fill(adw: Adw) -> None:
    """Make features in many states."""
    stream = [
        {"type": "assistant", "message": {"content": [
            {"type": "text", "text": "I read the routes that are there, then add the endpoint."}]}},
        {"type": "assistant", "message": {"content": [
            {"type": "tool_use", "name": "Edit", "input": {"file_path": "shop/orders.py"}}]}},
    ]  # fmt: skip
    works = "echo work >>$ADW_ID; git add $ADW_ID; git commit -qm work"
    scripted(adw, "claude", last=f"{say(*stream)}; {works}; sleep 120", reads="claude")
    wish = {"title": "Orders can be placed", "prompt": "Add the endpoint.", "depends_on": [1]}
    start(
        adw,
        "shop",
        {**phase(1), "title": "Tables for orders and prices"},
        {"number": 2, **wish},
        {**phase(3, "sleep 120", needs=[1]), "title": "Prices are shown"},
        {**phase(4, "exit 1", needs=[1], attempts=1), "title": "Migration runs twice"},
        {**phase(5, needs=[2, 3, 4]), "title": "All is polished"},
        title="A shop with orders and prices",
        description="People see prices, and order what they want.",
    )
    start(adw, "health", {**phase(1), "title": "Health endpoint"}, title="Health can be asked for")
    adw("feature", "add", str(write_feature(adw, "login", phase(1, COMMIT), title="People log in")))
    until(adw, "health.1", "completed")
    until(adw, "shop.4", "failed")
    until(adw, "shop.2", "running")
    adw("create", "try-something")


def _take(board: BoardProcess, *, dark: bool) -> None:
    with browser.opened(_WIDTH, dark=dark) as opened:
        opened.page.goto(board.new_link())
        for name, path in _VIEWS.items():
            opened.page.goto(board.address + path)
            opened.page.get_by_text("live", exact=True).wait_for()
            _shoot(opened.page, dark, name)


def _shoot(page: Page, dark: bool, name: str) -> None:
    page.wait_for_timeout(800)
    file = PICTURES / f"{name}{'-dark' if dark else ''}.png"
    height = min(900, page.evaluate(_HEIGHT) + 24)
    page.screenshot(path=file, clip={"x": 0, "y": 0, "width": _WIDTH, "height": height})


_HEIGHT = (
    "Math.ceil(document.querySelector('main').lastElementChild.getBoundingClientRect().bottom)"
)


if __name__ == "__main__":
    main()

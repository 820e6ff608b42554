"""The hosts of a store on a server: shown on the page, and drained there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from adw_worktree.orchestration.store.attempts import claim
from adw_worktree.orchestration.store.hosts import hosts, renew
from tests.support import browser, server_store
from tests.support.board import BoardProcess, serving
from tests.support.command_line import Adw
from tests.support.features import join, phase, store, write_feature
from tests.support.postgres_server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.file_store


@pytest.fixture
def shared(
    adw: Adw,
    postgres: Server,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Adw:
    """Return a repository whose store is on a server, on which two hosts work."""
    monkeypatch.setenv("ADW_STORE", server_store.made(postgres))
    server_store.give_remote(adw.directory, tmp_path_factory.mktemp("remote") / "shop.git")
    adw("feature", "start", str(write_feature(adw, "login", phase(1))), "--yes")
    with closing(store()) as database:
        [repository] = database.execute("SELECT repository FROM features")[0]
        join(database, "anna", labels=["gpu"], places={str(repository): "/src/shop"})
        join(database, "ben")
        renew(database, "anna", "machine of anna", (100, 7))
        assert len(claim(database, "anna")) == 1
    return adw


@pytest.fixture
def hosts_board(shared: Adw) -> Iterator[BoardProcess]:
    """Return a board over the server."""
    with serving(shared) as process:
        yield process


def statuses(board: BoardProcess) -> dict[str, str]:
    return {one["name"]: one["status"] for one in board.get("/hosts")["hosts"]}


def test_hosts_are_listed_and_drained_by_the_api(hosts_board: BoardProcess) -> None:
    rows = {one["name"]: one for one in hosts_board.get("/hosts")["hosts"]}
    anna = rows["anna"]
    assert [*rows] == ["anna", "ben"], "a machine that only steers is none"
    assert (anna["phases"], anna["labels"]) == (["login.1"], ["gpu"])
    assert (anna["slots_leased"], anna["slots"], anna["status"]) == (7, 100, "working")
    hosts_board.post("/hosts/anna/drain")
    assert statuses(hosts_board)["anna"] == "drained"
    with closing(store()) as database:
        assert {one.name for one in hosts(database) if one.drained} == {"anna"}
    hosts_board.post("/hosts/anna/resume")
    assert statuses(hosts_board)["anna"] == "working"
    hosts_board.post("/hosts/nobody/drain", None, 404)


def test_a_store_in_a_file_has_no_hosts_to_show(board: BoardProcess) -> None:
    assert board.get("/hosts") == {"hosts": []}


@pytest.fixture
def hosts_page(hosts_board: BoardProcess) -> Iterator[Page]:
    """Return a browser's page of that board."""
    if browser.program() is None:
        pytest.skip("no Chromium is installed")
    with browser.opened() as opened:
        opened.page.goto(hosts_board.link)
        opened.page.get_by_role("heading", level=1).wait_for()
        yield opened.page


def test_the_page_shows_hosts_and_drains_one(hosts_page: Page, hosts_board: BoardProcess) -> None:
    hosts_page.goto(hosts_board.address + "/slots")
    row = hosts_page.get_by_role("row").filter(has_text="anna")
    for text in ("working", "7 of 100", "gpu"):
        row.get_by_text(text, exact=True).wait_for()
    row.get_by_role("link", name="login.1").wait_for()
    row.get_by_role("button", name="Drain anna").click()
    row.get_by_text("drained", exact=True).wait_for()
    assert statuses(hosts_board)["anna"] == "drained"
    for width in (400, 1200):
        hosts_page.set_viewport_size({"width": width, "height": 800})
        hosts_page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text())
        found = hosts_page.evaluate("axe.run().then((one) => one.violations)")
        assert found == [], [one["id"] for one in found]
        wide = hosts_page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
    row.get_by_role("button", name="Resume anna").click()
    row.get_by_role("button", name="Drain anna").wait_for()

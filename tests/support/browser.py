"""A real browser: Debian's Chromium, or the one that Playwright has installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_running: list[tuple[Playwright, Browser]] = []


@cache
def program() -> str | None:
    """Return the path of a browser; None if there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
        return path if Path(path).exists() else None


def running(*arguments: str) -> Browser:
    """Return the browser of this process, started with `arguments` if it was not."""
    from playwright.sync_api import sync_playwright

    if not _running:
        playwright = sync_playwright().start()
        # As root, in a container, Chromium's sandbox cannot be made.
        always = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program(), args=[*always, *arguments])
        _running.append((playwright, browser))
    return _running[0][1]


class Opened(NamedTuple):
    """A window of its own, as a person has it."""

    page: Page
    context: BrowserContext
    troubles: list[str]
    """Errors of scripts, and what the content security policy has kept from being done."""


@contextmanager
def opened(
    width: int = 1200, *, dark: bool = False, troubles_allowed: bool = False
) -> Iterator[Opened]:
    """Open a window for the block. Holds that nothing went wrong in it."""
    context = running().new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(15_000)
    troubles: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if _is_trouble(line) else None)
    try:
        yield Opened(page, context, troubles)
    finally:
        context.close()
    assert troubles_allowed or troubles == []


def _is_trouble(line: ConsoleMessage) -> bool:
    """Return whether the browser complains; that the API refuses something is no trouble."""
    return line.type == "error" and "/api/" not in line.location["url"]


def discard_all() -> None:
    """End the browser of this process."""
    while _running:
        playwright, browser = _running.pop()
        browser.close()
        playwright.stop()

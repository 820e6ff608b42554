"""From a committed event to the changed pixel, in real browsers."""

from __future__ import annotations

import time
from pathlib import Path

from adw_worktree.orchestration.store import steering
from tests.support import browser
from tests.support.features import store

from ..machine import say
from .room import board_with

# A browser takes a window that lies under another one for one that nobody sees.
ARGUMENTS = (
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
)
_WATCH = """() => {
  window.shown = {};
  const look = () => {
    for (const row of document.querySelectorAll("tbody tr")) {
      const state = row.querySelector(".state").textContent;
      window.shown[row.querySelector("a").textContent + " " + state] ??= Date.now();
    }
  };
  look();
  new MutationObserver(() => requestAnimationFrame(look)).observe(
    document.body, { subtree: true, childList: true, characterData: true });
}"""


def pixels(scratch: Path, browsers: int, phases: int, events: int, gap: float) -> list[float]:
    """Return the seconds from each commit to its change on the page, in each of the browsers.

    `gap` are the seconds between two commits. A change that never came is told as an error.
    """
    say(f"  {browsers} browsers, {phases} phases")
    with board_with(scratch, 1, phases) as board:
        chromium = browser.running(*ARGUMENTS)
        pages = [chromium.new_context().new_page() for _ in range(browsers)]
        for page in pages:
            page.goto(board.new_link())
            page.goto(f"{board.address}/features/feature-1")
            page.get_by_text("live", exact=True).wait_for()
            page.get_by_role("row").nth(phases).wait_for()
            page.evaluate(_WATCH)
        committed: dict[str, float] = {}
        database = store()
        for number in range(1, events + 1):
            steering.pause_phase(database, f"feature-1.{number}")
            committed[f"feature-1.{number} paused"] = time.time()
            time.sleep(gap)
        database.close()
        time.sleep(1)
        found = []
        for page in pages:
            shown = page.evaluate("window.shown")
            found += [shown[key] / 1000 - at for key, at in committed.items()]
        browser.discard_all()
        return found

"""Chromium for tests: where it is, and how it is started."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--js-flags=--no-turbofan --no-maglev",  # a page lives a second: compiling well costs more than it saves
]
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

AXE = f"{Axe().axe_script};null"  # a page's `evaluate` would send back what a script ends with
# axe leaves the size of targets out unless asked, and fetches style sheets only for rules that are off.
# It looks for pseudo-elements only to abstain from judging a contrast, and for a third of its time.
LOOK = """async () => {
    axe.configure({checks: [{id: "color-contrast", options: {ignorePseudo: true}}]});
    return (await axe.run({
        rules: {"target-size": {enabled: true}}, resultTypes: ["violations"], elementRef: false, preload: false,
    })).violations.flatMap(found => found.nodes.map(node => `${found.id}: ${found.help} (${node.target[0]})`));
}"""


def bring_axe(context: BrowserContext) -> None:
    """To each page that opens: half a megabyte that would otherwise be sent at every look."""
    context.add_init_script(AXE)


def inaccessible(page: Page) -> list[str]:
    """What axe finds on a page, a line each."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE)
    found: list[str] = page.evaluate(LOOK)
    return [f"{page.url}: {line}" for line in found]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; CHROMIUM names its program, else one on PATH, else Playwright's own."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            # While Playwright's event loop runs, Django keeps the thread's connections in another place, which
            # nobody closes later: the next browser would find one to a database that has been dropped.
            connections.close_all()
            browser.close()

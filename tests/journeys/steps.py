"""A person at a browser: with mouse or keyboard only, and with axe looking on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser

from tests.browser import bring_axe, inaccessible
from tests.cast import PASSWORD, address

MOST_TABS = 150


@dataclass
class Person:
    """One of the cast in a browser of their own. `faults` collects axe's findings and the browser's complaints.

    `watched=False` leaves axe out, where it has seen the same pages on another way.
    """

    browser: Browser
    portal: str
    name: str
    script: bool = True
    keyboard: bool = False
    watched: bool = True

    def __post_init__(self) -> None:
        self.context = self.browser.new_context(java_script_enabled=self.script, reduced_motion="reduce")
        self.context.set_default_timeout(10_000)
        if self.script and self.watched:
            bring_axe(self.context)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda said: self.faults.append(f"console: {said.text}") if self.mine(said) else None)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))

    def mine(self, said: Any) -> bool:
        # A form refused with 422 is a page like any other; the browser reports the status all the same.
        return said.type in ("error", "warning") and "status of 4" not in said.text

    def look(self) -> None:
        """Let axe look at the page, where scripts can run at all."""
        if self.script and self.watched:
            self.faults += inaccessible(self.page)

    def open(self, path: str) -> None:
        self.page.goto(self.portal + path)
        self.look()

    def tab_to(self, element: Any) -> None:
        """Press Tab until the element has the focus, as somebody without a mouse has to."""
        element.wait_for()
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if element.evaluate("node => node === document.activeElement"):
                return
        raise AssertionError(f"{self.page.url}: the keyboard does not reach {element}")

    def follow(self, name: str) -> None:
        link = self.page.get_by_role("link", name=name, exact=True).first
        self.use(link, "Enter")

    def press(self, name: str) -> None:
        self.use(self.page.get_by_role("button", name=name, exact=True).first, "Enter")

    def use(self, element: Any, key: str) -> None:
        """Press what leads to another page, and wait for that."""
        if self.keyboard:
            self.tab_to(element)
        with self.page.expect_navigation():
            if self.keyboard:
                self.page.keyboard.press(key)
            else:
                element.click()
        self.look()

    def fill(self, label: str, text: str) -> None:
        # What need not be filled in says so in its label.
        field = self.page.get_by_label(re.compile(f"^{re.escape(label)}( \\(optional\\))?$")).first
        if self.keyboard:
            self.tab_to(field)
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text)
        else:
            field.fill(text)

    def tick_all(self) -> None:
        for box in self.page.get_by_role("checkbox").all():
            if not box.is_checked():
                if self.keyboard:
                    self.tab_to(box)
                    self.page.keyboard.press("Space")
                else:
                    box.check()

    def sign_in(self) -> None:
        watched, self.watched = self.watched, False
        self.open("/sign-in/")
        self.fill("Mail address", address(self.name))
        self.fill("Password", PASSWORD)
        self.press("Sign in")
        self.watched = watched
        assert "/sign-in/" not in self.page.url, self.page.inner_text("main")

    def sees(self, text: str) -> bool:
        return text in self.page.inner_text("body")

"""axe looks at every page, as somebody who may open it sees it, in light and dark and on a phone."""

from __future__ import annotations

import mimetypes
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from playwright.sync_api import ViewportSize

from tests.browser import chromium, inaccessible
from tests.cast import PASSWORD, address
from tests.house.routes import Route, likely, routes
from tests.house.world import build, found_by
from tests.journeys.steps import Person

pytestmark = pytest.mark.journey
NO_PAGES = {"healthz", "readyz", "jwks", "invitation", "theme", "sign-out"}
PARTS = {"job-live", "export-live", "pack-live", "batch-live"}
PHONE: ViewportSize = {"width": 320, "height": 800}
SIZES: list[ViewportSize] = [{"width": 1200, "height": 900}, PHONE]
TOO_WIDE = "document.documentElement.scrollWidth > window.innerWidth"
ROLES = ("developer", "platform_admin", "auditor", "validator", "model_owner", "approver")


def unfit_to_file(page):
    """What of a page on paper is there to be clicked, or missing from what has to be filed."""
    page.emulate_media(media="print")
    clicked = (".bar", ".crumbs", ".button", "form")
    wrong = [f"{page.url} prints {one}" for one in clicked if page.locator(f"{one}:visible").count()]
    paper = page.locator(".print-only").first.inner_text()
    wrong += [f"{page.url} prints no {one}" for one in ("Signatures", "Manifest that is signed") if one not in paper]
    page.emulate_media(media="screen")
    return wrong


class Shown(ThreadingHTTPServer):
    """Shows the very answers, headers and all, that a client was given: asking for them again would cost as much."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Showing)
        self.answers: dict[str, tuple[Any, bytes]] = {}
        self.address = f"http://127.0.0.1:{self.server_port}"


class Showing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shown

    def do_GET(self) -> None:
        found = finders.find(self.path.removeprefix("/static/")) if self.path.startswith("/static/") else None
        if found:
            kind = mimetypes.guess_type(str(found))[0] or "application/octet-stream"
            self.show(200, {"Content-Type": kind, "Cache-Control": "max-age=3600"}, Path(str(found)).read_bytes())
        else:
            headers, body = self.server.answers.get(self.path, ({}, b""))
            self.show(200 if headers else 404, headers, body)

    def show(self, status: int, headers: Any, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: Any) -> None:
        """What was asked for says nothing."""


@contextmanager
def showing() -> Iterator[Shown]:
    with Shown() as shown:
        threading.Thread(target=shown.serve_forever, daemon=True).start()
        try:
            yield shown
        finally:
            shown.shutdown()


@dataclass
class Page:
    route: Route
    place: str
    headers: Any
    body: bytes


def entered(name: str) -> Client:
    """A client that signed in as this person; `nobody` did not."""
    client = Client()
    if name != "nobody":
        asked = client.post("/sign-in/", {"email": address(name), "password": PASSWORD})
        assert asked.status_code == 302
    return client


def asked(cast: Any) -> dict[str, list[Page]]:
    """Every page, by who was the first that could open it."""
    world, clients = build(cast), {name: entered(name) for name in ("nobody", *ROLES)}
    found, opened = defaultdict[str, list[Page]](list), dict[str, str]()
    for route in routes():
        if route.is_api or route.name in NO_PAGES | PARTS:
            continue
        for name in ["nobody"] if route.name == "sign-in" else likely(route.name, opened, ROLES):
            actor = getattr(cast, name, None)
            place = route.reverse(**{one: found_by(world, one, route.path, actor) for one in route.arguments})
            with closing(clients[name].get(place)) as answer:
                paged = answer["Content-Type"].startswith("text/html")
                if answer.status_code == 405 or (answer.status_code == 200 and not paged):
                    break  # no page for anybody: a form's address, a file
                if answer.status_code == 200:
                    opened[route.name] = name
                    found[name].append(Page(route, place, answer.headers, answer.content))
                    break
    return found


def test_every_page_is_accessible_and_fits_a_phone(committing_db, cast):
    wrong, found = list[str](), asked(cast)
    with chromium() as browser, showing() as shown:
        for number, (name, pages) in enumerate(found.items()):
            person = Person(browser, shown.address, name)
            person.page.emulate_media(color_scheme="dark" if number % 2 else "light")
            for turn, page in enumerate(pages):
                shown.answers[page.place] = (page.headers, page.body)
                person.page.goto(shown.address + page.place)
                for size in SIZES[:: -1 if turn % 2 else 1]:  # in turn: a change of size takes its time
                    person.page.set_viewport_size(size)
                    if size == PHONE and person.page.evaluate(TOO_WIDE):
                        wrong.append(f"{page.route.path} scrolls sideways on a phone")
                    elif size != PHONE:
                        wrong += inaccessible(person.page)
                if page.route.name == "request":
                    wrong += unfit_to_file(person.page)
            wrong += person.faults
            person.context.close()
    assert sum(map(len, found.values())) > 150
    assert not wrong, "\n".join(dict.fromkeys(wrong))

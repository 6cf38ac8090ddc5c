"""axe looks at every page, as somebody who may open it sees it, in light and dark and on a phone."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import ViewportSize

from tests.browser import chromium, inaccessible
from tests.cast import PASSWORD, address
from tests.house.routes import routes
from tests.house.world import build, found_by
from tests.journeys.steps import Person

pytestmark = pytest.mark.journey
NO_PAGES = {"healthz", "readyz", "jwks", "job-live", "export-live", "pack-live", "batch-live", "invitation", "theme"}
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


def hand(route, **answer):
    route.fulfill(**answer)


def enter(person):
    """A client that signed in as this person, whose session the browser has too: pages that axe need not see."""
    client = Client()
    assert client.post("/sign-in/", {"email": address(person.name), "password": PASSWORD}).status_code == 302
    session = client.cookies[settings.SESSION_COOKIE_NAME]
    person.context.add_cookies([{"name": session.key, "value": session.value, "url": person.portal}])
    return client


def test_every_page_is_accessible_and_fits_a_phone(committing_db, cast, live_portal):
    world, wrong, opened = build(cast), list[str](), set[str]()
    never = {"sign-in", "sign-out"}  # and what is no page for anybody: a form's address, a file
    pages = [route for route in routes() if not route.is_api and route.name not in NO_PAGES]
    with chromium() as browser:
        stranger = Person(browser, live_portal, "nobody")
        stranger.open("/sign-in/")
        wrong += stranger.faults
        for number, name in enumerate(ROLES):
            person = Person(browser, live_portal, name)
            asking = enter(person)  # which says sooner than the browser what opens at all
            person.page.emulate_media(color_scheme="dark" if number % 2 else "light")
            for route in pages:
                if route.name in opened | never:
                    continue
                arguments = {one: found_by(world, one, route.path, getattr(cast, name)) for one in route.arguments}
                with closing(asking.get(route.reverse(**arguments))) as answer:
                    paged = answer["Content-Type"].startswith("text/html")
                    given = answer.content if paged else b""
                    if answer.status_code == 405 or (answer.status_code == 200 and not paged):
                        never.add(route.name)
                if answer.status_code != 200 or not paged:
                    continue
                opened.add(route.name)
                place = live_portal + route.reverse(**arguments)
                # The very answer, headers and all: asking for it again would show the same once more.
                person.page.route(place, partial(hand, status=200, body=given, headers=dict(answer.headers)), times=1)
                person.page.goto(place)
                for size in SIZES[:: 1 if len(opened) % 2 else -1]:  # in turn: a change of size takes its time
                    person.page.set_viewport_size(size)
                    if size == PHONE and person.page.evaluate(TOO_WIDE):
                        wrong.append(f"{route.path} scrolls sideways on a phone")
                    elif size != PHONE:
                        wrong += inaccessible(person.page)
                if route.name == "request":
                    wrong += unfit_to_file(person.page)
            wrong += person.faults
    assert len(opened) > 30, opened
    assert not wrong, "\n".join(dict.fromkeys(wrong))

"""Every page visited: it answers, has a title and a heading, and is linked from somewhere; and axe looks at it.

By whoever may open nothing, and by one role after another until one could open it; with `--long` all by each role. axe
sees it as whoever opened it does, in light or dark, and it must fit a phone.
"""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.sync_api import ViewportSize

from tests.browser import chromium, inaccessible
from tests.house.routes import Route
from tests.house.showing import showing
from tests.house.visits import BY_LINK, Visits, faults, made, pages
from tests.house.world import build
from tests.journeys.steps import Person

MADE: list[Visits] = []
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
PHONE: ViewportSize = {"width": 320, "height": 800}
SIZES: list[ViewportSize] = [{"width": 1200, "height": 900}, PHONE]
TOO_WIDE = "document.documentElement.scrollWidth > window.innerWidth"


@pytest.fixture
def visits(committing_db: str, cast: Any, signed_in: Any, pytestconfig: pytest.Config) -> Visits:
    """Made once: what is looked at are answers, which need no database any more."""
    if not MADE:
        MADE.append(made(build(cast), signed_in, pytestconfig.getoption("--long")))
    return MADE[0]


def test_every_page_answers_each_role_and_is_linked(visits):
    assert not visits.wrong, "\n".join(visits.wrong)
    assert not visits.unlinked, "no page links to these"
    unopened = {route.name for route in pages()} - set(visits.opened) - BY_LINK
    assert not unopened, "nobody could open these"


def unfit_to_file(page):
    """What of a page on paper is there to be clicked, or missing from what has to be filed."""
    page.emulate_media(media="print")
    clicked = (".bar", ".crumbs", ".button", "form")
    wrong = [f"{page.url} prints {one}" for one in clicked if page.locator(f"{one}:visible").count()]
    paper = page.locator(".print-only").first.inner_text()
    wrong += [f"{page.url} prints no {one}" for one in ("Signatures", "Manifest that is signed") if one not in paper]
    page.emulate_media(media="screen")
    return wrong


@pytest.mark.journey
def test_every_page_is_accessible_and_fits_a_phone(visits):
    wrong = list[str]()
    with chromium() as browser, showing() as shown:
        watching = [Person(browser, shown.address, scheme) for scheme in SCHEMES]  # answers ask nobody who they are
        for number, seen in enumerate(visits.pages.values()):
            person = watching[number % 2]
            person.page.emulate_media(color_scheme=SCHEMES[number % 2])
            for turn, page in enumerate(seen):
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
        for person in watching:
            wrong += person.faults
            person.context.close()
    assert sum(map(len, visits.pages.values())) > 150
    assert not wrong, "\n".join(dict.fromkeys(wrong))


@pytest.mark.parametrize(
    "text",
    [
        "<h1>x</h1>",
        "<title>· Countersign</title><h1>x</h1>",
        "<title>x · Countersign</title>",
        '<title>x · Countersign</title><h1>x</h1><p style="color:red">',
        "<title>x · Countersign</title><h1>x</h1><script>alert(1)</script>",
        '<title>x · Countersign</title><h1>x</h1><a onclick="x()">',
        '<title>x · Countersign</title><h1>x</h1><a href="">x</a>',
    ],
)
def test_a_bad_page_is_noticed(text):
    from django.http import HttpResponse

    assert faults(Route("x", "x/", None, ()), "nobody", HttpResponse(text))


def test_a_good_page_is_let_through():
    from django.http import HttpResponse

    page = '<title>x · Countersign</title><h1>x</h1><nav aria-label="Main"><script src="a.js" defer></script>'
    assert faults(Route("x", "x/", None, ()), "developer", HttpResponse(page)) == []

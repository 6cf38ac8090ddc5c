"""A model is submitted, reviewed and signed by three people in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.approvals import world
from tests.browser import chromium
from tests.journeys.steps import Person

pytestmark = pytest.mark.journey
WAYS = {
    "mouse": {},
    "keyboard only": {"keyboard": True, "watched": False},
    "without JavaScript": {"script": False},
}
# Without JavaScript the same forms are sent: what the others do more is to get to them.
TRIED = [way if way == "without JavaScript" else pytest.param(way, marks=pytest.mark.long) for way in WAYS]


def submit(developer: Person, version: Any) -> str:
    """Ask for approval from the version's page; the address of the request."""
    developer.open(version.get_absolute_url())
    developer.follow("Request approval")
    developer.fill("Intended use", "mortgage-screening")
    developer.fill("What reviewers should know", "The disparity is stated in the card.")
    developer.press("Ask for approval")
    assert "/requests/" in developer.page.url, developer.page.inner_text("main")
    return developer.page.url.removeprefix(developer.portal)


def sign(person: Person, requirement: str, request: str, version: Any) -> None:
    """From the inbox to the request, through the sign page, and back."""
    person.sign_in()
    assert person.sees(version.model.name), "the inbox says what waits"
    person.open(request)
    person.follow(f"Review and sign the {requirement}")
    assert person.sees("What you sign")
    assert person.sees("sha256:"), "the digest that is signed is on the page"
    person.tick_all()
    person.fill("Your reasoning", "Replicated the figures on a split of my own.")
    person.fill("Password", "not my password")
    person.press(f"Sign {requirement}")
    assert person.sees("This is not your password"), "a wrong password is said beside the field"
    assert person.page.get_by_label("Your reasoning", exact=True).input_value().startswith("Replicated")
    person.tick_all()
    person.fill("Password", "correct horse battery")
    person.press(f"Sign {requirement}")
    assert person.page.url.startswith(person.portal + request), person.page.inner_text("main")


@pytest.mark.parametrize("way", TRIED)
def test_three_people_review_and_sign(committing_db, cast, live_portal, way):
    version = world.a_complete_version(cast, verdict="outside")
    with chromium() as browser:
        people = {
            name: Person(browser, live_portal, name, **WAYS[way]) for name in ("developer", "validator", "approver")
        }
        developer = people["developer"]
        developer.sign_in()
        request = submit(developer, version)
        assert developer.page.get_by_role("link", name="Review and sign the independent validation").count() == 0
        sign(people["validator"], "independent validation", request, version)
        developer.open(request)
        assert developer.sees("Cannot serve yet"), "one signature of two is not enough"
        sign(people["approver"], "approval", request, version)
        developer.open(request)
        assert developer.sees("May serve in production")
        assert [fault for person in people.values() for fault in person.faults] == []

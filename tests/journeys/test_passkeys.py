"""A passkey is added, signs in and signs a decision in a real browser, with Chromium's own virtual authenticator."""

from __future__ import annotations

import pytest

from approvals.models import Reauthentication
from ledger.models import Event
from tests.approvals import world
from tests.browser import chromium
from tests.cast import PASSWORD, address
from tests.journeys.steps import Person

pytestmark = pytest.mark.journey
INSIDE = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


def test_a_passkey_from_the_account_page_to_a_signature(committing_db, cast, live_portal):
    request = world.a_request(cast)
    with chromium() as browser:
        # Browsers have passkeys for names alone.
        person = Person(browser, live_portal.replace("127.0.0.1", "localhost"), "validator", watched=False)
        devices = person.context.new_cdp_session(person.page)
        devices.send("WebAuthn.enable")
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": INSIDE})
        person.sign_in()
        person.open("/account/")
        person.watched = True
        person.follow("Add a passkey")
        person.fill("Name", "laptop")
        person.fill("Your password", PASSWORD)
        person.press("Make the passkey")
        assert person.sees("Your recovery codes"), person.page.inner_text("main")
        person.follow("I have kept them")
        assert person.sees("laptop")
        person.watched = False
        person.page.get_by_role("button", name=cast.validator.name).click()
        person.press("Sign out")
        person.fill("Mail address", address("validator"))
        person.fill("Password", PASSWORD)
        person.watched = True
        person.press("Sign in")
        assert person.sees("One more step")
        person.watched = False
        person.press("Use a passkey")
        assert "/sign-in/" not in person.page.url, person.page.inner_text("main")

        person.open(request.get_absolute_url())
        person.watched = True
        person.follow("Review and sign the independent validation")
        person.watched = False
        person.fill("Your reasoning", "Replicated the figures on a split of my own.")
        person.press("Sign independent validation with a passkey")
        assert person.page.url.startswith(person.portal + request.get_absolute_url()), person.page.inner_text("main")
        assert person.faults == []
    methods = [each.content["facts"]["method"] for each in Event.objects.filter(event="session.opened").order_by("id")]
    assert methods[-2:] == ["password", "password+passkey"]
    assert Reauthentication.objects.get().assertion["credential"].startswith("sha256:")

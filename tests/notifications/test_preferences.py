"""Choosing what one is mailed."""

from __future__ import annotations

import json

import pytest

from accounts.models import Preference
from accounts.preferences.services import choose as act
from accounts.preferences.telling import ways_of
from ledger.models import Event
from ledger.refusals import Denied
from notifications.kinds import KINDS
from tests.accounts.world import refused

pytestmark = pytest.mark.django_db
PAGE, API = "/account/notifications/", "/api/v1/me/notifications/"
CHOSEN = [kind for kind in KINDS.values() if kind.chosen]


def test_on_the_page(cast, signed_in, settings):
    browser = signed_in(cast.developer)
    assert PAGE in browser.get("/account/").content.decode()
    page = browser.get(PAGE).content.decode()
    assert 'name="your_turn"' in page
    assert 'name="receipt"' not in page, "there is no choice"
    assert "Receipts for what you sign." in page
    form = {kind.slug: kind.default for kind in CHOSEN}
    assert browser.post(PAGE, {**form, "approved": "hourly"}).status_code == 422
    assert not Preference.objects.exists()
    assert browser.post(PAGE, {**form, "approved": "digest"})["Location"] == PAGE
    assert ways_of(cast.developer)["approved"] == "digest"
    facts = Event.objects.get(event="notification_preferences.changed").content["facts"]
    assert facts == {"account": str(cast.developer.opaque_id), "ways": {"approved": "digest"}}
    browser.post(PAGE, {**form, "approved": "at_once"})
    assert ways_of(cast.developer)["approved"] == "at_once"
    settings.MAIL_ON = False
    assert "sends no mail" in browser.get(PAGE).content.decode()


def test_in_the_api(cast, api):
    client = api(cast.approver)
    ways = {each["kind"]: each for each in client.get(API).json()["kinds"]}
    assert (ways["expiring"]["way"], ways["receipt"]["ways"]) == ("at_once", ["at_once"])
    answer = client.patch(API, json.dumps({"ways": {"expiring": "off"}}), content_type="application/json").json()
    assert [each["way"] for each in answer["kinds"] if each["kind"] == "expiring"] == ["off"]
    assert ways_of(cast.second_approver)["expiring"] == "at_once", "everybody for themselves"


@pytest.mark.parametrize(
    ("ways", "code"),
    [
        ({"receipt": "off"}, "cannot_be_changed"), ({"credentials": "digest"}, "cannot_be_changed"),
        ({"gossip": "off"}, "unknown_kind"), ({"approved": "hourly"}, "unknown_way"),
        ({"reminder": "at_once"}, "unknown_way"),
    ],
    ids=["receipt", "credentials", "kind", "way", "reminder"],
)  # fmt: skip
def test_what_is_refused(cast, api, ways, code):
    wish = json.dumps({"ways": {"approved": "off", **ways}})
    answer = api(cast.approver).patch(API, wish, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == code
    assert not Preference.objects.exists(), "all or nothing"
    assert Event.objects.filter(event="notification_preferences.changed.refused").count() == 1


def test_only_people_and_only_their_own(cast):
    refused("humans_only", act, by=cast.ci_bot, account=cast.ci_bot, ways={"approved": "off"})
    with pytest.raises(Denied):
        act(by=cast.platform_admin, account=cast.approver, ways={"approved": "off"})

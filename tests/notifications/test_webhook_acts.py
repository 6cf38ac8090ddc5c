"""Who adds, changes, pauses and removes webhooks, on pages and through the API, and everything that is refused."""

from __future__ import annotations

import json

import pytest

from accounts.models import Role
from accounts.services import grant_role
from ledger.actors import SystemActor
from ledger.models import Event
from notifications.models import Notification, Webhook
from notifications.webhooks import services
from tests.forms import fields_of
from tests.notifications.hooks import OUTSIDE, a_webhook

pytestmark = pytest.mark.django_db
LIST = "/api/v1/webhooks/"
TERMS = {"name": "Pipeline", "url": OUTSIDE, "kinds": ["approved"]}
REFUSED = [
    ({"url": "https://127.0.0.1/in"}, "address_inside", "url"),
    ({"url": "http://127.0.0.1/in"}, "address_inside", "url"),
    ({"url": "https://10.1.2.3/"}, "address_inside", "url"),
    ({"url": "https://[::ffff:10.0.0.1]/"}, "address_inside", "url"),
    ({"url": "https://2130706433/"}, "address_inside", "url"),
    ({"url": "https://localhost/in"}, "address_inside", "url"),
    ({"url": "http://93.184.215.14/in"}, "address_invalid", "url"),
    ({"url": "https://me:pass@93.184.215.14/in"}, "address_invalid", "url"),
    ({"url": "https://93.184.215.14/in#here"}, "address_invalid", "url"),
    ({"url": "https://[93"}, "address_invalid", "url"),
    ({"url": "https://a..b/"}, "address_invalid", "url"),
    ({"url": "ftp://93.184.215.14/"}, "address_invalid", "url"),
    ({"name": " "}, "blank", "name"),
    ({"kinds": []}, "unknown_kind", "kinds"),
    ({"kinds": ["receipt"]}, "invalid_choice", "kinds.0"),
    ({"team": 0}, "does_not_exist", "team"),
]  # fmt: skip


def test_an_administrator_adds_one_on_a_page_and_sees_its_secret_once(cast, signed_in):
    browser = signed_in(cast.platform_admin)
    assert "No webhooks yet" in browser.get("/webhooks/").content.decode()
    assert 'href="/webhooks/"' in browser.get("/notifications/").content.decode()
    form = fields_of(browser.get("/webhooks/new/").content.decode(), "url")
    assert len(form["kinds"]) == 6
    wrong = browser.post("/webhooks/new/", {**form, "name": "Pipeline", "url": "https://10.0.0.1/"})
    assert wrong.status_code == 422
    assert "leads to an address within" in wrong.content.decode()
    assert 'value="https://10.0.0.1/"' in wrong.content.decode(), "what was typed stays"
    made = browser.post("/webhooks/new/", {**form, "name": "Pipeline", "url": OUTSIDE}).content.decode()
    hook = Webhook.objects.get()
    assert (hook.team_id, hook.name, hook.made_by) == (None, "Pipeline", str(cast.platform_admin.opaque_id))
    secret = made.partition('data-copy="')[2].partition('"')[0]
    assert secret.startswith("whsec_")
    assert "no-store" in browser.get("/webhooks/new/")["Cache-Control"]
    twice = browser.post("/webhooks/new/", {**form, "name": "Pipeline", "url": OUTSIDE})
    assert (twice.status_code, Webhook.objects.count()) == (422, 1)
    here = hook.get_absolute_url()
    page = browser.get(here).content.decode()
    assert "Nothing has been sent yet" in page
    assert secret not in page
    assert "A test is on its way" in browser.post(f"{here}test/", follow=True).content.decode()
    assert "Waiting" in browser.get(here).content.decode()
    assert "Nothing older" in browser.get(f"{here}?before=1").content.decode()
    edit = fields_of(browser.get(f"{here}edit/").content.decode(), "url")
    assert edit["url"] == [OUTSIDE]
    assert browser.post(f"{here}edit/", edit).status_code == 409, "nothing changed"
    assert browser.post(f"{here}edit/", {**edit, "name": "Chat"}).status_code == 302
    form = fields_of(browser.get(f"{here}secret/").content.decode(), "overlap_hours")
    rotated = browser.post(f"{here}secret/", form).content.decode()
    assert "signs too until" in rotated
    assert secret not in rotated
    assert "the one before it signs too" in browser.get(here).content.decode()
    assert browser.post(f"{here}pause/", {"reason": "Moves house."}).status_code == 302
    assert browser.post(f"{here}pause/", {"reason": "Moves house."}).status_code == 409
    assert "is paused. Resume it" in browser.post(f"{here}test/", follow=True).content.decode()
    assert "told again" in browser.post(f"{here}resume/", follow=True).content.decode()
    assert "not paused" in browser.post(f"{here}resume/", follow=True).content.decode()
    assert (
        "Type the name as it stands"
        in browser.post(f"{here}remove/", {"reason": "Not used.", "name": "Pipeline"}).content.decode()
    )
    assert browser.post(f"{here}remove/", {"reason": "Not used.", "name": "Chat"})["Location"] == "/webhooks/"
    assert not Webhook.objects.exists()


def test_the_api_does_the_same(cast, api):
    client = api(cast.platform_admin)

    def send(path, body=None, method="POST"):
        return client.generic(method, path, json.dumps(body or {}), content_type="application/json")

    made = send(LIST, {**TERMS, "team": cast.team.pk})
    assert made.status_code == 201
    secret, pk = made.json()["secret"], made.json()["id"]
    assert secret.startswith("whsec_")
    here = f"{LIST}{pk}/"
    assert "secret" not in client.get(here).json()
    assert [each["id"] for each in client.get(LIST).json()["results"]] == [pk]
    changed = send(here, {"kinds": ["rejected", "approved"]}, "PATCH").json()
    assert (changed["kinds"], changed["name"]) == (["approved", "rejected"], "Pipeline")
    facts = Event.objects.get(event="webhook.changed").content["facts"]
    assert facts["changed"] == ["kinds"]
    assert facts["place"] == "https://93.184.215.14"
    rotated = send(f"{here}secret/", {"overlap_hours": 1}).json()
    assert rotated["secret"] not in (secret, "")
    assert rotated["previous_until"]
    assert send(f"{here}test/").json()["kind"] == "ping"
    (row,) = client.get(f"{here}deliveries/").json()["results"]
    assert (row["channel"], row["webhook"], row["state"], row["answer"]) == ("webhook", pk, "waiting", None)
    assert send(f"{here}pausing/", {"reason": "Moves house."}).json()["state"] == "paused"
    assert send(f"{here}resuming/").json()["state"] == "active"
    assert send(f"{here}removal/", {"reason": "Not used."}).status_code == 204
    assert client.get(here).status_code == 404


def test_terms_that_are_refused_leave_nothing_but_the_refusal(cast, api):
    client = api(cast.platform_admin)
    for changes, code, field in REFUSED:
        before = Event.objects.count()
        answer = client.post(LIST, {**TERMS, **changes}, content_type="application/json")
        assert answer.status_code == 422, changes
        assert (code, field) in [(each["code"], each["field"]) for each in answer.json()["errors"]], changes
        by_the_door = [each.event for each in Event.objects.order_by("pk")[before:]]
        asked = code.startswith("address") or code == "unknown_kind"
        assert by_the_door == ["webhook.added.refused"] * asked, changes
    assert not Webhook.objects.exists()


def test_acts_that_are_refused_change_nothing(cast, api):
    client = api(cast.platform_admin)
    hook, _ = a_webhook(cast)
    before, here = Webhook.objects.values().get(), f"{LIST}{hook.pk}/"
    refused = [
        ("POST", f"{here}secret/", {"overlap_hours": 169}, 422, "overlap_invalid"),
        ("POST", f"{here}secret/", {"overlap_hours": -1}, 422, "overlap_invalid"),
        ("POST", f"{here}pausing/", {"reason": "x"}, 422, "reason_needed"),
        ("POST", f"{here}removal/", {"reason": "x"}, 422, "reason_needed"),
        ("POST", f"{here}resuming/", {}, 409, "not_paused"),
        ("PATCH", here, {}, 409, "nothing_changed"),
        ("PATCH", here, {"name": hook.name}, 409, "nothing_changed"),
        ("PATCH", here, {"url": "https://10.0.0.1/"}, 422, "address_inside"),
        ("POST", LIST, {**TERMS, "team": cast.team.pk}, 422, "webhook_exists"),
    ]  # fmt: skip
    for method, path, body, status, code in refused:
        body = json.dumps(body)
        answer = client.generic(method, path, body, content_type="application/json")
        found = answer.json()
        codes = {found["code"], *(each["code"] for each in found.get("errors", []))}
        assert (answer.status_code, code in codes) == (status, True), (path, found)
    assert Webhook.objects.values().get() == before
    assert Event.objects.filter(event__startswith="webhook.", outcome="refused").count() == len(refused)
    for _ in range(4):
        services.rotate_secret(by=cast.platform_admin, webhook=hook)
    answer = client.post(f"{here}secret/", {}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"], hook.secrets.count()) == (422, "too_many_secrets", 5)
    services.pause_webhook(by=cast.platform_admin, webhook=hook, reason="Moves house.")
    for path in ("pausing", "test"):
        answer = client.post(f"{here}{path}/", {"reason": "Again."}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (409, "webhook_paused")
    assert not Notification.objects.exists()


def test_one_teams_administrator_looks_after_that_teams_webhooks_alone(cast, signed_in, api):
    ours, _ = a_webhook(cast)
    house, _ = a_webhook(cast, team=None)
    row = services.send_test(by=cast.platform_admin, webhook=ours)
    Notification.objects.update(state="failed")
    mail = Notification.objects.create(about="x", kind="approved", address="dev@example.org", subject="x")
    console = SystemActor("console", frozenset({"accounts.grant_role"}))
    administrator = Role.objects.get(slug="platform_administrator")
    grant_role(by=console, account=cast.ci_bot, role=administrator, team=cast.team, reason="for the team")
    client = api(cast.ci_bot)
    assert [each["id"] for each in client.get(LIST).json()["results"]] == [ours.pk]
    assert client.get(f"{LIST}{house.pk}/").status_code == 404
    assert client.post(f"/api/v1/notifications/{row.pk}/retry/").status_code == 202
    assert client.post(f"/api/v1/notifications/{mail.pk}/retry/").status_code == 404
    body = {**TERMS, "url": f"{OUTSIDE}2"}
    assert client.post(LIST, body, content_type="application/json").status_code == 403, "the whole house"
    made = client.post(LIST, {**body, "team": cast.team.pk}, content_type="application/json")
    assert made.status_code == 201
    for somebody in (cast.auditor, cast.model_owner):
        assert signed_in(somebody).get("/webhooks/").status_code == 403
        assert signed_in(somebody).post(f"/webhooks/{ours.pk}/test/").status_code == 404

"""Webhooks: what a receiver gets, how it is signed, what becomes of answers, and where nothing is ever sent."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from approvals.notices.watching import watch
from approvals.services import revoke
from ledger.events import database_time
from ledger.models import Event
from notifications import services as outbox
from notifications.mail import Undelivered
from notifications.models import Notification, WebhookSecret
from notifications.tasks import deliver, deliver_webhooks
from notifications.webhooks import services
from tests.approvals import findings_world, world
from tests.ledger.stand_ins import Reply, served
from tests.notifications.hooks import a_webhook, documented, signed_by
from tests.notifications.world import a_quick_request
from tests.sealing import seal_now

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings):
    """A server on this machine, which the portal is allowed to reach: `got` is what came, `status` what it answers."""

    class Receiver:
        status, headers = 204, {}

        def __init__(self):
            self.got = []

        def answer(self, asked):
            self.got.append(asked)
            return Reply(self.status, b"", self.headers)

    settings.WEBHOOK_INTERNAL_HOSTS = ["127.0.0.1"]
    found = Receiver()
    with served(found.answer) as address:
        found.url = f"{address}/in?key=part-of-the-address"
        yield found


def later(**span) -> None:
    """As if that much time had passed since the last try."""
    past = Now() - timedelta(**span)
    Notification.objects.update(due_at=past, claimed_at=past)


def a_ping(cast, hook):
    return services.send_test(by=cast.platform_admin, webhook=hook)


def told(hook):
    return [(row.kind, json.loads(row.body)["data"]["state"]) for row in hook.deliveries.order_by("pk")]


def test_what_becomes_of_a_request_is_told_signed_and_without_words_of_people(cast, receiver, settings, tmp_path):
    hook, secret = a_webhook(cast, receiver.url)
    everywhere, _ = a_webhook(cast, receiver.url + "2", team=None, kinds=["approval_ended"])
    other, _ = a_webhook(cast, receiver.url, team=cast.other_team)
    settings.MAIL_ON = False
    request = a_quick_request(cast)
    world.sign(cast.approver, request, "approval")
    assert told(hook) == [("your_turn", "in_review"), ("approved", "approved")]
    revoke(by=cast.risk_officer, request=request, reason="The data were wrong.")
    assert told(everywhere) == [("approval_ended", "revoked")]
    assert not other.deliveries.exists(), "another team's"
    assert deliver() == {"sent": 0, "undelivered": 0}, "mail waits for no receiver"
    assert deliver_webhooks() == {"sent": 3, "undelivered": 0}
    first, second, third = receiver.got
    assert signed_by(secret, first)
    assert signed_by(secret, second)
    assert not signed_by(secret, third), "each has a secret of its own"
    assert not signed_by(secret, second._replace(body=second.body + b" "))
    verified = documented(tmp_path)
    assert verified(secret, second.headers, second.body)
    assert not verified(secret, second.headers, second.body + b" ")
    assert not verified(secret, {**second.headers, "webhook-timestamp": "1700000000"}, second.body)
    assert (second.method, second.path) == ("POST", "/in?key=part-of-the-address")
    assert second.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert abs(int(second.headers["webhook-timestamp"]) - database_time().timestamp()) < 60
    document = json.loads(second.body)
    assert document["id"] == second.headers["webhook-id"]
    assert document.pop("time") > "2026"
    assert document == {
        "specversion": "1.0", "id": document["id"], "source": settings.PUBLIC_URL, "type": "countersign.approved",
        "subject": f"request {request.pk}", "datacontenttype": "application/json",
        "data": {
            "kind": "approved", "request": request.pk, "model": request.version.model.slug, "version": 1,
            "environment": "production", "use": "mortgage-screening", "state": "approved",
            "link": f"{settings.PUBLIC_URL}/requests/{request.pk}/",
        },
    }  # fmt: skip
    every = b" ".join(each.body for each in receiver.got).decode()
    assert not [words for words in ("data were wrong", "Looked", "Klein", "Weiss", "@") if words in every]
    row = hook.deliveries.latest("id")
    assert (row.state, row.answer, row.address) == ("sent", 204, receiver.url.partition("/in")[0])
    assert row.body == second.body.decode(), "kept, so that it can be sent again"


def test_changes_rejection_expiry_and_suspension_are_told_too(cast, settings):
    kinds = ["changes_requested", "rejected", "expiring", "approval_ended"]
    hook, _ = a_webhook(cast, kinds=kinds)
    settings.MAIL_ON = False
    request = a_quick_request(cast, valid_days=90)
    world.sign(cast.approver, request, "approval")
    assert told(hook) == []
    for _ in range(2):
        watch(database_time() + timedelta(days=61))
    assert told(hook) == [("expiring", "expiring")]
    data = json.loads(hook.deliveries.get().body)["data"]
    assert (data["days"], data["until"][:4].isdigit()) == (30, True)
    findings_world.a_finding(cast, request.version, "low", due=findings_world.in_days(2))
    seal_now()
    watch(database_time() + timedelta(days=5))
    assert told(hook)[1:] == [("approval_ended", "suspended")]
    asked = world.a_request(cast, request.version, environment="staging")
    world.sign(cast.approver, asked, "approval", "request_changes")
    refused = world.a_request(cast, request.version, environment="development")
    world.sign(cast.approver, refused, "approval", "reject")
    assert told(hook)[2:] == [("changes_requested", "changes_requested"), ("rejected", "rejected")]


def test_while_a_secret_is_rotated_both_sign_and_then_the_new_one_alone(cast, receiver):
    hook, old = a_webhook(cast, receiver.url)
    assert old not in str(WebhookSecret.objects.values().get())
    _, new = services.rotate_secret(by=cast.platform_admin, webhook=hook)
    a_ping(cast, hook)
    deliver_webhooks()
    assert signed_by(old, receiver.got[0])
    assert signed_by(new, receiver.got[0])
    assert json.loads(receiver.got[0].body)["data"]["kind"] == "ping"
    hook.secrets.exclude(ends_at=None).update(ends_at=Now())
    a_ping(cast, hook)
    deliver_webhooks()
    assert not signed_by(old, receiver.got[1])
    assert signed_by(new, receiver.got[1])
    _, third = services.rotate_secret(by=cast.platform_admin, webhook=hook)
    _, fourth = services.rotate_secret(by=cast.platform_admin, webhook=hook, overlap_hours=1)
    a_ping(cast, hook)
    deliver_webhooks()
    assert [signed_by(each, receiver.got[2]) for each in (old, new, third, fourth)] == [False, True, True, True]
    _, newest = services.rotate_secret(by=cast.platform_admin, webhook=hook, overlap_hours=0)
    assert hook.secrets.count() == 1
    sealed = Event.objects.filter(event__startswith="webhook.").values_list("bytes", flat=True)
    everything = b" ".join(map(bytes, sealed)).decode()
    assert not [text for text in (old, new, third, newest, "part-of-the-address", "whsec_") if text in everything]


def test_a_receiver_that_fails_is_tried_for_three_days_with_the_same_bytes_and_then_given_up(cast, receiver):
    hook, _ = a_webhook(cast, receiver.url)
    receiver.status = 503
    row, second = a_ping(cast, hook), a_ping(cast, hook)
    for number, pause in enumerate(outbox.WEBHOOK_PAUSES, 1):
        assert deliver_webhooks() == {"sent": 0, "undelivered": 1}, "the other is not tried upon it at once"
        row.refresh_from_db()
        assert (row.state, row.tries, row.answer) == ("waiting", number, 503)
        assert abs(row.due_at - row.claimed_at - pause) < timedelta(seconds=5)
        Notification.objects.filter(pk=row.pk).update(due_at=Now())
    assert sum(outbox.WEBHOOK_PAUSES, timedelta()) > timedelta(days=3)
    deliver_webhooks()
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "The receiver answered with status 503.")
    assert {each.headers["webhook-id"] for each in receiver.got} == {str(row.number)}
    assert len({each.body for each in receiver.got}) == 1
    second.refresh_from_db()
    assert (second.state, second.tries) == ("waiting", 0)


def test_a_receiver_that_is_gone_pauses_its_webhook(cast, receiver, signed_in, api):
    hook, _ = a_webhook(cast, receiver.url)
    receiver.status = 410
    row = a_ping(cast, hook)
    a_ping(cast, hook)
    assert deliver_webhooks() == {"sent": 0, "undelivered": 2}
    assert len(receiver.got) == 1
    row.refresh_from_db()
    hook.refresh_from_db()
    assert (row.state, row.answer, hook.state) == ("failed", 410, "paused")
    event = Event.objects.get(event="webhook.paused")
    assert (event.actor_kind, event.actor_id, event.content["facts"]["gone"]) == ("system", "worker", True)
    browser = signed_in(cast.platform_admin)
    assert "Its receiver is gone" in browser.get(hook.get_absolute_url()).content.decode()
    assert "Paused: gone" in browser.get("/webhooks/").content.decode()
    path = f"/api/v1/notifications/{row.pk}/retry/"
    assert api(cast.platform_admin).post(path).json()["code"] == "webhook_paused"
    assert services.resume_webhook(by=cast.platform_admin, webhook=hook).gone_at is None
    receiver.status = 200
    assert api(cast.platform_admin).post(path).status_code == 202
    assert deliver_webhooks() == {"sent": 1, "undelivered": 0}
    row.refresh_from_db()
    assert (row.state, row.answer, row.error) == ("sent", 200, "")
    answer = browser.post(f"/notifications/{row.pk}/retry/", {"back": "webhook"})
    assert answer["Location"] == hook.get_absolute_url()
    deliver_webhooks()
    assert receiver.got[-1].headers["webhook-id"] == str(row.number), "sent again, as the same message"


def test_an_attempt_that_was_given_up_on_says_nothing_about_the_end(cast):
    hook, _ = a_webhook(cast)
    row = a_ping(cast, hook)
    assert outbox.claim() is None, "it is no mail"
    first = outbox.claim("webhook")
    later(minutes=6)
    second = outbox.claim("webhook")
    assert (first.message, second.attempt) == (row, 2)
    assert not outbox.finish(first, Undelivered("Too late.", status=500), 500)
    assert outbox.finish(second, None, 200)
    row.refresh_from_db()
    assert (row.state, row.answer, row.error) == ("sent", 200, "")


def test_no_address_within_is_reached_and_no_redirect_followed(cast, receiver, settings):
    hook, _ = a_webhook(cast, receiver.url)
    row = a_ping(cast, hook)
    receiver.status, receiver.headers = 302, {"Location": "http://127.0.0.1:1/"}
    deliver_webhooks()
    row.refresh_from_db()
    assert (row.state, "redirect" in row.error) == ("waiting", True)
    settings.WEBHOOK_INTERNAL_HOSTS = []
    later()
    deliver_webhooks()
    row.refresh_from_db()
    assert (row.state, "is an address within" in row.error) == ("failed", True)
    assert len(receiver.got) == 1
    assert "part-of-the-address" not in row.error


def test_a_secret_that_cannot_be_read_and_a_webhook_that_is_no_more(cast, settings):
    hook, _ = a_webhook(cast)
    row = a_ping(cast, hook)
    settings.FACTOR_KEY = "another key than that which sealed it"
    assert deliver_webhooks() == {"sent": 0, "undelivered": 1}
    row.refresh_from_db()
    assert (row.state, "Rotate it" in row.error) == ("failed", True)
    a_ping(cast, hook)
    services.remove_webhook(by=cast.platform_admin, webhook=hook, reason="no longer used")
    assert not Notification.objects.filter(channel="webhook").exists()
    assert deliver_webhooks() == {"sent": 0, "undelivered": 0}
    event = Event.objects.get(event="webhook.removed")
    assert (event.object_id, event.content["facts"]["place"]) == (str(hook.pk), "https://93.184.215.14")

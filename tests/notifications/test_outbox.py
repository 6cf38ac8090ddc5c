"""The outbox: one sender at a time, at least once, tried again, and given up where everybody can see it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client

from ledger.models import Event
from ledger.refusals import Denied, Refusal
from notifications import services
from notifications.mail import Undelivered
from notifications.models import Notification
from notifications.tasks import deliver, remove_old
from notifications.texts import written
from tests.notifications.server import mail_server

pytestmark = pytest.mark.django_db


def a_message(about: str = "request 1", **changes):
    given = {"kind": "approved", "address": "dev@example.org", "subject": "Approved", "body": "It is.", **changes}
    services.put([Notification(about=about, **given)])
    return Notification.objects.filter(about=about).latest("id")


def later(**span) -> None:
    """As if that much time had passed since the last try."""
    past = Now() - timedelta(**span)
    Notification.objects.update(due_at=past, claimed_at=past)


class TestSending:
    def test_it_leaves_with_a_number_of_its_own_and_its_text_is_not_kept(self, settings):
        row = a_message()
        with mail_server(settings) as server:
            assert deliver() == {"sent": 1, "undelivered": 0}
        (mail,) = server.got
        assert f"Message-ID: <{row.number}@" in mail
        assert "Subject: Countersign: Approved" in mail
        assert "Auto-Submitted: auto-generated" in mail
        row.refresh_from_db()
        assert (row.state, row.body, row.attempt) == ("sent", "", 1)
        assert deliver() == {"sent": 0, "undelivered": 0}

    def test_an_address_is_told_once_of_each_thing(self):
        first = a_message()
        assert a_message(subject="Again") == first
        a_message("request 2")
        a_message(kind="rejected")
        a_message(address="other@example.org")
        assert Notification.objects.count() == 4

    def test_what_the_act_takes_back_is_not_sent(self):
        def act() -> None:
            with transaction.atomic():
                a_message()
                raise Refusal("no", "No.")

        with pytest.raises(Refusal):
            act()
        assert not Notification.objects.exists()

    def test_a_server_that_is_away_is_tried_again_later_and_in_the_end_given_up(self, settings):
        row = a_message()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        for number, pause in enumerate(services.PAUSES, 1):
            assert deliver() == {"sent": 0, "undelivered": 1}
            row.refresh_from_db()
            assert (row.state, row.tries) == ("waiting", number)
            assert abs(row.due_at - row.claimed_at - pause) < timedelta(seconds=5)
            assert deliver() == {"sent": 0, "undelivered": 0}, "not before its time"
            later()
        deliver()
        row.refresh_from_db()
        assert (row.state, row.error) == ("failed", "The mail server could not be reached: ConnectionRefusedError.")
        assert row.body, "it can be tried again"
        a_message("request 2")
        a_message("request 3")
        assert deliver() == {"sent": 0, "undelivered": 1}, "nobody waits for a dead server twice in a round"

    @pytest.mark.parametrize(
        ("answer", "state"), [(b"550 no such user", "failed"), (b"450 try later", "waiting")], ids=["final", "passing"]
    )
    def test_an_address_that_is_refused_for_good_is_not_tried_again(self, settings, answer, state):
        row = a_message()
        a_message("request 2")
        with mail_server(settings, refuse=answer):
            assert deliver() == {"sent": 0, "undelivered": 2}
        row.refresh_from_db()
        assert (row.state, row.tries) == (state, 1)
        assert row.error == f"The mail server refused the address ({answer[:3].decode()})."
        assert "example.org" not in row.error

    def test_one_that_cannot_be_written_or_is_refused_stands_in_nobodys_way(self, settings):
        broken = a_message("request 1", address="a@example.org\nBcc: all@example.org")
        a_message("request 2")
        with mail_server(settings) as server:
            assert deliver() == {"sent": 1, "undelivered": 1}
        assert len(server.got) == 1
        broken.refresh_from_db()
        assert (broken.state, broken.error) == ("failed", "This is no address that a mail can be written to.")
        refused = a_message("request 3")
        with mail_server(settings, data=b"554 looks odd"):
            assert deliver() == {"sent": 0, "undelivered": 1}
        refused.refresh_from_db()
        assert (refused.state, refused.error) == ("waiting", "The mail server refused the message (554).")
        with mail_server(settings, greeting=b"554 go away"):
            a_message("request 4")
            assert deliver() == {"sent": 0, "undelivered": 1}
        assert Notification.objects.latest("id").error == "The mail server answered with 554."

    def test_a_sender_that_died_is_followed_by_another_and_cannot_end_it_afterwards(self):
        row = a_message()
        first = services.claim()
        assert first is not None
        assert services.claim() is None, "it is being sent"
        later(minutes=6)
        second = services.claim()
        assert second is not None
        assert (second.message, second.attempt) == (row, 2)
        assert not services.finish(first, Undelivered("Too late.")), "the fence"
        assert services.finish(second, None)
        row.refresh_from_db()
        assert (row.state, row.error) == ("sent", "")

    def test_what_is_old_goes_and_what_waits_stays(self):
        for state in Notification.State.values:
            a_message(state, state=state)
        Notification.objects.update(created_at=Now() - timedelta(days=89))
        assert remove_old() == 0
        Notification.objects.update(created_at=Now() - timedelta(days=91))
        assert remove_old() == 3
        assert {row.state for row in Notification.objects.all()} == {"waiting", "sending", "held"}

    def test_a_name_makes_no_header_and_no_markup(self, cast):
        cast.developer.name = "Bob\nBcc: all@example.org"
        subject, body = written("revoked", person=cast.developer, by=cast.developer, request=None)
        assert "\n" not in subject
        cast.developer.name = "O'Hara & <Sons>"
        assert "Hello O'Hara & <Sons>," in written("revoked", person=cast.developer, by=cast.developer)[1]
        assert body.endswith("\n")


class TestLookingAfterIt:
    def test_a_platform_administrator_sees_what_failed_and_has_it_tried_again(self, cast, signed_in, api):
        row = a_message(state="failed", error="The mail server refused the address (550).")
        a_message("request 2")
        browser = signed_in(cast.platform_admin)
        assert "Outbox" in browser.get("/people/").content.decode()
        page = browser.get("/notifications/?state=failed").content.decode()
        assert "refused the address (550)" in page
        assert "It is." not in page
        Notification.objects.filter(pk=row.pk).update(ended_at=Now())
        assert "Mail was given up" in browser.get("/notifications/").content.decode()
        assert Client().get("/readyz").json()["mail"]["state"] == "failing"
        assert browser.post(f"/notifications/{row.pk}/retry/")["Location"] == "/notifications/"
        row.refresh_from_db()
        assert (row.state, row.tries) == ("waiting", 0)
        facts = Event.objects.get(event="notification.retried").content["facts"]
        assert facts == {"notification": str(row.number), "kind": "approved", "attempt": 0}
        again = api(cast.platform_admin).post(f"/api/v1/notifications/{row.pk}/retry/")
        assert (again.status_code, again.json()["code"]) == (409, "not_failed")
        assert Event.objects.filter(event="notification.retried.refused").count() == 1
        assert "has not failed" in browser.post(f"/notifications/{row.pk}/retry/", follow=True).content.decode()

    def test_nobody_else_sees_addresses(self, cast, signed_in, api):
        row = a_message(state="failed")
        for somebody in (cast.auditor, cast.risk_officer, cast.developer):
            assert signed_in(somebody).get("/notifications/").status_code == 403
            assert signed_in(somebody).post(f"/notifications/{row.pk}/retry/").status_code == 404
            assert api(somebody).get("/api/v1/notifications/").json()["results"] == []
            with pytest.raises(Denied):
                services.retry(by=somebody, notification=row)
        row.refresh_from_db()
        assert row.state == "failed"

    def test_the_list_has_pages_and_says_what_is_missing(
        self, cast, signed_in, settings, django_assert_max_num_queries
    ):
        browser = signed_in(cast.platform_admin)
        assert "Nothing has been sent yet" in browser.get("/notifications/").content.decode()
        assert "No message is in this state" in browser.get("/notifications/?state=held").content.decode()
        services.put(
            Notification(about=f"n{n}", kind="approved", address="a@example.org", subject=f"Number {n}.")
            for n in range(51)
        )
        with django_assert_max_num_queries(12):
            page = browser.get("/notifications/").content.decode()
        assert "Number 50." in page
        assert "Number 0." not in page
        before = Notification.objects.order_by("-pk")[49].pk
        assert "Number 0." in browser.get(f"/notifications/?before={before}").content.decode()
        Notification.objects.update(created_at=Now() - timedelta(minutes=20))
        assert "Mail is late" in browser.get("/notifications/").content.decode()
        assert Client().get("/readyz").json()["mail"]["state"] == "late"
        settings.MAIL_ON = False
        assert "sends no mail" in browser.get("/notifications/").content.decode()

    def test_health_says_how_mail_stands(self):
        assert Client().get("/readyz").json()["mail"] == {
            "state": "delivering", "waiting": 0, "oldest_seconds": None, "failed_last_day": 0,
        }  # fmt: skip
        a_message()
        found = json.loads(Client().get("/readyz").content)["mail"]
        assert (found["state"], found["waiting"]) == ("delivering", 1)
        assert found["oldest_seconds"] < 60
